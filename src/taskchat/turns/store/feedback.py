"""SQL of turns that wait for their users. Every statement names the owner."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from taskchat.assistant.record import Answer
from taskchat.feedback.decisions import AskedCall
from taskchat.postgres.database import Connection, Database, Function
from taskchat.turns.events import StoredEvent
from taskchat.turns.states import Claim, TurnRef
from taskchat.turns.store.events import event_values
from taskchat.turns.store.record import answer_values

TURN_ASK: Final = Function(
    "turn_ask_1",
    "turn",
    "attempt",
    "process",
    "feedback",
    "kind",
    "question",
    "choices",
    "calls",
    "expires_s",
    "answers",
    "answer_models",
    "answer_items",
    "answer_inputs",
    "answer_cached",
    "answer_outputs",
    "answer_durations",
    "event_seqs",
    "event_types",
    "event_data",
    "asked_seq",
    "asked_head",
    "asked_tail",
)
_TITLES: Final = text("SELECT id, title FROM tasks WHERE user_id = :owner AND id = ANY (:tasks)")
# Queued, as one that has never run: whoever takes it up next goes on from the record.
_GO_ON: Final = text(
    "UPDATE turns SET status = 'queued', owner = :process,"
    " lease_expires_at = now() + make_interval(secs => :lease_s)"
    " WHERE user_id = :owner AND id = :turn AND status = 'awaiting_feedback'"
)
_INTERRUPT: Final = text(
    "INSERT INTO tool_calls (user_id, id, turn_id, call_id, position, tool_name, parameters,"
    " result, status, duration_ms) SELECT t.user_id, :id, t.id, :call_id,"
    " (SELECT count(*) FROM tool_calls AS c WHERE c.user_id = t.user_id AND c.turn_id = t.id),"
    " :tool, CAST(:parameters AS json), CAST(:result AS json), 'interrupted', 0"
    " FROM turns AS t WHERE t.user_id = :owner AND t.id = :turn"
)
_TELL: Final = text(
    "WITH of_turn AS (SELECT user_id, id, conversation_id FROM turns"
    " WHERE user_id = :owner AND id = :turn),"
    " told AS (INSERT INTO turn_events (user_id, turn_id, seq, type, data)"
    " SELECT t.user_id, t.id, e.seq, e.type, e.data FROM of_turn AS t,"
    " unnest(CAST(:event_seqs AS int[]), CAST(:event_types AS text[]),"
    " CAST(:event_data AS text[])) AS e(seq, type, data)"
    # Only the attempt that holds the turn can have written the same numbers, in a commit of
    # unknown outcome.
    " ON CONFLICT DO NOTHING)"
    " SELECT tell_followers_1(user_id, conversation_id, :process) FROM of_turn"
)


async def ask(
    database: Database,
    held: Claim,
    *,
    process: UUID,
    feedback_id: UUID,
    kind: str,
    question: str,
    choices: Sequence[str],
    calls: Sequence[AskedCall],
    expires_s: float,
    answers: Sequence[tuple[int, Answer]],
    events: Sequence[StoredEvent],
    asked_seq: int,
    asked: tuple[str, str],
) -> str | None:
    """Let a turn wait for its user, in one transaction: turn_ask_1.sql.

    Args:
        database: Where it is stored.
        held: The attempt that asks; it no longer runs the turn.
        process: This process.
        feedback_id: The id of what is asked.
        kind: approval or question.
        question: What is asked, as a sentence.
        choices: Answers that are suggested.
        calls: Those that wait.
        expires_s: How long it may be answered.
        answers: What the model has answered since the last commit, by number in the turn.
        events: What is to be told before the request.
        asked_seq: The number of the event that tells the request.
        asked: That event's JSON, before and after the time at which it expires.

    Returns:
        The event's JSON; None if this attempt no longer runs the turn.

    Raises:
        DatabaseError: the outcome is unknown.
    """
    row = await database.call(
        held.turn.principal,
        TURN_ASK,
        {
            "turn": held.turn.id,
            "attempt": held.attempt,
            "process": process,
            "feedback": feedback_id,
            "kind": kind,
            "question": question,
            "choices": json.dumps(list(choices)),
            "calls": json.dumps(
                [
                    {
                        "id": str(call.id),
                        "call_id": call.call_id,
                        "tool_name": call.tool_name,
                        "arguments": dict(call.arguments),
                        "subject": call.subject,
                    }
                    for call in calls
                ]
            ),
            "expires_s": expires_s,
            **answer_values(answers),
            **event_values(events),
            "asked_seq": asked_seq,
            "asked_head": asked[0],
            "asked_tail": asked[1],
        },
    )
    event: str | None = row.asked_event if row.asked else None
    return event


async def titles(connection: Connection, turn: TurnRef, tasks: Sequence[int]) -> dict[int, str]:
    """The titles of the user's tasks of these numbers, as far as there are such."""
    rows = await connection.execute(
        _TITLES, {"owner": turn.principal.user_id, "tasks": list(tasks)}
    )
    return {row.id: row.title for row in rows}


async def go_on(connection: Connection, turn: TurnRef, *, process: UUID, lease_s: float) -> bool:
    """Let a turn go on that waits for its user; False if it does not wait.

    Args:
        connection: Of the user.
        turn: The turn.
        process: The process that takes it up.
        lease_s: How long others leave it to that process.
    """
    values = {
        "owner": turn.principal.user_id,
        "turn": turn.id,
        "process": process,
        "lease_s": lease_s,
    }
    return await connection.change(_GO_ON, values) > 0


async def interrupt(
    connection: Connection, turn: TurnRef, call: AskedCall, result: Mapping[str, Any]
) -> None:
    """Record a call that its turn waited to make, and never made."""
    values = {
        "owner": turn.principal.user_id,
        "id": call.id,
        "turn": turn.id,
        "call_id": call.call_id,
        "tool": call.tool_name,
        "parameters": json.dumps(dict(call.arguments)),
        "result": json.dumps(dict(result)),
    }
    await connection.change(_INTERRUPT, values)


async def tell(
    connection: Connection, turn: TurnRef, events: Sequence[StoredEvent], *, process: UUID
) -> None:
    """Write events of a turn whose row this transaction holds."""
    await connection.execute(
        _TELL,
        {
            "owner": turn.principal.user_id,
            "turn": turn.id,
            "process": process,
            **event_values(events),
        },
    )
