"""SQLModel and migrations are one truth."""

import ast
import asyncio
import contextlib
import os
import random
import re
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from tests.conftest import AppMaker, MakeDatabase

from taskchat.moments import new_id
from taskchat.postgres.connect import open_engine
from taskchat.postgres.database import Database
from taskchat.postgres.migrations import (
    COMPARISON,
    MIGRATION_LOCK,
    Schema,
    SchemaError,
    head,
    schema_of,
    upgrade,
)
from taskchat.resources import resource_path
from taskchat.settings import Settings
from taskchat.tables import metadata


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
    context = MigrationContext.configure(connection, opts=dict(COMPARISON))
    return list(compare_metadata(context, metadata))


async def test_an_upgraded_database_is_what_the_models_say(superuser: AsyncEngine) -> None:
    async with superuser.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_two_processes_can_migrate_an_empty_database_at_once(
    empty_database: MakeDatabase, settings: Settings
) -> None:
    async with empty_database() as url:
        program = f"from taskchat.postgres.migrations import upgrade; upgrade({url!r})"
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", program) for _ in range(3)
        ]
        async with asyncio.timeout(60):
            assert [await process.wait() for process in processes] == [0, 0, 0]
        database = Database(url, settings)
        assert await schema_of(database) == Schema("fits", head(), None)
        await database.close()


