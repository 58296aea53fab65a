"""SQL of what a turn records: the fence, the model's answers, the executed calls."""

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, text

from taskchat.assistant.record import Answer
from taskchat.conversations.models import Message, ToolCall
from taskchat.conversations.schemas import ToolCallOut
from taskchat.postgres.database import AnyRow, Connection, table_of
from taskchat.presence.repository import tell_followers
from taskchat.turns.events import StoredEvent
from taskchat.turns.models import ModelAnswer, Turn
from taskchat.turns.states import Claim, TurnRef
from taskchat.turns.store.events import event_values, insert_events

_messages = table_of(Message)
_turns = table_of(Turn)
_answers = table_of(ModelAnswer)
_calls = table_of(ToolCall)

_FENCE = text(
    "SELECT 1 FROM turns WHERE user_id = :owner AND id = :turn AND attempt = :attempt"
    " AND status = 'running' FOR SHARE"
)
# The call and its events in one round trip.
_INSERT_CALL = text(
    "WITH held AS (SELECT user_id, id, conversation_id FROM turns"
    " WHERE user_id = :owner AND id = :turn),"
    " kept AS (INSERT INTO tool_calls (user_id, id, turn_id, call_id, position, tool_name,"
    " parameters, result, status, duration_ms)"
    " SELECT user_id, :id, id, :call_id, :position, :tool_name, :parameters, :result, :status,"
    " :duration_ms FROM held RETURNING executed_at),"
    " told AS (" + insert_events("held") + ")"
    " SELECT kept.executed_at, " + tell_followers("held") + " FROM kept, held"
).bindparams(
    *(
        bindparam(name, type_=_calls.c[name].type)
        for name in (
            "id",
            "call_id",
            "position",
            "tool_name",
            "parameters",
            "result",
            "status",
            "duration_ms",
        )
    )
)
_INSERT_ANSWER = insert(_answers)
_SAID = (
    select(_messages.c.content, _messages.c.id, _messages.c.created_at, _turns.c.circumstances)
    .join(_turns, (_turns.c.user_id == _messages.c.user_id) & (_turns.c.id == _messages.c.turn_id))
    .where(
        _messages.c.user_id == bindparam("owner"),
        _messages.c.turn_id == bindparam("turn"),
        _messages.c.position == 0,
    )
)
_ANSWERS = (
    select(*(_answers.c[field.name] for field in dataclasses.fields(Answer)))
    .where(_answers.c.user_id == bindparam("owner"), _answers.c.turn_id == bindparam("turn"))
    .order_by(_answers.c.number)
)
_CALLS = (
    select(_calls.c.call_id, *(_calls.c[name] for name in ToolCallOut.model_fields))
    .where(_calls.c.user_id == bindparam("owner"), _calls.c.turn_id == bindparam("turn"))
    .order_by(_calls.c.position)
)


async def still_ours(connection: Connection, held: Claim) -> bool:
    """The fence: whether this attempt still runs the turn. A takeover waits for the answer.

    Parallel tool calls pass each other here; an UPDATE of the turn waits for them all.
    """
    found = await connection.scalar(
        _FENCE,
        {
            "owner": held.turn.principal.user_id,
            "turn": held.turn.id,
            "attempt": held.attempt,
        },
    )
    return found is not None


async def insert_answers(
    connection: Connection, turn: TurnRef, answers: Sequence[dict[str, Any]]
) -> None:
    """Store what the model answered: the number in the turn, and the fields of `Answer`."""
    await connection.execute(
        _INSERT_ANSWER,
        [{"user_id": turn.principal.user_id, "turn_id": turn.id, **answer} for answer in answers],
    )


async def insert_call(
    connection: Connection,
    turn: TurnRef,
    call: dict[str, Any],
    events: Sequence[StoredEvent],
    *,
    process: UUID,
) -> datetime:
    """Record a tool call and its events; returns the time of the transaction."""
    moment = await connection.scalar(
        _INSERT_CALL,
        {
            "owner": turn.principal.user_id,
            "turn": turn.id,
            "process": process,
            **call,
            **event_values(events),
        },
    )
    assert isinstance(moment, datetime)  # noqa: S101 - narrowed for the type checker
    return moment


async def user_message(connection: Connection, turn: TurnRef) -> AnyRow:
    """What the user said in a turn: content, id, created_at, circumstances."""
    return (
        await connection.execute(_SAID, {"owner": turn.principal.user_id, "turn": turn.id})
    ).one()


async def recorded_answers(connection: Connection, turn: TurnRef) -> list[Answer]:
    """The model answers of a turn that are on record, in order."""
    rows = await connection.execute(_ANSWERS, {"owner": turn.principal.user_id, "turn": turn.id})
    return [Answer(**row._mapping) for row in rows]


async def recorded_calls(connection: Connection, turn: TurnRef) -> list[tuple[str, ToolCallOut]]:
    """The executed calls of a turn in order, each with the model's id."""
    rows = await connection.execute(_CALLS, {"owner": turn.principal.user_id, "turn": turn.id})
    calls = []
    for row in rows:
        values = dict(row._mapping)
        call_id = values.pop("call_id")
        calls.append((call_id, ToolCallOut.model_construct(**values)))
    return calls
