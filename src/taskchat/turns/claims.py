"""SQL of who runs a turn: taking it, keeping it, giving it back.

Only the database's clock decides about leases.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from taskchat.db import AnyRow
from taskchat.principal import Principal
from taskchat.turns.states import Claim, TurnRef

DEATHS_MAX: Final = 3
"""A turn that took its process with it this often is not tried again."""

ATTEMPTS_MAX: Final = 10
"""Nor one that was given back this often: by a database that came and went, by restarts."""

# The earlier turns of a conversation only ever become finished, never unfinished again, so that an
# old snapshot can only err by waiting longer.
_IS_FREE = (
    "((t.status = 'queued' AND NOT EXISTS (SELECT 1 FROM turns AS earlier"
    " WHERE earlier.user_id = t.user_id AND earlier.conversation_id = t.conversation_id"
    " AND earlier.number < t.number"
    " AND earlier.status IN ('queued', 'running', 'awaiting_feedback')){and_queued})"
    " OR (t.status = 'running' AND t.lease_expires_at < now()))"
)
_TAKE = (
    "UPDATE turns AS t SET status = 'running', attempt = attempt + 1, owner = :process,"
    # A lease that was released carries no death: its process handed the turn over. Nor does one
    # that ran out under a process that is here to take it up again.
    " deaths = deaths + (status = 'running' AND lease_expires_at <> '-infinity'"
    " AND owner IS DISTINCT FROM CAST(:process AS uuid))::int,"
    " lease_expires_at = now() + make_interval(secs => :lease_s),"
    " started_at = coalesce(started_at, now())"
)
_RETURNING = (
    " RETURNING t.user_id, t.id, t.conversation_id, t.number, t.attempt, t.deaths, t.channel"
)
_CLAIM = text(
    _TAKE
    + " WHERE t.user_id = :owner AND t.id = :turn AND "
    + _IS_FREE.format(and_queued="")
    + _RETURNING
)
_ADOPT = text(
    _TAKE
    + " WHERE (t.user_id, t.id) IN (SELECT t.user_id, t.id FROM turns AS t"
    + " WHERE t.status IN ('queued', 'running') AND t.lease_expires_at < now()"
    + " AND t.id <> ALL (CAST(:here AS uuid[])) AND "
    + _IS_FREE.format(and_queued=" AND t.lease_expires_at < now()")
    + " ORDER BY t.lease_expires_at LIMIT :turns_max FOR UPDATE SKIP LOCKED)"
    + _RETURNING
)


def _claim(row: AnyRow) -> Claim:
    turn = TurnRef(Principal(row.user_id), row.id, row.conversation_id, row.number)
    return Claim(turn, row.attempt, row.deaths, row.channel)


async def claim(
    connection: AsyncConnection, turn: TurnRef, *, process: UUID, lease_s: float
) -> Claim | None:
    """Take a turn whose time has come, or whose owner died; None when it is neither."""
    row = (
        await connection.execute(
            _CLAIM,
            {
                "owner": turn.principal.user_id,
                "turn": turn.id,
                "process": process,
                "lease_s": lease_s,
            },
        )
    ).one_or_none()
    return _claim(row) if row else None


async def adopt(
    connection: AsyncConnection,
    *,
    process: UUID,
    lease_s: float,
    turns_max: int,
    here: Sequence[UUID],
) -> Sequence[Claim]:
    """Take turns of anybody whose owners died. Needs a system transaction.

    Args:
        connection: Of the system's.
        process: Who takes them.
        lease_s: For how long.
        turns_max: The most that are taken.
        here: Turns that are seen through here already, and claimed by their own jobs.
    """
    rows = await connection.execute(
        _ADOPT,
        {"process": process, "lease_s": lease_s, "turns_max": turns_max, "here": here},
    )
    return [_claim(row) for row in rows]


_RENEW = text(
    "UPDATE turns AS t SET lease_expires_at = now() + make_interval(secs => :lease_s)"
    " FROM unnest(CAST(:users AS text[]), CAST(:turns AS uuid[]), CAST(:attempts AS int[]))"
    " AS mine (user_id, id, attempt)"
    " WHERE t.user_id = mine.user_id AND t.id = mine.id AND t.attempt = mine.attempt"
    " AND t.status IN ('queued', 'running')"
    " RETURNING t.id"
)
_GIVE_BACK = text(
    "UPDATE turns SET lease_expires_at = '-infinity' WHERE user_id = :owner AND id = :turn"
    " AND attempt = :attempt AND status = 'running'"
)
_RELEASE = text(
    "UPDATE turns SET lease_expires_at = '-infinity'"
    " WHERE owner = :process AND status IN ('queued', 'running')"
)


async def renew(
    connection: AsyncConnection, held: Iterable[tuple[TurnRef, int]], *, lease_s: float
) -> set[UUID]:
    """Renew leases; returns the ids of those turns that are still held. A system transaction."""
    turns = list(held)
    rows = await connection.execute(
        _RENEW,
        {
            "lease_s": lease_s,
            "users": [turn.principal.user_id for turn, _ in turns],
            "turns": [turn.id for turn, _ in turns],
            "attempts": [attempt for _, attempt in turns],
        },
    )
    return {row.id for row in rows}


async def give_back(connection: AsyncConnection, held: Claim) -> None:
    """Give up the lease of one attempt, so that the turn is taken up at once."""
    await connection.execute(
        _GIVE_BACK,
        {
            "owner": held.turn.principal.user_id,
            "turn": held.turn.id,
            "attempt": held.attempt,
        },
    )


async def release(connection: AsyncConnection, *, process: UUID) -> int:
    """Give up every lease of a process, so that others need not wait. A system transaction."""
    return (await connection.execute(_RELEASE, {"process": process})).rowcount


_FORGET_KEYS = text(
    "UPDATE turns SET idempotency_key = NULL, fingerprint = NULL"
    " WHERE (user_id, id) IN (SELECT user_id, id FROM turns WHERE idempotency_key IS NOT NULL"
    " AND finished_at < now() - make_interval(hours => :retention_h)"
    " LIMIT :keys_max FOR UPDATE SKIP LOCKED)"
)


async def forget_keys(connection: AsyncConnection, *, retention_h: int, keys_max: int) -> int:
    """Forget keys of turns that ended so long ago; returns how many. A system transaction."""
    forgotten = await connection.execute(
        _FORGET_KEYS, {"retention_h": retention_h, "keys_max": keys_max}
    )
    return forgotten.rowcount
