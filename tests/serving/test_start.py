"""What a start imports and builds, and what the first turn finds ready."""

from pathlib import Path
from typing import Any

import pytest
from agents import Model
from prometheus_client import generate_latest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.pool import NullPool
from tests.conftest import AppMaker, MakeDatabase
from tests.serving.test_memory import told_by

from taskchat import app
from taskchat.assistant.models.asking import NamedModel
from taskchat.moments import new_id
from taskchat.postgres.connect import open_engine
from taskchat.principal import Principal
from taskchat.turns import rehearsal

HEAVY = ("agents", "openai", "mcp", "fastapi", "sqlalchemy", "uvicorn", "alembic", "jwt")


@pytest.mark.parametrize(
    "module",
    [
        "taskchat.commands.cli",
        # What is done while the rest is imported must not import it too.
        "taskchat.commands.place",
        "taskchat.postgres.embedded.cluster",
        # A worker unpickles what this holds before it can say how it collects.
        "taskchat.serving.workers",
    ],
)
def test_what_comes_before_the_service_imports_nothing_of_it(project: Path, module: str) -> None:
    code = f"import sys, json, {module}; print(json.dumps(dict.fromkeys(sys.modules, 1)))"
    imported = told_by(code, project)
    assert [name for name in HEAVY if name in imported] == []


FIRST_TURN = """
import asyncio, json, sys
import httpx
from taskchat.app import create_app
from taskchat.auth.issuing import issue_token
from taskchat.settings import Settings
from taskchat.telemetry.logs import configure_logs
import taskchat.serving.server

async def first_turn():
    settings = Settings(_env_file=None)
    configure_logs(settings)
    app = create_app(settings)
    secret = settings.jwt_secret.get_secret_value()
    token = issue_token("first-turn", secret=secret, ttl_s=600, issuer=None, audience=None)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test", headers=headers, timeout=60
        ) as client:
            assert (await client.get("/readyz")).status_code == 200
            before = set(sys.modules)
            answer = await client.post(
                "/api/first-turn/chat", json={"message": "Add task: Buy groceries"}
            )
            assert answer.json()["tool_calls"], answer.text
            off = {name for name in sys.modules if name.startswith("opentelemetry.sdk")}
            return set(sys.modules) - before | off

print(json.dumps(dict.fromkeys(asyncio.run(first_turn()), 1)))
"""


def test_the_first_turn_imports_nothing_and_a_start_nothing_that_is_off(
    project: Path, database_url: str
) -> None:
    told = told_by(
        FIRST_TURN,
        project,
        DATABASE_URL=database_url,
        TASKCHAT_JWT_SECRET="a secret of more than 32 bytes, for this test",
        TASKCHAT_MODEL="offline",
        TASKCHAT_LOG_LEVEL="error",
    )
    assert list(told) == []


class Untouched(Model):
    """A model that nobody may ask."""

    async def get_response(self, *args: Any, **options: Any) -> Any:
        raise AssertionError("it was asked")

    def stream_response(self, *args: Any, **options: Any) -> Any:
        raise AssertionError("it was asked")


async def test_a_start_leaves_no_row_asks_no_model_and_counts_nothing(
    migrated_database: MakeDatabase, running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.__dict__, "rehearse", rehearsal.rehearse)
    async with migrated_database() as url:
        chain = [NamedModel("untouched", Untouched())]
        before = _model_figures()
        async with running_app(chain=chain, database_url=SecretStr(url), database_direct_url=None):
            assert _model_figures() == before
        engine = open_engine(url, poolclass=NullPool)
        async with engine.connect() as connection:
            tables = await connection.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            )
            left = {
                name: await connection.scalar(text(f"SELECT count(*) FROM {name}"))
                for name in tables.all()
            }
        await engine.dispose()
    # The process itself, and the version of the schema.
    assert {name for name, rows in left.items() if rows} <= {"alembic_version", "processes"}


async def test_what_is_rehearsed_is_a_whole_turn(running_app: AppMaker) -> None:
    principal = Principal(f"rehearsal {new_id()}")
    async with running_app() as running:
        database = running.turns.database
        async with database.transaction(principal) as connection:
            stage = rehearsal._OneTransaction(connection)
            await rehearsal._take_turn(running.turns, principal, stage)
            rows = await connection.execute(
                text(
                    "SELECT (SELECT status FROM turns), (SELECT count(*) FROM messages),"
                    " (SELECT tool_name FROM tool_calls), (SELECT title FROM tasks)"
                )
            )
            assert tuple(rows.one()) == ("completed", 2, "add_task", "rehearse")


def _model_figures() -> list[str]:
    lines = generate_latest().decode().splitlines()
    # That of a new breaker is 0.
    return [
        line
        for line in lines
        if line.startswith("taskchat_model") and "breaker" not in line and "_created" not in line
    ]
