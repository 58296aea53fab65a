"""Where a campaign plays: an app in this process, on a Postgres of its own."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from fastapi import FastAPI
from tests.factories import JWT_SECRET, UNLIMITED

from taskchat.app import create_app
from taskchat.postgres.embedded import ephemeral_data_dir, start_postgres
from taskchat.postgres.migrations import upgrade
from taskchat.settings import OFFLINE, Settings
from taskchat.telemetry.logs import configure_logs

PATIENCE_S: Final = 60.0
"""For a connection, and for a statement."""


@dataclass(frozen=True)
class Stage:
    """What there is to ask.

    Attributes:
        app: Within its lifespan.
        client: Of it.
        settings: Of it.
        database_url: Of its database.
        folder: For what a process writes.
    """

    app: FastAPI
    client: httpx.AsyncClient
    settings: Settings
    database_url: str
    folder: Path


def settings_for(database_url: str) -> Settings:
    """No rate is limited, and nothing waits for a slow machine."""
    settings = Settings(
        _env_file=None,
        database_url=database_url,
        jwt_secret=JWT_SECRET,
        model=OFFLINE,
        log_level="error",
        script_allowed=True,
        accounts=True,
        **UNLIMITED,
    )
    # Whatever address was drawn, nobody is told anything there. And nothing here is about time: a
    # machine that does other things too is slow, and not without a database.
    patient = dict.fromkeys(("statement_timeout_s", "pool_timeout_s"), PATIENCE_S)
    return settings.model_copy(update={"webhook_interval_s": 1_000_000, **patient})


@contextlib.asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Until the block ends; on the server that `TEST_DATABASE_URL` names, if it does."""
    url = os.environ.get("TEST_DATABASE_URL")
    if url is None:
        url = start_postgres(ephemeral_data_dir())
    await asyncio.to_thread(upgrade, url)
    settings = settings_for(url)
    configure_logs(settings)
    app = create_app(settings)
    with TemporaryDirectory() as folder:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client,
        ):
            yield Stage(app, client, settings, url, Path(folder))
