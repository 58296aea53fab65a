"""Runs migrations on one connection, under a lock: two processes may start at once."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from taskchat.db import async_url
from taskchat.settings import Settings
from taskchat.tables import metadata

MIGRATION_LOCK = 7_236_521_884
"""An arbitrary number that only migrations of this service lock."""


def database_url() -> str:
    """What `taskchat migrate` hands over, else the environment's."""
    given = context.config.attributes.get("url")
    if given is not None:
        return str(given)
    url = Settings().direct_url
    if url is None:
        raise SystemExit("Set DATABASE_URL first.")
    return url.get_secret_value()


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


async def run_online() -> None:
    engine = create_async_engine(async_url(database_url()), poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


asyncio.run(run_online())
