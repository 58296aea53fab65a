"""SQL of hooks and of what is listed of their deliveries. Every statement names the owner."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal
from taskchat.webhooks.schemas import DeliveryOut, WebhookOut
from taskchat.webhooks.store import lanes

_SHOWN: Final = (
    "w.id, w.url, w.events, CASE WHEN w.paused_reason IS NULL THEN 'active' ELSE 'paused' END"
    " AS status, w.paused_reason, w.paused_at, w.failing_since,"
    " (SELECT CAST(count(*) AS int) FROM webhook_deliveries AS d WHERE d.user_id = w.user_id"
    " AND d.webhook_id = w.id AND d.status = 'pending') AS pending, w.created_at"
)
_HOLD_USER: Final = text("SELECT id FROM users WHERE id = :owner FOR NO KEY UPDATE")
_COUNT: Final = text("SELECT count(*) FROM webhooks WHERE user_id = :owner")
_MAKE: Final = text(
    "INSERT INTO webhooks AS w (user_id, id, url, events, secret)"
    f" VALUES (:owner, :id, :url, CAST(:events AS text[]), :secret) RETURNING {_SHOWN}"
)
_LIST: Final = text(
    f"SELECT {_SHOWN} FROM webhooks AS w WHERE w.user_id = :owner"
    " AND (CAST(:after AS uuid) IS NULL OR w.id < :after) ORDER BY w.id DESC LIMIT :rows_max"
)
_FIND: Final = text(f"SELECT {_SHOWN} FROM webhooks AS w WHERE w.user_id = :owner AND w.id = :id")
_CHANGE: Final = text(
    "UPDATE webhooks AS w SET url = coalesce(:url, w.url),"
    " events = CASE WHEN :with_events THEN CAST(:events AS text[]) ELSE w.events END,"
    # Who pauses one that is paused already learns why it was.
    " paused_reason = CASE CAST(:status AS text) WHEN 'active' THEN NULL"
    " WHEN 'paused' THEN coalesce(w.paused_reason, 'user') ELSE w.paused_reason END,"
    " paused_at = CASE CAST(:status AS text) WHEN 'active' THEN NULL"
    " WHEN 'paused' THEN coalesce(w.paused_at, now()) ELSE w.paused_at END,"
    " failing_since = CASE CAST(:status AS text) WHEN 'active' THEN NULL"
    " ELSE w.failing_since END"
    " WHERE w.user_id = :owner AND w.id = :id"
)
_ROTATE: Final = text(
    "UPDATE webhooks SET previous_secret = secret, secret = :secret,"
    " previous_until = now() + make_interval(hours => :overlap_h)"
    " WHERE user_id = :owner AND id = :id"
)
_DELETE: Final = text("DELETE FROM webhooks WHERE user_id = :owner AND id = :id")
_DELIVERY: Final = (
    "d.id, d.event, CAST(d.data AS json) ->> 'conversation_id' AS conversation_id,"
    " CAST(d.data AS json) ->> 'turn_id' AS turn_id,"
    " CAST(CAST(d.data AS json) ->> 'task_id' AS int) AS task_id, d.status, d.attempts,"
    " d.last_status, d.last_error, CASE WHEN d.status = 'pending' THEN d.next_at END AS next_at,"
    " d.created_at, d.finished_at"
)
_DELIVERIES: Final = text(
    f"SELECT {_DELIVERY} FROM webhook_deliveries AS d"
    " WHERE d.user_id = :owner AND d.webhook_id = :hook"
    " AND (CAST(:status AS text) IS NULL OR d.status = :status)"
    " AND (CAST(:after AS uuid) IS NULL OR d.id < :after) ORDER BY d.id DESC LIMIT :rows_max"
)
_REPLAY: Final = text(
    "UPDATE webhook_deliveries AS d SET status = 'pending', attempts = 0, next_at = now(),"
    " due_since = now(), finished_at = NULL WHERE d.user_id = :owner AND d.webhook_id = :hook"
    f" AND d.id = :id AND d.status <> 'pending' RETURNING {_DELIVERY}"
)
_FIND_DELIVERY: Final = text(
    f"SELECT {_DELIVERY} FROM webhook_deliveries AS d"
    " WHERE d.user_id = :owner AND d.webhook_id = :hook AND d.id = :id"
)


def _webhook(row: AnyRow) -> WebhookOut:
    return WebhookOut.model_construct(**row)


async def hold_user(connection: Connection, principal: Principal) -> bool:
    """Lock the user's row: of two hooks made at once, the second counts the first.

    False if the user was deleted.
    """
    return await connection.scalar(_HOLD_USER, {"owner": principal.user_id}) is not None


async def count(connection: Connection, principal: Principal) -> int:
    """How many hooks the user has."""
    return int(await connection.scalar(_COUNT, {"owner": principal.user_id}))


async def make(
    connection: Connection,
    principal: Principal,
    id_: UUID,
    *,
    url: str,
    events: Sequence[str] | None,
    secret: bytes,
) -> WebhookOut:
    """Keep a hook."""
    values = {"id": id_, "url": url, "events": events, "secret": secret}
    return _webhook((await connection.execute(_MAKE, _mine(principal, **values))).one())


async def listed(
    connection: Connection, principal: Principal, *, after: UUID | None, limit: int
) -> list[WebhookOut]:
    """The user's hooks, the newest first, from behind one of them."""
    values = _mine(principal, after=after, rows_max=limit)
    return [_webhook(row) for row in await connection.execute(_LIST, values)]


