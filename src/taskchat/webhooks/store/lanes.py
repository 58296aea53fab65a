"""Lanes: of what waits for one webhook in one conversation, one row is the first.

Whoever notes an event only inserts it: no turn waits for anybody's lock here. Senders place it
later; whoever finishes the first of a lane makes the next one first, in webhook_next_1.sql. The two
exclude each other, lest both leave it to the other.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import Connection
from taskchat.principal import Principal

PLACED_MAX: Final = 1000
"""So many are placed at once; nobody finishes anything meanwhile."""

ORDER: Final = 4_807_115_230
"""An arbitrary number that only the order of lanes locks."""

_ALONE: Final = text("SELECT pg_advisory_xact_lock(:key)")
_TOGETHER: Final = text("SELECT pg_advisory_xact_lock_shared(:key)")
_ALONE_IF_NEW: Final = text(
    "SELECT pg_advisory_xact_lock(:key) FROM (SELECT FROM webhook_deliveries"
    " WHERE status = 'pending' AND is_first IS NULL LIMIT 1) AS found"
)
_PLACE: Final = text(
    "UPDATE webhook_deliveries AS d SET is_first = new.place = 1"
    # Of a paused hook nothing is sent, and nobody should have to look over it.
    " AND (d.webhook_id IS NULL OR EXISTS (SELECT FROM webhooks AS w WHERE w.user_id = d.user_id"
    " AND w.id = d.webhook_id AND w.paused_reason IS NULL))"
    " AND NOT EXISTS (SELECT FROM webhook_deliveries AS f WHERE f.user_id = d.user_id"
    " AND f.lane = d.lane AND f.is_first)"
    " FROM (SELECT q.user_id, q.id,"
    " row_number() OVER (PARTITION BY q.user_id, q.lane ORDER BY q.seq) AS place"
    " FROM (SELECT user_id, id, lane, seq FROM webhook_deliveries"
    " WHERE status = 'pending' AND is_first IS NULL ORDER BY seq LIMIT :rows_max) AS q) AS new"
    " WHERE d.user_id = new.user_id AND d.id = new.id"
)
# What is being sent stays the first of its lane.
_PARK: Final = text(
    "UPDATE webhook_deliveries SET is_first = false"
    " WHERE user_id = :owner AND webhook_id = :hook AND is_first AND leased_until IS NULL"
)
_PLACE_AGAIN: Final = text(
    "UPDATE webhook_deliveries SET next_at = least(next_at, now()),"
    " is_first = CASE WHEN is_first THEN true END"
    " WHERE user_id = :owner AND webhook_id = :hook AND status = 'pending'"
)
_PLACE_OPERATORS_AGAIN: Final = text(
    "UPDATE webhook_deliveries SET is_first = NULL"
    " WHERE webhook_id IS NULL AND status = 'pending' AND NOT is_first"
)


async def place(connection: Connection) -> None:
    """Find out which of the new deliveries are first. A system transaction."""
    if (await connection.execute(_ALONE_IF_NEW, {"key": ORDER})).all():
        await connection.change(_PLACE, {"rows_max": PLACED_MAX})


async def place_operators_again(connection: Connection) -> None:
    """The same of all that waits for the operator's hook, of which some is gone. The system's."""
    await connection.execute(_ALONE, {"key": ORDER})
    await connection.change(_PLACE_OPERATORS_AGAIN, {})


async def hold_order(connection: Connection) -> None:
    """Before something is finished: nothing is placed until this transaction ends."""
    await connection.execute(_TOGETHER, {"key": ORDER})


async def hold_still(connection: Connection) -> None:
    """Before a hook is paused or made active: nothing is finished or placed meanwhile."""
    await connection.execute(_ALONE, {"key": ORDER})


async def park(connection: Connection, principal: Principal, hook: UUID) -> None:
    """Let nobody look at what waits for a hook that is paused. Its user's."""
    await connection.change(_PARK, {"owner": principal.user_id, "hook": hook})


async def place_again(connection: Connection, principal: Principal, hook: UUID) -> None:
    """Make what waits for a hook due, and place it. Its user's, after `hold_still`."""
    await connection.change(_PLACE_AGAIN, {"owner": principal.user_id, "hook": hook})
