"""Runs migrations: one process at a time, and never in the way of one that serves.

Each migration is a transaction of its own. One that waits for a table lets go before those who
wait behind it notice, and tries again.
"""

import asyncio
import contextlib
import functools
from collections.abc import Iterator

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from taskchat.postgres.connect import open_engine
from taskchat.postgres.migrations import (
    BUSY,
    COMPARISON,
    MIGRATION_LOCK,
    Schema,
    SchemaError,
    read_schema,
)
from taskchat.settings import Settings
from taskchat.tables import metadata

LOOK_S = 0.5
"""How often to check whether another process has finished migrating."""

PAUSE_S = 1
"""Whatever holds a table may be gone by then; the pause doubles after each attempt."""

PAUSE_MAX_S = 15
"""A table that is busy for minutes need not be asked for more often than this."""

NO_LIMIT = text(
    # The second is known from Postgres 17 on.
    "SELECT set_config(name, '0', true) FROM pg_settings"
    " WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
)
ALONE = text("SELECT pg_try_advisory_xact_lock(:key)")
# The driver leaves a query open, with its snapshot, until the next statement; an index that is
# built concurrently would wait for it. This statement needs none.
NO_SNAPSHOT = text("SAVEPOINT alone")
LIMITS = text(
    "SELECT set_config('lock_timeout', :lock, false),"
    " set_config('statement_timeout', :statement, false)"
)


def settings() -> Settings:
    return context.config.attributes.get("settings") or Settings()


def database_url() -> str:
    """The address that `taskchat migrate` hands over, else the environment's."""
    given = context.config.attributes.get("url")
    if given is not None:
        return str(given)
    url = settings().direct_url
    if url is None:
        raise SystemExit("Set DATABASE_URL first.")
    return url.get_secret_value()


def tell(line: str) -> None:
    to = context.config.attributes.get("tell")
    if to is not None:
        # Nobody may be there to read it; the work goes on.
        with contextlib.suppress(OSError, ValueError):
            to(line)


async def alone(connection: AsyncConnection) -> None:
    """Wait until no other process migrates; the lock is kept until the transaction ends.

    The lock belongs to the transaction: a transaction pooler would hand the session to others. It
    is polled for, because a statement that waits keeps a snapshot, and an index that the other
    process builds concurrently waits for all snapshots.
    """
    told = False
    while True:
        await connection.execute(NO_LIMIT)
        if await connection.scalar(ALONE, {"key": MIGRATION_LOCK}):
            await connection.execute(NO_SNAPSHOT)
            return
        await connection.rollback()
        if not told:
            tell("Waiting for another process that migrates …")
            told = True
        await asyncio.sleep(LOOK_S)


def lines(schema: Schema) -> Iterator[None]:
    """Report each migration as it begins; advanced once before the first and once after each."""
    lacking = list(context.script.iterate_revisions("head", schema.revision or "base"))
    for script in reversed(lacking):
        tell(f"Applying {script.revision}: {script.doc} …")
        yield


def run(connection: Connection, schema: Schema) -> None:
    progress = lines(schema)

    def applied(**_: object) -> None:
        next(progress, None)

    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        on_version_apply=applied,
        **COMPARISON,
    )
    with context.begin_transaction():
        next(progress, None)
        context.run_migrations()


async def attempt(connection: AsyncConnection) -> None:
    """Go on from the revision that the database is at."""
    schema = await read_schema(connection)
    if schema.revision is not None and schema.standing == "behind":
        # The server may be at the last commit of a process that was killed.
        await connection.execute(text("SELECT FROM alembic_version FOR UPDATE"))
        schema = await read_schema(connection)
    # Alembic takes a connection's open transaction for somebody else's, and would not commit it.
    await connection.commit()
    if schema.standing in {"newer", "unclear"}:
        raise SchemaError(schema.problem)
    await connection.run_sync(functools.partial(run, schema=schema))
    await connection.commit()


async def run_online() -> None:
    limits = settings()
    engine = open_engine(database_url(), poolclass=NullPool)
    async with engine.connect() as guard, engine.connect() as connection:
        await alone(guard)
        await connection.execute(
            LIMITS,
            {
                "lock": f"{int(limits.migration_lock_timeout_s * 1000)}ms",
                "statement": f"{int(limits.migration_statement_timeout_s * 1000)}ms",
            },
        )
        for number in range(1, limits.migration_attempts + 1):
            try:
                await attempt(connection)
                break
            except DBAPIError as error:
                busy = getattr(error.orig, "sqlstate", None) in BUSY
                if not busy or number == limits.migration_attempts:
                    raise
                await connection.rollback()
                pause = min(PAUSE_S * 2 ** (number - 1), PAUSE_MAX_S)
                tell(f"A table is in use; trying again in {pause} s …")
                await asyncio.sleep(pause)
    await engine.dispose()


asyncio.run(run_online())
