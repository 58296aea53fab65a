"""SQL of events. Within a turn they are numbered without gaps, and each is written once.

The turn's fence decides who may write: events go in with the statement that holds it, or with one
that checks it.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection, Database, Function
from taskchat.principal import Principal
from taskchat.texts import is_visible
from taskchat.turns.events import StoredEvent, ended
from taskchat.turns.states import Claim, TurnRef

EVENTS_MAX: Final = 500
"""Events read in one statement; a reader asks again for more."""


def event_values(events: Sequence[StoredEvent]) -> dict[str, Any]:
    """The parameters of functions that insert events."""
    return {
        "event_seqs": [event.seq for event in events],
        "event_types": [event.type for event in events],
        "event_data": [event.data for event in events],
    }


APPEND: Final = Function(
    "events_append_1",
    "process",
    "users",
    "turns",
    "attempts",
    "event_turns",
    "event_seqs",
    "event_types",
    "event_data",
)
_CONCLUDE = text(
    "WITH over AS (UPDATE turns SET last_seq = :last_seq"
    " WHERE user_id = :owner AND id = :turn RETURNING user_id, id, conversation_id),"
    " told AS (INSERT INTO turn_events (user_id, turn_id, seq, type, data)"
    " SELECT over.user_id, over.id, :last_seq, :type, :data FROM over)"
    " SELECT tell_followers_1(user_id, conversation_id, :process) FROM over"
)
_HOLD = text(
    "SELECT 1 FROM turns WHERE user_id = :owner AND id = :turn AND attempt = :attempt"
    " AND status = 'running' FOR UPDATE"
)
_LAST = text(
    "SELECT seq, type FROM turn_events WHERE user_id = :owner AND turn_id = :turn"
    " ORDER BY seq DESC LIMIT 1"
)
_ASKED = text(
    "SELECT seq FROM turn_events WHERE user_id = :owner AND turn_id = :turn"
    " AND type = 'feedback_request' AND CAST(data AS json) ->> 'feedback_id' = :feedback"
)
_TEXTS = text(
    "SELECT type, CAST(data AS json) ->> 'delta' AS delta,"
    " CAST(CAST(data AS json) ->> 'dropped' AS boolean) AS dropped FROM turn_events"
    " WHERE user_id = :owner AND turn_id = :turn"
    " AND type IN ('stream_start', 'stream_chunk', 'stream_end') ORDER BY seq"
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
    "WITH over AS (SELECT DISTINCT user_id, turn_id FROM"
    " (SELECT aged.user_id, aged.turn_id FROM turn_events AS aged"
    " JOIN turns AS t ON t.user_id = aged.user_id AND t.id = aged.turn_id"
    " WHERE aged.created_at < now() - make_interval(hours => :retention_h)"
    " AND t.finished_at < now() - make_interval(hours => :retention_h) LIMIT :rows_max) AS first),"
    # Whole turns, lest a reader find the middle of one: as many as make up the rows. OFFSET has
    # them gone through turn by turn, and no further than to the last of the rows.
    " chosen AS (SELECT DISTINCT user_id, turn_id FROM (SELECT events.* FROM over,"
    " LATERAL (SELECT e.user_id, e.turn_id FROM turn_events AS e"
    " WHERE e.user_id = over.user_id AND e.turn_id = over.turn_id OFFSET 0) AS events"
    " LIMIT :rows_max) AS enough)"
    " DELETE FROM turn_events AS e USING chosen"
    " WHERE e.user_id = chosen.user_id AND e.turn_id = chosen.turn_id"
)


async def append(
    database: Database,
    batches: Sequence[tuple[Claim, Sequence[StoredEvent]]],
    *,
    process: UUID,
) -> set[UUID]:
    """Write events of several turns, of any user, that this process runs: events_append_1.sql.

    Returns:
        The turns whose events are written; the rows of the others are locked at this moment.

    Raises:
        DatabaseError: the outcome is unknown.
    """
    events = [event for _, batch in batches for event in batch]
    rows = await database.system_call(
        APPEND,
        {
            "process": process,
            "users": [held.turn.principal.user_id for held, _ in batches],
            "turns": [held.turn.id for held, _ in batches],
            "attempts": [held.attempt for held, _ in batches],
            "event_turns": [event.turn_id for event in events],
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
            "type": last.type,
            "data": last.data,
            "process": process,
        },
    )


async def last_event(connection: Connection, turn: TurnRef) -> tuple[int, str]:
    """The number and type of a turn's newest event; 0 if there is none."""
    row = (
        await connection.execute(_LAST, {"owner": turn.principal.user_id, "turn": turn.id})
    ).one_or_none()
    return (row.seq, row.type) if row else (0, "")


async def place_of(connection: Connection, turn: TurnRef, feedback_id: UUID) -> int:
    """The number of the event by which a turn's user was asked."""
    values = {"owner": turn.principal.user_id, "turn": turn.id, "feedback": str(feedback_id)}
    seq: int | None = await connection.scalar(_ASKED, values)
    return seq or 0


async def told_text(connection: Connection, turn: TurnRef) -> str:
    """The last text that a turn's readers were told and not told to forget, as far as it goes.

    Empty if there is none that says anything.
    """
    rows = await connection.execute(_TEXTS, {"owner": turn.principal.user_id, "turn": turn.id})
    texts: list[str] = []
    for row in rows:
        if row.type == "stream_start":
            texts.append("")
        elif row.type == "stream_chunk":
            texts[-1] += row.delta
        elif row.dropped:
            texts.pop()
    return next((text for text in reversed(texts) if is_visible(text)), "")


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
    """Forget events of turns that ended so long ago. A system transaction.

    Returns:
        How many: less than `rows_max` if these were all, else up to one turn's more than that.
    """
    return await connection.change(_PRUNE, {"retention_h": retention_h, "rows_max": rows_max})
