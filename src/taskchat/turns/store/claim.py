"""SQL of who runs a turn: taking it, giving it back.

A turn belongs to the process that took it, for as long as that process lives. Its row names the
process and the attempt. Only the database's clock decides who lives.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Channel, Principal
from taskchat.processes.repository import DEATHS, LOST, REVOCABLE, Lease
from taskchat.turns.models import UNFINISHED, one_of
from taskchat.turns.states import Claim, Takeover, TurnRef

DEATHS_MAX: Final = 3
"""A turn whose process died under it this often is not tried again."""

ATTEMPTS_MAX: Final = 30
"""Nor is one that was taken up this often without a death: after frozen processes, after restarts,
or given back because the database came and went."""

# The turn's own lease is never renewed. While it lasts, only the owner may have the turn. After it,
# the owner may take it up again if its job ended without it; anybody may if nothing is known of the
# owner: a process of an older version, which renews the lease of each turn, has no row.
_ABANDONED: Final = (
    "(lost.id IS NOT NULL OR t.lease_expires_at = '-infinity' OR (t.lease_expires_at < now()"
    " AND (t.owner = :process OR NOT EXISTS (SELECT 1 FROM processes AS p WHERE p.id = t.owner))))"
)
# The earlier turns of a conversation go from unfinished to finished and never back, so that an old
# snapshot can only err by waiting longer.
_ITS_TIME: Final = (
    "NOT EXISTS (SELECT 1 FROM turns AS earlier"
    " WHERE earlier.user_id = t.user_id AND earlier.conversation_id = t.conversation_id"
    " AND earlier.number < t.number"
    f" AND {one_of('earlier.status', UNFINISHED)})"
)
_FREE: Final = (
    "WITH " + LOST + ", free AS MATERIALIZED (SELECT t.user_id, t.id, t.owner, t.status,"
    " CASE WHEN t.lease_expires_at = '-infinity' THEN 'released'"
    " WHEN lost.id IS NOT NULL THEN lost.fate WHEN t.owner = :process THEN 'own'"
    " ELSE 'unknown' END AS reason"
    " FROM turns AS t LEFT JOIN lost ON lost.id = t.owner"
)
# A process dies once, however often it was taken for dead; not at all if it was heard since.
_TAKE: Final = (
    "), died AS (SELECT free.id, free.user_id, count(DISTINCT past.left_by) AS before"
    " FROM free JOIN takeovers AS past ON past.user_id = free.user_id AND past.turn_id = free.id"
    " WHERE past.reason = ANY (:deaths) AND past.left_by IS DISTINCT FROM free.owner"
    " AND NOT (past.reason = ANY (:revocable) AND EXISTS (SELECT 1 FROM processes AS p"
    " WHERE p.id = past.left_by AND p.since > past.at)) GROUP BY free.user_id, free.id"
    "), taken AS (UPDATE turns AS t SET status = 'running', attempt = t.attempt + 1,"
    " owner = :process, deaths = (free.status = 'running' AND free.reason = ANY (:deaths))::int"
    " + coalesce((SELECT died.before FROM died"
    " WHERE died.user_id = free.user_id AND died.id = free.id), 0),"
    " lease_expires_at = now() + make_interval(secs => :lease_s),"
    " started_at = coalesce(t.started_at, now())"
    " FROM free WHERE t.user_id = free.user_id AND t.id = free.id"
    " RETURNING t.user_id, t.id, t.conversation_id, t.number, t.attempt, t.deaths, t.channel,"
    " free.owner AS left_by, free.status AS was, free.reason"
    "), noted AS (INSERT INTO takeovers (user_id, turn_id, attempt, reason, left_by)"
    " SELECT user_id, id, attempt, reason, left_by FROM taken WHERE was = 'running'"
    ") SELECT * FROM taken"
)
_JUDGED: Final = {"deaths": DEATHS, "revocable": REVOCABLE}
_CLAIM = text(
    _FREE
    + " WHERE t.user_id = :owner AND t.id = :turn"
    + f" AND ((t.status = 'running' AND {_ABANDONED}) OR (t.status = 'queued' AND {_ITS_TIME}))"
    + " FOR UPDATE OF t"
    + _TAKE
)
_ADOPT = text(
    _FREE
    + " WHERE t.status IN ('queued', 'running') AND t.id <> ALL (CAST(:here AS uuid[]))"
    + f" AND {_ABANDONED} AND (t.status = 'running' OR {_ITS_TIME})"
    + " ORDER BY t.lease_expires_at LIMIT :turns_max FOR UPDATE OF t SKIP LOCKED"
    + _TAKE
)


def _claim(row: AnyRow) -> Claim:
    turn = TurnRef(Principal(row.user_id), row.id, row.conversation_id, row.number)
    taken = None if row.was == "queued" else Takeover(row.reason, row.left_by)
    return Claim(turn, row.attempt, row.deaths, Channel(row.channel), taken)


async def claim(
    connection: Connection, turn: TurnRef, *, process: UUID, lease: Lease
) -> Claim | None:
    """Take a turn whose time has come, or whose owner is lost; None if it is neither.

    Nobody else in this process may be running it.
    """
    row = (
        await connection.execute(
            _CLAIM,
            {
                "owner": turn.principal.user_id,
                "turn": turn.id,
                "process": process,
                **_JUDGED,
                **lease.values(),
            },
        )
    ).one_or_none()
    return _claim(row) if row else None


async def adopt(
    connection: Connection,
    *,
    process: UUID,
    lease: Lease,
    turns_max: int,
    here: Sequence[UUID],
) -> Sequence[Claim]:
    """Take turns of any user whose owners are lost. Needs a system transaction.

    Args:
        connection: A connection of the system role.
        process: The process that takes them.
        lease: How long a silent process keeps its turns.
        turns_max: The most turns to take.
        here: Turns that this process already sees through, claimed by their own jobs.
    """
    rows = await connection.execute(
        _ADOPT,
        {
            "process": process,
            "turns_max": turns_max,
            "here": here,
            **_JUDGED,
            **lease.values(),
        },
    )
    return [_claim(row) for row in rows]


_HELD = text(
    "SELECT t.id FROM turns AS t"
    " JOIN unnest(CAST(:users AS text[]), CAST(:turns AS uuid[]), CAST(:attempts AS int[]))"
    " AS mine (user_id, id, attempt)"
    " ON t.user_id = mine.user_id AND t.id = mine.id AND t.attempt = mine.attempt"
    " WHERE t.status = 'running'"
)
_GIVE_BACK = text(
    "UPDATE turns SET lease_expires_at = '-infinity' WHERE user_id = :owner AND id = :turn"
    " AND attempt = :attempt AND status = 'running'"
)
_RELEASE = text(
    "UPDATE turns SET lease_expires_at = '-infinity'"
    " WHERE owner = :process AND status IN ('queued', 'running')"
)


async def still_held(connection: Connection, held: Iterable[tuple[TurnRef, int]]) -> set[UUID]:
    """The ids of the turns that still run under these attempts. Needs a system transaction."""
    turns = list(held)
    rows = await connection.execute(
        _HELD,
        {
            "users": [turn.principal.user_id for turn, _ in turns],
            "turns": [turn.id for turn, _ in turns],
            "attempts": [attempt for _, attempt in turns],
        },
    )
    return {row.id for row in rows}


async def give_back(connection: Connection, held: Claim) -> None:
    """Give up the turn of one attempt, so that it is taken up at once."""
    await connection.execute(
        _GIVE_BACK,
        {
            "owner": held.turn.principal.user_id,
            "turn": held.turn.id,
            "attempt": held.attempt,
        },
    )


async def release(connection: Connection, *, process: UUID) -> int:
    """Give up every turn of a process, so that others need not wait. A system transaction."""
    return await connection.change(_RELEASE, {"process": process})


_FORGET_KEYS = text(
    "UPDATE turns SET idempotency_key = NULL, fingerprint = NULL"
    " WHERE (user_id, id) IN (SELECT user_id, id FROM turns WHERE idempotency_key IS NOT NULL"
    " AND finished_at < now() - make_interval(hours => :retention_h)"
    # Nobody has moved on from an occurrence yet that was said so long ago, see `schedules.saying`.
    " AND (NOT starts_with(idempotency_key, E'\\n') OR NOT EXISTS (SELECT FROM schedules AS s"
    " WHERE s.user_id = turns.user_id AND turns.idempotency_key = E'\\nschedule ' || s.id || ' '"
    " || CAST(extract(epoch FROM s.next_at) AS bigint)))"
    " LIMIT :rows_max FOR UPDATE SKIP LOCKED)"
)


async def forget_keys(connection: Connection, *, retention_h: int, rows_max: int) -> int:
    """Forget keys of turns that ended so long ago; returns how many. A system transaction."""
    return await connection.change(_FORGET_KEYS, {"retention_h": retention_h, "rows_max": rows_max})
