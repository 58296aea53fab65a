"""SQL of who sends: what it is, what became of it, and what comes next. All in its user's name."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection, Database, Function
from taskchat.postgres.line import Precedence
from taskchat.webhooks.store import lanes
from taskchat.webhooks.store.queue import Held

Outcome = Literal["pending", "dead"]

_READ: Final = Function("webhook_read_1", "id", "lease")
_SENT: Final = Function(
    "webhook_sent_1", "id", "lease", "hook", "status", "order", "lease_s", "go_on"
)
_MINE: Final = "d.user_id = :owner AND d.id = :id AND d.lease = :lease"
# Of a row of a lane, whichever: what was sent may be followed by another under the same lease.
_LET_GO: Final = text(
    "UPDATE webhook_deliveries AS d SET lease = NULL, leased_until = NULL,"
    " attempts = d.attempts - 1"
    " WHERE d.user_id = :owner AND d.lease = :lease AND d.leased_until IS NOT NULL"
)
_FOLLOW: Final = text("SELECT FROM webhook_next_1(:owner, :id, NULL, 0, false)")
_FAILED: Final = text(
    "UPDATE webhook_deliveries AS d SET lease = NULL, leased_until = NULL,"
    " last_status = :status, last_error = :error,"
    " next_at = now() + make_interval(secs => :wait_s), status = CASE WHEN over.it_is THEN 'dead'"
    " ELSE 'pending' END, is_first = CASE WHEN over.it_is THEN NULL ELSE d.is_first END,"
    " finished_at = CASE WHEN over.it_is THEN now() END"
    " FROM (SELECT o.due_since < now() - make_interval(hours => :retry_h) AS it_is"
    " FROM webhook_deliveries AS o WHERE o.user_id = :owner AND o.id = :id) AS over"
    f" WHERE {_MINE} RETURNING d.status"
)
_FAILS: Final = text(
    "UPDATE webhooks AS w SET failing_since = coalesce(w.failing_since, now()),"
    " paused_reason = now_paused.reason, paused_at = CASE WHEN now_paused.reason IS NULL"
    " THEN NULL ELSE coalesce(w.paused_at, now()) END"
    " FROM (SELECT id, coalesce(paused_reason, CASE WHEN CAST(:gone AS boolean) THEN 'gone'"
    " WHEN failing_since < now() - make_interval(hours => :pause_h) THEN 'failing' END) AS reason,"
    " paused_reason AS was FROM webhooks WHERE user_id = :owner AND id = :hook"
    " FOR NO KEY UPDATE) AS now_paused"
    " WHERE w.user_id = :owner AND w.id = now_paused.id"
    " RETURNING w.paused_reason, now_paused.was IS NULL AS by_this"
)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent.

    Attributes:
        event: Its type.
        data: JSON of ids and states.
        created_at: When it became true.
        url: Where to; None for the operator's.
        secrets: What a user's hook signs with; the newest first.
    """

    event: str
    data: str
    created_at: datetime
    url: str | None
    secrets: tuple[bytes, ...] = field(repr=False)


async def read(database: Database, held: Held) -> Message | None:
    """What is to be sent; None if somebody else sends it by now, or it is gone."""
    values = {"id": held.id, "lease": held.lease}
    for row in await database.call_for_rows(held.principal, _READ, values, Precedence.SPARE):
        return _message(row)
    return None


async def let_go(connection: Connection, held: Held) -> None:
    """Let others send at once what is held under this lease; it counts as no attempt."""
    await connection.change(_LET_GO, {"owner": held.user_id, "lease": held.lease})


async def delivered(
    database: Database, held: Held, *, status: int, lease_s: float, go_on: bool
) -> tuple[Held, Message] | None:
    """It has arrived. The next of its lane is first now.

    Args:
        database: Where it is.
        held: What arrived.
        status: What was answered.
        lease_s: For how long the next one is held.
        go_on: Whether the next one is to be held.

    Returns:
        The next one, if it is held.
    """
    what = {"id": held.id, "lease": held.lease, "hook": held.hook, "status": status}
    values = {**what, "order": lanes.ORDER, "lease_s": lease_s, "go_on": go_on}
    for row in await database.call_for_rows(held.principal, _SENT, values, Precedence.SPARE):
        return Held(held.user_id, row.id, held.hook, row.attempts, held.lease), _message(row)
    return None


async def failed(
    connection: Connection,
    held: Held,
    *,
    status: int | None,
    error: str,
    wait_s: float,
    retry_h: int,
    pause_h: int,
    gone: bool,
) -> tuple[Outcome | None, str | None]:
    """It has not arrived.

    Returns:
        What it is now, None if it is another's; and why its hook was paused by this, if it was.
    """
    await lanes.hold_order(connection)
    values = {"status": status, "error": error, "wait_s": wait_s, "retry_h": retry_h}
    outcome: Outcome | None = await connection.scalar(_FAILED, {**_of(held), **values})
    if outcome is None:
        return None, None
    if outcome == "dead":
        await connection.execute(_FOLLOW, {"owner": held.user_id, "id": held.id})
    if held.hook is None:
        return outcome, None
    hook = {"owner": held.user_id, "hook": held.hook, "pause_h": pause_h, "gone": gone}
    row = (await connection.execute(_FAILS, hook)).one_or_none()
    if row is None or row.paused_reason is None:
        return outcome, None
    await lanes.park(connection, held.principal, held.hook)
    return outcome, row.paused_reason if row.by_this else None


def _message(row: AnyRow) -> Message:
    secrets = tuple(secret for secret in (row.secret, row.previous_secret) if secret is not None)
    return Message(row.event, row.data, row.created_at, row.url, secrets)


def _of(held: Held) -> dict[str, object]:
    return {"owner": held.user_id, "id": held.id, "lease": held.lease}
