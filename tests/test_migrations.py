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
from taskchat.moments import new_id
from taskchat.resources import resource_path
from taskchat.settings import Settings
from taskchat.tables import metadata

MakeDatabase = Callable[[], AbstractAsyncContextManager[str]]


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resource_path("alembic")))
    config.attributes["url"] = url
    return config


def _turn(
    number: int, user: str, ended: str, model: str, used: str, status: str = "'failed'"
) -> str:
    return (
        "INSERT INTO turns (user_id, id, conversation_id, number, channel, status, finished_at,"
        f" model, model_calls, input_tokens, output_tokens) VALUES ('{user}', gen_random_uuid(),"
        f" '{NOBODYS}', {number}, 'rest', {status}, {ended}, {model}, {used})"
    )


NOBODYS = "0199f3a0-0000-7000-8000-000000000000"
TURNS_OF_BEFORE = (
    "INSERT INTO users (id) VALUES ('ann'), ('bob')",
    f"INSERT INTO conversations (user_id, id) VALUES ('ann', '{NOBODYS}'), ('bob', '{NOBODYS}')",
    # A day ends at midnight by UTC, whatever the clock on the wall.
    _turn(1, "ann", "'2026-11-20 00:59:59+01'", "'gpt'", "3, 30, 6"),
    _turn(2, "ann", "'2026-11-20 01:00:00+01'", "'gpt'", "3, 30, 6"),
    _turn(3, "ann", "'2026-11-20 23:59:59+00'", "'gpt'", "2, 20, 4", "'completed'"),
    _turn(4, "ann", "'2026-11-20 12:00:00+00'", "'offline'", "2, 0, 0", "'completed'"),
    _turn(5, "ann", "'2026-11-20 12:00:00+00'", "NULL", "0, 0, 0", "'cancelled'"),
    _turn(6, "ann", "NULL", "NULL", "0, 0, 0", "'running'"),
    _turn(1, "bob", "'2026-11-20 12:00:00+00'", "'gpt'", "1, 2147483647, 1"),
    _turn(2, "bob", "'2026-11-21 12:00:00+00'", "'gpt'", "1, 2147483647, 1"),
    _turn(3, "bob", "'2026-11-21 12:00:00+00'", "'gpt'", "1, 2147483647, 1"),
)
"""Turns as they were kept before usage was: of two users, finished or not."""


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


async def test_what_was_used_before_usage_was_kept_is_taken_over_by_a_login_that_is_no_superuser(
    empty_database: MakeDatabase, database_url: str
) -> None:
    async with empty_database() as url:
        login = f"plain_{new_id().hex}"
        engine = create_async_engine(
            async_url(url), poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        own = async_url(url).set(drivername="postgresql", username=login, password="x")
        config = _config(own.render_as_string(hide_password=False))
        async with engine.connect() as connection:
            for statement in (
                # One that may make no roles; and one that inherited from these would see turns.
                f"CREATE ROLE {login} LOGIN NOINHERIT PASSWORD 'x'",
                f"ALTER DATABASE {own.database} OWNER TO {login}",
                # The roles belong to the cluster; `database_url` has made them.
                f"GRANT taskchat_app, taskchat_system TO {login}",
            ):
                await connection.execute(text(statement))
            try:
                await asyncio.to_thread(command.upgrade, config, "0003")
                for statement in TURNS_OF_BEFORE:
                    await connection.execute(text(statement))
                await asyncio.to_thread(command.upgrade, config, "head")
                found = await connection.execute(
                    text(
                        "SELECT user_id, day::text, model, turns, model_calls, input_tokens,"
                        " cached_input_tokens, output_tokens, cost, unpriced_calls"
                        " FROM usage_days ORDER BY user_id, day, model"
                    )
                )
                assert [tuple(row) for row in found] == [
                    ("ann", "2026-11-19", "gpt", 1, 3, 30, 0, 6, 0, 3),
                    ("ann", "2026-11-20", "gpt", 2, 5, 50, 0, 10, 0, 5),
                    ("ann", "2026-11-20", "offline", 1, 2, 0, 0, 0, 0, 0),
                    ("bob", "2026-11-20", "gpt", 1, 1, 2147483647, 0, 1, 0, 1),
                    ("bob", "2026-11-21", "gpt", 2, 2, 4294967294, 0, 2, 0, 2),
                ]
                forced = await connection.scalars(
                    text(
                        "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class"
                        " WHERE relname IN ('turns', 'usage_days', 'model_calls')"
                    )
                )
                assert list(forced) == [True] * 3
            finally:
                await connection.execute(text(f"REASSIGN OWNED BY {login} TO CURRENT_USER"))
                await connection.execute(text(f"DROP OWNED BY {login}"))
                await connection.execute(text(f"DROP ROLE {login}"))
        await engine.dispose()


def test_env_refuses_to_run_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    config = _config("")
    config.attributes["url"] = None
    with pytest.raises(SystemExit, match="DATABASE_URL"):
        command.current(config)
