"""SQL of events. Within a turn they are numbered without gaps, and each is written once.

The turn's fence decides who may write: events go in with the statement that holds it, or with one
that checks it.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.presence.repository import tell_followers
from taskchat.principal import Principal
from taskchat.turns.events import StoredEvent, ended
from taskchat.turns.states import Claim, TurnRef

EVENTS_MAX: Final = 500
"""Events read in one statement; a reader asks again for more."""


def insert_events(turn: str) -> str:
    """SQL that inserts events, for a statement that has one row of `turns` under this name."""
    return (
        "INSERT INTO turn_events (user_id, turn_id, seq, type, data)"
        f" SELECT {turn}.user_id, {turn}.id, e.seq, e.type, e.data FROM {turn},"
        " unnest(CAST(:event_seqs AS int[]), CAST(:event_types AS text[]),"
        " CAST(:event_data AS text[])) AS e(seq, type, data)"
        # Only this attempt can have written the same numbers, in a commit of unknown outcome.
        " ON CONFLICT DO NOTHING"
    )


def event_values(events: Sequence[StoredEvent]) -> dict[str, Any]:
    """The parameters of `insert_events`."""
    return {
        "event_seqs": [event.seq for event in events],
        "event_types": [event.type for event in events],
        "event_data": [event.data for event in events],
    }


_CONCLUDE = text(
    "WITH over AS (UPDATE turns SET last_seq = :last_seq"
    " WHERE user_id = :owner AND id = :turn RETURNING user_id, id, conversation_id),"
    " told AS (" + insert_events("over") + ")"
    " SELECT " + tell_followers("over") + " FROM over"
)
# A turn whose row is being changed is left for the next round: it is ending or changing owners, and
# the events of all other turns must not wait for it.
_APPEND = text(
    "WITH held AS (SELECT t.user_id, t.id, t.conversation_id FROM turns AS t"
    " JOIN unnest(CAST(:users AS text[]), CAST(:turns AS uuid[]), CAST(:attempts AS int[]))"
    " AS mine(user_id, id, attempt) ON t.user_id = mine.user_id AND t.id = mine.id"
    " WHERE t.attempt = mine.attempt AND t.status = 'running' FOR SHARE OF t SKIP LOCKED),"
    " told AS (INSERT INTO turn_events (user_id, turn_id, seq, type, data)"
    " SELECT held.user_id, held.id, e.seq, e.type, e.data FROM held"
    " JOIN unnest(CAST(:event_turns AS uuid[]), CAST(:event_seqs AS int[]),"
    " CAST(:event_types AS text[]), CAST(:event_data AS text[])) AS e(turn_id, seq, type, data)"
    " ON e.turn_id = held.id ON CONFLICT DO NOTHING)"
    " SELECT held.id, " + tell_followers("held") + " FROM held"
)
_HOLD = text(
    "SELECT 1 FROM turns WHERE user_id = :owner AND id = :turn AND attempt = :attempt"
    " AND status = 'running' FOR UPDATE"
)
_LAST = text(
    "SELECT seq, type FROM turn_events WHERE user_id = :owner AND turn_id = :turn"
    " ORDER BY seq DESC LIMIT 1"
)
_AFTER = text(
    "SELECT seq, type, data FROM turn_events WHERE user_id = :owner AND turn_id = :turn"
    " AND seq > :after ORDER BY seq LIMIT :rows_max"
)
_TURN = text(
    "SELECT conversation_id, number, status, result, last_seq, finished_at FROM turns"
    " WHERE user_id = :owner AND id = :turn"
)
_PRUNE = text(
    "DELETE FROM turn_events AS e USING (SELECT DISTINCT user_id, turn_id FROM"
    " (SELECT aged.user_id, aged.turn_id FROM turn_events AS aged"
    " JOIN turns AS t ON t.user_id = aged.user_id AND t.id = aged.turn_id"
    " WHERE aged.created_at < now() - make_interval(hours => :retention_h)"
    " AND t.finished_at < now() - make_interval(hours => :retention_h) LIMIT :rows_max) AS first)"
    " AS over WHERE e.user_id = over.user_id AND e.turn_id = over.turn_id"
)


async def append(
    connection: Connection,
    batches: Sequence[tuple[Claim, Sequence[StoredEvent]]],
    *,
    process: UUID,
) -> set[UUID]:
    """Write events of several turns, of any user, that this process runs. A system transaction.

    Returns:
        The turns whose events are written; the rows of the others are locked at this moment.
    """
    events = [event for _, batch in batches for event in batch]
    rows = await connection.execute(
        _APPEND,
        {
            "users": [held.turn.principal.user_id for held, _ in batches],
            "turns": [held.turn.id for held, _ in batches],
            "attempts": [held.attempt for held, _ in batches],
            "event_turns": [event.turn_id for event in events],
            "process": process,
            **event_values(events),
        },
    )
    return {row.id for row in rows}


async def conclude(
    connection: Connection, turn: TurnRef, last: StoredEvent, *, process: UUID
) -> None:
    """Write the last event of a turn that this transaction has ended."""
    await connection.execute(
        _CONCLUDE,
        {
            "owner": turn.principal.user_id,
            "turn": turn.id,
            "last_seq": last.seq,
            "process": process,
            **event_values([last]),
        },
    )


async def last_event(connection: Connection, turn: TurnRef) -> tuple[int, str]:
    """The number and type of a turn's newest event; 0 if there is none."""
    row = (
        await connection.execute(_LAST, {"owner": turn.principal.user_id, "turn": turn.id})
    ).one_or_none()
    return (row.seq, row.type) if row else (0, "")


async def last_event_held(connection: Connection, held: Claim) -> tuple[int, str] | None:
    """The same, once nothing that this attempt began is in progress; None if it lost the turn."""
    values = {
        "owner": held.turn.principal.user_id,
        "turn": held.turn.id,
        "attempt": held.attempt,
    }
    if await connection.scalar(_HOLD, values) is None:
        return None
    return await last_event(connection, held.turn)


async def find_turn(
    connection: Connection, principal: Principal, turn_id: UUID
) -> tuple[TurnRef, AnyRow] | None:
    """The principal's turn of this id, with what its events need."""
    row = (
        await connection.execute(_TURN, {"owner": principal.user_id, "turn": turn_id})
    ).one_or_none()
    if row is None:
        return None
    return TurnRef(principal, turn_id, row.conversation_id, row.number), row


async def read_after(connection: Connection, turn: TurnRef, seq: int) -> list[StoredEvent]:
    """The events after this one, oldest first; if all are pruned, only the last of them."""
    rows = await connection.execute(
        _AFTER,
        {
            "owner": turn.principal.user_id,
            "turn": turn.id,
            "after": seq,
            "rows_max": EVENTS_MAX,
        },
    )
    return [StoredEvent(turn.id, turn.number, row.seq, row.type, row.data) for row in rows]


def last_of(turn: TurnRef, row: AnyRow) -> StoredEvent:
    """The last event of a finished turn, rebuilt from the turn's row."""
    return ended(turn, row.last_seq or 1, row.finished_at, status=row.status, result=row.result)


async def prune(connection: Connection, *, retention_h: int, rows_max: int) -> int:
    """Forget events of turns that ended so long ago; returns how many. A system transaction."""
    pruned = await connection.execute(_PRUNE, {"retention_h": retention_h, "rows_max": rows_max})
    return pruned.rowcount