async def find(connection: Connection, principal: Principal, id_: UUID) -> WebhookOut | None:
    """One hook; None if the user has none of this id."""
    row = (await connection.execute(_FIND, _mine(principal, id=id_))).one_or_none()
    return _webhook(row) if row else None


async def change(
    connection: Connection,
    principal: Principal,
    id_: UUID,
    *,
    url: str | None,
    with_events: bool,
    events: Sequence[str] | None,
    status: str | None,
) -> bool:
    """Change what is given; made active, it is sent at once what waits. False: no such hook."""
    values = {"id": id_, "url": url, "with_events": with_events, "events": events}
    if status is not None:
        await lanes.hold_still(connection)
    changed = await connection.change(_CHANGE, _mine(principal, **values, status=status))
    if changed and status == "active":
        await lanes.place_again(connection, principal, id_)
    elif changed and status == "paused":
        await lanes.park(connection, principal, id_)
    return changed > 0


async def rotate(
    connection: Connection, principal: Principal, id_: UUID, *, secret: bytes, overlap_h: int
) -> bool:
    """Give it another secret; the one before signs, too, for so long. False: no such hook."""
    values = _mine(principal, id=id_, secret=secret, overlap_h=overlap_h)
    return await connection.change(_ROTATE, values) > 0


async def delete(connection: Connection, principal: Principal, id_: UUID) -> bool:
    """Delete a hook with all that waits for it. False: no such hook."""
    return await connection.change(_DELETE, _mine(principal, id=id_)) > 0


async def deliveries(
    connection: Connection,
    principal: Principal,
    hook: UUID,
    *,
    status: str | None,
    after: UUID | None,
    limit: int,
) -> list[DeliveryOut]:
    """Deliveries of a hook, the newest first."""
    values = _mine(principal, hook=hook, status=status, after=after, rows_max=limit)
    return [DeliveryOut(**row) for row in await connection.execute(_DELIVERIES, values)]


async def replay(
    connection: Connection, principal: Principal, hook: UUID, id_: UUID
) -> DeliveryOut | None:
    """Send a delivery again, under its old id. One that waits is left as it is.

    None if the hook has no such delivery.
    """
    values = _mine(principal, hook=hook, id=id_)
    for statement in (_REPLAY, _FIND_DELIVERY):
        row = (await connection.execute(statement, values)).one_or_none()
        if row is not None:
            return DeliveryOut(**row)
    return None


def _mine(principal: Principal, **values: object) -> dict[str, object]:
    return {"owner": principal.user_id, **values}