async def test_a_migration_can_be_taken_back_and_applied_again(
    empty_database: MakeDatabase,
) -> None:
    async with empty_database() as url:
        await asyncio.to_thread(upgrade, url)
        await asyncio.to_thread(command.downgrade, _config(url), "base")
        engine = open_engine(url, poolclass=NullPool)
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
        engine = open_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        own = make_url(url).set(username=login, password="x")
        config = _config(own.render_as_string(hide_password=False))
        async with engine.connect() as connection:
            for statement in (
                # One that may make no roles; and one that inherited from these would see turns.
                f"CREATE ROLE {login} LOGIN NOINHERIT PASSWORD 'x'",
                f"ALTER DATABASE {own.database} OWNER TO {login}",
                # The roles belong to the cluster; `database_url` has made them.
                f"GRANT taskchat_app, taskchat_system, taskchat_reader TO {login}",
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


# --- how a schema stands to the code ---


@contextlib.asynccontextmanager
async def _prepared(make: MakeDatabase, *statements: str) -> AsyncIterator[tuple[str, AsyncEngine]]:
    """A database with what the statements make, and a login that sees every row."""
    async with make() as url:
        engine = open_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        await _execute(engine, *statements)
        try:
            yield url, engine
        finally:
            await engine.dispose()


async def _execute(engine: AsyncEngine, *statements: str) -> None:
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def _standing(url: str, settings: Settings) -> Schema:
    database = Database(url, settings)
    try:
        return await schema_of(database)
    finally:
        await database.close()


VERSIONS = "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY)"


@pytest.mark.parametrize(
    ("statements", "standing", "words"),
    [
        ([], "behind", "lacks migrations, all of them"),
        ([VERSIONS], "behind", "lacks migrations, all of them"),
        ([VERSIONS, "INSERT INTO alembic_version VALUES ('0003')"], "behind", "is at 0003"),
        ([VERSIONS, "INSERT INTO alembic_version VALUES ('5f3a9c')"], "newer", "5f3a9c"),
        (
            [VERSIONS, "INSERT INTO alembic_version VALUES ('0003'), ('0004')"],
            "unclear",
            "0003, 0004",
        ),
        (
            [VERSIONS, "INSERT INTO alembic_version VALUES ('0004'), ('0005')"],
            "unclear",
            "0004, 0005",
        ),
        (["CREATE TABLE alembic_version (version integer)"], "unclear", "is not taskchat's"),
        (["CREATE TABLE account (id int)"], "behind", "something else (account)"),
        (
            [f'CREATE TABLE "{name}" (id int)' for name in ("a b", "User", "o'x", "tasks", "z")],
            "behind",
            "(User, a b, o'x, …)",
        ),
    ],
)
async def test_how_a_schema_stands_is_said_in_one_sentence(
    empty_database: MakeDatabase,
    settings: Settings,
    statements: list[str],
    standing: str,
    words: str,
) -> None:
    async with _prepared(empty_database, *statements) as (url, _):
        schema = await _standing(url, settings)
        assert schema.standing == standing
        assert schema.problem is not None
        assert words in schema.problem
        assert "\n" not in schema.problem
        if standing in {"newer", "unclear"}:
            with pytest.raises(SchemaError) as refused:
                await asyncio.to_thread(upgrade, url)
            assert str(refused.value) == schema.problem


@dataclass(frozen=True)
class Login:
    """A login without any right, and the database that it is for.

    Attributes:
        name: Of the login.
        url: The database's address, for who may do all.
        engine: The same.
        address: The database's address, for the login.
    """

    name: str
    url: str
    engine: AsyncEngine
    address: str


@contextlib.asynccontextmanager
async def _plain_login(empty_database: MakeDatabase) -> AsyncIterator[Login]:
    name = f"plain_{new_id().hex}"
    async with _prepared(empty_database, f"CREATE ROLE {name} LOGIN PASSWORD 'x'") as (url, engine):
        own = make_url(url).set(username=name, password="x")
        try:
            yield Login(name, url, engine, own.render_as_string(hide_password=False))
        finally:
            await _execute(engine, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


async def test_a_login_that_may_not_act_for_the_service_is_told_what_to_grant(
    empty_database: MakeDatabase, settings: Settings, database_url: str
) -> None:
    async with _plain_login(empty_database) as login:
        await asyncio.to_thread(upgrade, login.url)
        for granted in ("", f"GRANT SELECT ON alembic_version TO {login.name}"):
            await _execute(login.engine, *filter(None, [granted]))
            schema = await _standing(login.address, settings)
            assert schema.standing == "unclear"
            assert schema.problem is not None
            assert "GRANT taskchat_app, taskchat_system, taskchat_reader TO it" in schema.problem


async def test_a_login_that_may_not_act_for_readers_of_links_is_told_what_to_grant(
    empty_database: MakeDatabase, settings: Settings, database_url: str
) -> None:
    async with _plain_login(empty_database) as login:
        await asyncio.to_thread(upgrade, login.url)
        await _execute(login.engine, f"GRANT taskchat_app, taskchat_system TO {login.name}")
        schema = await _standing(login.address, settings)
        assert schema.standing == "unclear"
        assert schema.problem is not None
        assert schema.problem.startswith("this login may not act as taskchat_reader; ")
        await _execute(login.engine, f"GRANT taskchat_reader TO {login.name}")
        assert await _standing(login.address, settings) == Schema("fits", head(), None)


async def test_who_serves_already_may_act_for_readers_once_the_migration_is_applied(
    empty_database: MakeDatabase, settings: Settings, database_url: str
) -> None:
    async with _plain_login(empty_database) as login:
        await asyncio.to_thread(command.upgrade, _config(login.url), "0013")
        await _execute(login.engine, f"GRANT taskchat_app, taskchat_system TO {login.name}")
        await asyncio.to_thread(upgrade, login.url)
        assert await _standing(login.address, settings) == Schema("fits", head(), None)


async def test_tables_of_something_else_are_left_alone(
    empty_database: MakeDatabase, settings: Settings
) -> None:
    theirs = ("CREATE TABLE account (id int)", "INSERT INTO account VALUES (7)")
    async with _prepared(empty_database, *theirs) as (url, engine):
        await asyncio.to_thread(upgrade, url)
        assert (await _standing(url, settings)).standing == "fits"
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT id FROM account")) == 7


async def test_a_database_whose_tables_have_our_names_is_refused_and_stays_as_it_was(
    empty_database: MakeDatabase,
) -> None:
    async with _prepared(empty_database, "CREATE TABLE tasks (id int)") as (url, engine):
        with pytest.raises(SchemaError, match='"tasks" already exists; no revision'):
            await asyncio.to_thread(upgrade, url)
        async with engine.connect() as connection:
            left = await connection.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            )
            assert list(left) == ["tasks"]


async def test_a_database_that_lost_its_revision_is_refused(empty_database: MakeDatabase) -> None:
    async with _prepared(empty_database) as (url, engine):
        await asyncio.to_thread(upgrade, url)
        await _execute(engine, "DELETE FROM alembic_version")
        with pytest.raises(SchemaError, match="restore this one from a backup"):
            await asyncio.to_thread(upgrade, url)


async def test_what_keeps_a_database_from_being_migrated_is_said_with_what_helps(
    empty_database: MakeDatabase,
) -> None:
    async with _prepared(empty_database) as (url, engine):
        name = make_url(url).database
        await _execute(engine, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        for address, mend in (
            (url, "point TASKCHAT_DATABASE_DIRECT_URL at the server that takes writes"),
            (url.replace(str(name), "no_such_name"), "create it, or name another in DATABASE_URL"),
            ("postgresql://127.0.0.1:1/d", "check DATABASE_URL and the server"),
        ):
            with pytest.raises(SchemaError, match=mend):
                await asyncio.to_thread(upgrade, address)


async def test_a_process_that_was_ready_stays_so_when_the_next_release_migrates(
    empty_database: MakeDatabase, running_app: AppMaker
) -> None:
    async with _prepared(empty_database) as (url, engine):
        await asyncio.to_thread(upgrade, url)
        async with running_app(database_url=SecretStr(url)) as running:
            ready = await running.client.get("/readyz")
            assert ready.status_code == 200
            assert ready.json() == {
                "status": "ok",
                "database": True,
                "migrations": True,
                "draining": False,
            }
            await _execute(engine, "UPDATE alembic_version SET version_num = '9999'")
            outgrown = await running.client.get("/readyz")
            assert outgrown.status_code == 200
            assert outgrown.json()["migrations"] is False
            assert "revision 9999" in outgrown.json()["problem"]
            await _execute(engine, "UPDATE alembic_version SET version_num = '0003'")
            behind = await running.client.get("/readyz")
            assert (behind.status_code, behind.json()["status"]) == (503, "not_ready")
            assert "is at 0003" in behind.json()["problem"]
        await _execute(engine, "UPDATE alembic_version SET version_num = '9999'")
        async with running_app(database_url=SecretStr(url)) as running:
            never = await running.client.get("/readyz")
            assert never.status_code == 503
            assert "revision 9999" in never.json()["problem"]


# --- migrating beside a service at work ---

MANY_TURNS = 12_000
"""More than two batches."""

MANY = (
    "INSERT INTO users (id) SELECT 'u' || n FROM generate_series(0, 49) AS n",
    "INSERT INTO conversations (user_id, id)"
    f" SELECT 'u' || n, '{NOBODYS}' FROM generate_series(0, 49) AS n",
    "INSERT INTO turns (user_id, id, conversation_id, number, channel, status, finished_at, model,"
    " model_calls, input_tokens, output_tokens)"
    f" SELECT 'u' || n % 50, gen_random_uuid(), '{NOBODYS}', n / 50 + 1, 'rest',"
    " CASE WHEN n % 11 = 0 THEN 'running' ELSE 'completed' END,"
    " CASE WHEN n % 11 = 0 THEN NULL ELSE now() - n * interval '1 minute' END,"
    " CASE WHEN n % 7 = 0 THEN 'offline' WHEN n % 5 = 0 THEN NULL ELSE 'gpt' END, n % 4, n, 1"
    f" FROM generate_series(1, {MANY_TURNS}) AS n",
)

COUNTED = (
    "SELECT user_id, day, model, turns, model_calls, input_tokens, cached_input_tokens,"
    " output_tokens, cost, unpriced_calls FROM usage_days WHERE user_id <> 'writer'"
    " ORDER BY 1, 2, 3"
)
EXPECTED = (
    "SELECT user_id, (finished_at AT TIME ZONE 'UTC')::date, model, count(*), sum(model_calls),"
    " sum(input_tokens), 0, sum(output_tokens), 0,"
    " sum(CASE WHEN model = 'offline' THEN 0 ELSE model_calls END) FROM turns"
    " WHERE finished_at IS NOT NULL AND model IS NOT NULL AND user_id <> 'writer'"
    " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)

CATALOG = (
    "SELECT c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
    " pg_get_expr(d.adbin, d.adrelid), a.attacl::text FROM pg_class c JOIN pg_attribute a"
    " ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
    " WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 ORDER BY 1, 3",
    "SELECT relname, relkind, relrowsecurity, relforcerowsecurity, relacl::text FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies"
    " ORDER BY 1, 2",
)

LOOKING_STATEMENTS = 11
"""So many at least only look; nothing is interrupted by a death among them."""

APART = int(os.environ.get("MIGRATION_STATEMENTS_APART", "3"))
"""Statements from one death to the next, on average; `make migrations` leaves none out."""

SEED = int(os.environ.get("MIGRATION_SEED", "1"))
"""Of which are left out."""

DYING = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from taskchat.postgres.migrations import upgrade

statements = int(sys.argv[2])
while True:
    child = os.fork()
    if child == 0:
        left = statements

        @event.listens_for(Engine, "before_cursor_execute")
        def die(*_):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        upgrade(sys.argv[1])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        print("done", os.waitstatus_to_exitcode(status), flush=True)
        break
    print("killed", statements, flush=True)
    statements += int(sys.stdin.readline())
"""
"""Migrates again and again, each time killed as much later as it is told, until it has its end."""


async def _rows(engine: AsyncEngine, statement: str) -> list[tuple[object, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def _write(engine: AsyncEngine, written: list[int]) -> None:
    """End turns as the release before usage does, in one conversation after the other."""
    await _execute(
        engine,
        "INSERT INTO users (id) VALUES ('writer')",
        f"INSERT INTO conversations (user_id, id) VALUES ('writer', '{NOBODYS}')",
    )
    async with engine.connect() as connection:
        while True:
            number = len(written) + 1
            await connection.execute(text(_turn(number, "writer", "NULL", "NULL", "0, 0, 0")))
            await connection.execute(
                text(
                    "UPDATE turns SET status = 'completed', finished_at = now(), model = 'gpt',"
                    f" model_calls = 1 WHERE user_id = 'writer' AND number = {number}"
                )
            )
            written.append(number)
            await asyncio.sleep(0.05)


@pytest.mark.long
async def test_a_migration_killed_at_any_statement_goes_on_beside_writers_and_counts_each_turn_once(
    empty_database: MakeDatabase, superuser: AsyncEngine
) -> None:
    print(f"MIGRATION_SEED={SEED}")
    draw = random.Random(SEED)
    async with _prepared(empty_database) as (url, engine):
        await asyncio.to_thread(command.upgrade, _config(url), "0003")
        await _execute(engine, *MANY)
        expected = await _rows(engine, EXPECTED)
        written: list[int] = []
        writer = asyncio.create_task(_write(engine, written))
        dying = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            DYING,
            url,
            str(LOOKING_STATEMENTS),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert dying.stdin is not None
        assert dying.stdout is not None
        counted: list[int] = []
        try:
            async with asyncio.timeout(600):
                while (told := (await dying.stdout.readline()).split()) and told[0] == b"killed":
                    [(days,)] = await _rows(engine, "SELECT to_regclass('usage_days')::text")
                    if days is not None:
                        counted += [len(await _rows(engine, COUNTED))]
                    # None is left out while turns are counted: that takes few statements.
                    rare = bool(counted) and counted[-1] == len(expected)
                    later = draw.randint(1, 2 * APART - 1) if rare else 1
                    dying.stdin.write(b"%d\n" % later)
                await dying.wait()
            assert told == [b"done", b"0"]
            assert len(set(counted)) > 2, "it was not killed between batches"
            assert not writer.done(), "it was in the way of a writer"
        finally:
            if dying.returncode is None:
                dying.kill()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        assert await _rows(engine, COUNTED) == expected
        [(of_writer,)] = await _rows(
            engine, "SELECT coalesce(sum(turns), 0)::int FROM usage_days WHERE user_id = 'writer'"
        )
        assert isinstance(of_writer, int)
        assert of_writer <= len(written) + 1
        # The tables are those of a database that never had anything else.
        for statement in CATALOG:
            assert await _rows(engine, statement) == await _rows(superuser, statement)


def _operations(script: Script, name: str) -> Iterator[ast.Call]:
    """The calls of one of Alembic's operations in a migration."""
    for node in ast.walk(ast.parse(Path(script.path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"op.{name}":
            yield node


def test_an_index_on_a_table_of_before_is_made_concurrently() -> None:
    blocking = []
    for script in ScriptDirectory.from_config(_config("")).walk_revisions():
        own = {ast.unparse(call.args[0]) for call in _operations(script, "create_table")}
        for call in _operations(script, "create_index"):
            options = [option.arg for option in call.keywords]
            if ast.unparse(call.args[1]) not in own and "postgresql_concurrently" not in options:
                blocking.append(f"{script.revision}: {ast.unparse(call)}")
        for line in Path(script.path).read_text(encoding="utf-8").splitlines():
            if re.search(r"\bCREATE (UNIQUE )?INDEX (?!CONCURRENTLY)", line):
                blocking.append(f"{script.revision}: {line}")
    assert blocking == []


async def test_a_table_in_use_is_asked_for_again_and_then_named(
    empty_database: MakeDatabase, settings: Settings
) -> None:
    patient = settings.model_copy(update={"migration_lock_timeout_s": 0.2})
    hasty = patient.model_copy(update={"migration_attempts": 1})
    slow = settings.model_copy(
        update={"migration_lock_timeout_s": 60, "migration_statement_timeout_s": 0.2}
    )
    async with _prepared(empty_database) as (url, engine):
        await asyncio.to_thread(command.upgrade, _config(url), "0003")
        async with engine.connect() as reader:
            await reader.execution_options(isolation_level="READ COMMITTED")
            await reader.execute(text("SELECT FROM model_answers"))
            for limits, variable in (
                (hasty, "TASKCHAT_MIGRATION_ATTEMPTS"),
                (slow, "TASKCHAT_MIGRATION_STATEMENT_TIMEOUT_S"),
            ):
                with pytest.raises(SchemaError, match=variable):
                    await asyncio.to_thread(upgrade, url, settings=limits)
            loop, told = asyncio.get_running_loop(), asyncio.Queue[str]()

            def tell(line: str) -> None:
                loop.call_soon_threadsafe(told.put_nowait, line)

            migrating = asyncio.create_task(
                asyncio.to_thread(upgrade, url, settings=patient, tell=tell)
            )
            assert (await told.get()).startswith("Applying 0004: Usage")
            assert (await told.get()).startswith("A table is in use")
        async with asyncio.timeout(60):
            await migrating
        assert (await _standing(url, settings)).standing == "fits"


async def test_what_a_killed_process_commits_at_the_last_moment_is_not_done_again(
    empty_database: MakeDatabase, settings: Settings
) -> None:
    patient = settings.model_copy(update={"migration_lock_timeout_s": 0.2})
    async with _prepared(empty_database) as (url, engine):
        await asyncio.to_thread(command.upgrade, _config(url), "0003")
        loop, told = asyncio.get_running_loop(), asyncio.Queue[str]()

        def tell(line: str) -> None:
            loop.call_soon_threadsafe(told.put_nowait, line)

        async with engine.connect() as killed:
            await killed.execution_options(isolation_level="READ COMMITTED")
            await killed.execute(text(f"UPDATE alembic_version SET version_num = '{head()}'"))
            migrating = asyncio.create_task(
                asyncio.to_thread(upgrade, url, settings=patient, tell=tell)
            )
            assert (await told.get()).startswith("A table is in use")
            await killed.commit()
        async with asyncio.timeout(60):
            await migrating
        assert all(told.get_nowait().startswith("A table") for _ in range(told.qsize()))


async def test_who_waits_for_another_to_migrate_is_in_nobodys_way(
    empty_database: MakeDatabase, settings: Settings
) -> None:
    hasty = settings.model_copy(update={"migration_lock_timeout_s": 0.001})
    async with _prepared(empty_database, "CREATE TABLE account (id int)") as (url, engine):
        loop, told = asyncio.get_running_loop(), asyncio.Queue[str]()

        def tell(line: str) -> None:
            loop.call_soon_threadsafe(told.put_nowait, line)

        async with engine.connect() as other:
            await other.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
            migrating = asyncio.create_task(
                asyncio.to_thread(upgrade, url, settings=hasty, tell=tell)
            )
            assert (await told.get()).startswith("Waiting for another process")
            # It would wait for every snapshot that is held.
            async with asyncio.timeout(60):
                await other.execute(text("CREATE INDEX CONCURRENTLY ON account (id)"))
            assert told.empty()
            await other.execute(text("SELECT pg_advisory_unlock_all()"))
        async with asyncio.timeout(60):
            await migrating
        scripts = ScriptDirectory.from_config(_config(url)).walk_revisions()
        assert told.qsize() == len(list(scripts))
