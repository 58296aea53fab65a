"""Deletes what nobody will ask for again: keys, events, buckets, what dead processes have left.

And pauses conversations in which nothing is said any more.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from taskchat.conversations import repository as conversations
from taskchat.limits import repository as limits
from taskchat.postgres.database import Connection, Database
from taskchat.presence import repository as presence
from taskchat.processes import repository as processes
from taskchat.settings import Settings
from taskchat.turns import store

ROWS_AT_ONCE: Final = 1000
"""Rows changed in one transaction, so that no transaction is long."""

EVERY_S: Final = 300.0
"""It harms nobody if something lives five minutes longer than it must."""


async def keep_house(database: Database, settings: Settings) -> None:
    """Delete whatever is past its time, and pause what is idle."""
    await _all(
        database,
        lambda connection: store.claim.forget_keys(
            connection, retention_h=settings.idempotency_retention_h, keys_max=ROWS_AT_ONCE
        ),
    )
    await _all(
        database,
        lambda connection: store.events.prune(
            connection, retention_h=settings.event_retention_h, rows_max=ROWS_AT_ONCE
        ),
    )
    await _all(database, lambda connection: limits.forget_idle(connection, rows_max=ROWS_AT_ONCE))
    if settings.conversation_idle_h:
        await _all(
            database,
            lambda connection: conversations.pause_idle(
                connection, idle_h=settings.conversation_idle_h, rows_max=ROWS_AT_ONCE
            ),
        )
    async with database.system_transaction() as connection:
        await presence.forget_dead(connection, lease_s=settings.lease_s)
        await processes.forget_dead(connection)


async def _all(database: Database, some: Callable[[Connection], Awaitable[int]]) -> None:
    changed = ROWS_AT_ONCE
    while changed >= ROWS_AT_ONCE:
        async with database.system_transaction() as connection:
            changed = await some(connection)
