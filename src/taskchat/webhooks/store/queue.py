"""SQL of who looks for what is due: by ids, as the system. See lanes for what is the first of one.

Neither how much waits in a lane nor how many lanes a hook has makes a look longer: it goes over the
hooks that something waits for, and of each over so many firsts as may be sent.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import Connection
from taskchat.principal import Principal
from taskchat.webhooks.store import lanes

OPERATORS: Final = "operator"
"""The name of the row that says that an operator's hook is configured."""

WANTED_H: Final = 24
"""For so long after a process last had an operator's hook, events are noted for it."""

_LAPSED: Final = text("SELECT FROM operator_webhooks WHERE id = :id AND wanted_until < now()")
_WANT: Final = text(
    "INSERT INTO operator_webhooks (id, wanted_until)"
    " VALUES (:id, now() + make_interval(hours => :hours))"
    " ON CONFLICT (id) DO UPDATE SET wanted_until = excluded.wanted_until"
    " WHERE operator_webhooks.wanted_until < excluded.wanted_until - interval '1 hour'"
)
# Hooks that something waits for, one look into the index for each.
_HOOKS: Final = (
    "WITH RECURSIVE waited_for AS ((SELECT user_id, webhook_id FROM webhook_deliveries"
    " WHERE is_first AND webhook_id IS NOT NULL ORDER BY webhook_id LIMIT 1)"
    " UNION ALL SELECT more.user_id, more.webhook_id FROM waited_for, LATERAL"
    " (SELECT q.user_id, q.webhook_id FROM webhook_deliveries AS q"
    " WHERE q.is_first AND q.webhook_id > waited_for.webhook_id"
    " ORDER BY q.webhook_id LIMIT 1) AS more),"
    " hooks AS (SELECT w.webhook_id FROM waited_for AS w WHERE (SELECT h.paused_reason IS NULL"
    " FROM webhooks AS h WHERE h.user_id = w.user_id AND h.id = w.webhook_id))"
)
_ROOM: Final = (
    "greatest(0, CAST(:hook_max AS int) - (SELECT count(*) FROM webhook_deliveries AS b"
    " WHERE b.leased_until > now() AND b.webhook_id {is_its}))"
)
# Others may take the same at the same moment: some are looked at in reserve.
_FREE: Final = (
    "SELECT q.user_id, q.id, q.next_at, q.seq FROM webhook_deliveries AS q"
    " WHERE q.is_first AND q.webhook_id {is_its} AND q.next_at <= now()"
    " AND (q.leased_until IS NULL OR q.leased_until < now())"
    f" ORDER BY q.next_at LIMIT {_ROOM}"
)
_CLAIM: Final = text(
    f"{_HOOKS}, free AS MATERIALIZED (SELECT f.* FROM hooks,"
    f" LATERAL ({_FREE.format(is_its='= hooks.webhook_id')}) AS f"
    " UNION ALL SELECT f.* FROM (SELECT WHERE CAST(:for_operator AS boolean)) AS wanted,"
    f" LATERAL ({_FREE.format(is_its='IS NULL')}) AS f)"
    " UPDATE webhook_deliveries AS d SET attempts = d.attempts + 1, lease = gen_random_uuid(),"
    " leased_until = now() + make_interval(secs => :lease_s)"
    " FROM (SELECT q.user_id, q.id FROM free JOIN webhook_deliveries AS q"
    " ON q.user_id = free.user_id AND q.id = free.id"
    " WHERE q.is_first AND (q.leased_until IS NULL OR q.leased_until < now())"
    " ORDER BY free.next_at, free.seq LIMIT :rows_max FOR UPDATE OF q SKIP LOCKED) AS due"
    " WHERE d.user_id = due.user_id AND d.id = due.id"
    " RETURNING d.user_id, d.id, d.webhook_id, d.attempts, d.lease"
)
_FIRST_DUE: Final = (
    "(SELECT q.next_at FROM webhook_deliveries AS q WHERE q.is_first AND q.webhook_id {is_its}"
    " ORDER BY q.next_at LIMIT 1)"
)
_LAG: Final = text(
    f"{_HOOKS} SELECT greatest(0, extract(epoch FROM now() - least("
    f"(SELECT min({_FIRST_DUE.format(is_its='= hooks.webhook_id')}) FROM hooks),"
    f" CASE WHEN CAST(:for_operator AS boolean) THEN {_FIRST_DUE.format(is_its='IS NULL')} END)))"
)


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that this process sends.

    Attributes:
        user_id: Whose event it is.
        id: Its webhook-id.
        hook: The user's hook; None for the operator's.
        attempts: How many there were, with this one.
        lease: The right to say what became of it.
    """

    user_id: str
    id: UUID
    hook: UUID | None
    attempts: int
    lease: UUID

    @property
    def principal(self) -> Principal:
        """The user, in whose name it is read."""
        return Principal(self.user_id)


async def want_operators(connection: Connection) -> None:
    """Have events noted for the operator's hook, for a day. A system transaction."""
    if (await connection.execute(_LAPSED, {"id": OPERATORS})).all():
        await lanes.place_operators_again(connection)
    await connection.change(_WANT, {"id": OPERATORS, "hours": WANTED_H})


async def claim(
    connection: Connection, *, rows_max: int, lease_s: float, hook_max: int, for_operator: bool
) -> list[Held]:
    """Take what has been due for longest and may be sent. A system transaction."""
    await lanes.place(connection)
    values = {"rows_max": rows_max, "lease_s": lease_s, "hook_max": hook_max}
    found = await connection.execute(_CLAIM, {**values, "for_operator": for_operator})
    return [
        Held(row.user_id, row.id, row.webhook_id, row.attempts, row.lease) for row in found.all()
    ]


async def lag_s(connection: Connection, *, for_operator: bool) -> float:
    """For how long the longest due delivery has waited. A system transaction."""
    return float(await connection.scalar(_LAG, {"for_operator": for_operator}))
