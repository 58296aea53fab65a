"""SQL of housekeeping, and of whoever asks how things stand. System transactions, of anybody's."""

from typing import Final

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.webhooks.store import lanes

_OVER: Final = (
    "(status = 'delivered' AND finished_at < now() - make_interval(hours => :delivered_h))"
    " OR (status = 'dead' AND finished_at < now() - make_interval(hours => :dead_h))"
)
# Waits for an operator's hook that nobody has any more.
_UNWANTED: Final = (
    "(webhook_id IS NULL AND status = 'pending'"
    " AND NOT EXISTS (SELECT FROM operator_webhooks WHERE wanted_until > now()))"
)
_FORGET: Final = text(
    "DELETE FROM webhook_deliveries WHERE (user_id, id) IN (SELECT user_id, id"
    f" FROM webhook_deliveries WHERE {_OVER} OR {_UNWANTED} LIMIT :rows_max"
    " FOR UPDATE SKIP LOCKED)"
)
_PAUSE: Final = text(
    "UPDATE webhooks AS w SET paused_reason = 'backlog', paused_at = coalesce(w.paused_at, now())"
    " FROM (SELECT user_id, webhook_id FROM webhook_deliveries"
    " WHERE status = 'pending' AND webhook_id IS NOT NULL GROUP BY user_id, webhook_id"
    " HAVING count(*) > CAST(:pending_max AS bigint)) AS much"
    " WHERE w.user_id = much.user_id AND w.id = much.webhook_id"
    " AND w.paused_reason IS DISTINCT FROM 'backlog'"
)
_PARK: Final = text(
    "UPDATE webhook_deliveries AS d SET is_first = false FROM webhooks AS w"
    " WHERE w.paused_reason = 'backlog' AND w.paused_at = now() AND d.user_id = w.user_id"
    " AND d.webhook_id = w.id AND d.is_first AND d.leased_until IS NULL"
)
_STANDING: Final = text(
    "SELECT (SELECT count(*) FROM webhooks) AS hooks, (SELECT count(*) FROM webhooks"
    " WHERE paused_reason IN ('failing', 'gone', 'backlog')) AS paused,"
    " count(*) FILTER (WHERE status = 'pending') AS pending,"
    " count(*) FILTER (WHERE status = 'dead') AS dead FROM webhook_deliveries"
)


async def forget_deliveries(
    connection: Connection, *, rows_max: int, delivered_h: int, dead_h: int
) -> int:
    """Delete what has been over for so long; returns how many."""
    values = {"rows_max": rows_max, "delivered_h": delivered_h, "dead_h": dead_h}
    return await connection.change(_FORGET, values)


async def pause_flooded(connection: Connection, *, rows_max: int, pending_max: int) -> int:
    """Pause hooks with too much waiting, all of them at once: there are few. Returns how many."""
    del rows_max
    await lanes.hold_still(connection)
    paused = await connection.change(_PAUSE, {"pending_max": pending_max})
    if paused:
        await connection.change(_PARK, {})
    return paused


async def standing(connection: Connection) -> AnyRow:
    """How many `hooks` there are, how many are `paused` by us, what is `pending` and `dead`."""
    return (await connection.execute(_STANDING)).one()
