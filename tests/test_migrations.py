"""SQLModel and migrations are one truth."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from taskchat.db import Database, async_url
from taskchat.migrations import applied_revision, head, upgrade
from taskchat.resources import resource_path
from taskchat.settings import Settings
from taskchat.tables import metadata

MakeDatabase = Callable[[], AbstractAsyncContextManager[str]]


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resource_path("alembic")))
    config.attributes["url"] = url
    return config


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, metadata))


async def test_an_upgraded_database_is_what_the_models_say(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_two_processes_can_migrate_an_empty_database_at_once(
    empty_database: MakeDatabase, settings: Settings
) -> None:
    async with empty_database() as url:
        program = f"from taskchat.migrations import upgrade; upgrade({url!r})"
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", program) for _ in range(3)
        ]
        async with asyncio.timeout(60):
            assert [await process.wait() for process in processes] == [0, 0, 0]
        database = Database(url, settings)
        assert await applied_revision(database) == head()
        await database.close()


async def test_an_empty_database_is_at_no_revision(
    empty_database: MakeDatabase, settings: Settings
) -> None:
    async with empty_database() as url:
        database = Database(url, settings)
        assert await applied_revision(database) is None
        await database.close()


async def test_a_migration_can_be_taken_back_and_applied_again(
    empty_database: MakeDatabase,
) -> None:
    async with empty_database() as url:
        await asyncio.to_thread(upgrade, url)
        await asyncio.to_thread(command.downgrade, _config(url), "base")
        engine = create_async_engine(async_url(url), poolclass=NullPool)
        async with engine.connect() as connection:
            left = await connection.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            )
            assert set(left) == {"alembic_version"}
        await engine.dispose()
        await asyncio.to_thread(upgrade, url)


def test_env_refuses_to_run_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    config = _config("")
    config.attributes["url"] = None
    with pytest.raises(SystemExit, match="DATABASE_URL"):
        command.current(config)
