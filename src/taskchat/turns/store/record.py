"""What a turn records, and reading it: the model's answers, the executed calls."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, exists, select

from taskchat.assistant.record import Answer
from taskchat.conversations.models import Message, ToolCall
from taskchat.conversations.schemas import ToolCallOut, ToolCallStatus
from taskchat.postgres.database import AnyRow, Connection, Database, Function
from taskchat.postgres.tables import table_of
from taskchat.tasks.effects import TaskEffect
from taskchat.turns.events import StoredEvent
from taskchat.turns.models import ModelAnswer, Steering, Turn
from taskchat.turns.states import Claim, TurnRef
from taskchat.turns.store.events import event_values

_messages = table_of(Message)
_turns = table_of(Turn)
_answers = table_of(ModelAnswer)
_calls = table_of(ToolCall)
_steering = table_of(Steering)

TURN_CALL: Final = Function(
    "turn_call_2",
    "turn",
    "attempt",
    "process",
    "id",
    "call_id",
    "position",
    "tool",
    "parameters",
    "effect",
    "done",
    "task",
    "title",
    "description",
    "completed",
    "listed_max",
    "refusal",
    "given",
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
    "result_seq",
    "result_head",
)
_SAID = (
    select(
        _messages.c.content,
        _messages.c.id,
        _messages.c.created_at,
        _turns.c.circumstances,
        _turns.c.version_of.is_not(None).label("is_version"),
        exists()
        .where(
            _steering.c.user_id == _messages.c.user_id,
            _steering.c.turn_id == _messages.c.turn_id,
        )
        .label("is_steered"),
    )
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


@dataclass(frozen=True, slots=True)
class Recorded:
    """A tool call that is done and on record.

    Attributes:
        status: completed or failed.
        result: What the tool answered, as JSON.
        executed_at: When.
        event: The JSON of the event that tells of it.
    """

    status: ToolCallStatus
    result: str
    executed_at: datetime
    event: str


async def call_tool(
    database: Database,
    held: Claim,
    *,
    process: UUID,
    id_: UUID,
    call_id: str,
    position: int,
    tool_name: str,
    arguments: Mapping[str, Any],
    effect: TaskEffect,
    given: dict[str, Any] | None,
    answers: Sequence[tuple[int, Answer]],
    events: Sequence[StoredEvent],
    result_seq: int,
    result_head: str,
) -> Recorded | None:
    """Carry out a tool call and record it, once, in one transaction: turn_call_2.sql.

    Args:
        database: Where it is stored.
        held: The attempt that makes the call.
        process: This process.
        id_: The call's id, as it is told.
        call_id: The model's own id of it.
        position: Its place among the calls of the turn.
        tool_name: The tool that the model named.
        arguments: What it wrote.
        effect: What the tool does.
        given: The result of a call that no tool has to run for.
        answers: What the model has answered since the last commit, by number in the turn.
        events: What is to be told before the result.
        result_seq: The number of the event that tells the result.
        result_head: That event's JSON before the result.

    Returns:
        None if this attempt no longer runs the turn.

    Raises:
        DatabaseError: the outcome is unknown.
    """
    row = await database.call(
        held.turn.principal,
        TURN_CALL,
        {
            "turn": held.turn.id,
            "attempt": held.attempt,
            "process": process,
            "id": id_,
            "call_id": call_id,
            "position": position,
            "tool": tool_name,
            "parameters": json.dumps(dict(arguments)),
            **effect.values(),
            "given": None if given is None else json.dumps(given),
            **answer_values(answers),
            **event_values(events),
            "result_seq": result_seq,
            "result_head": result_head,
        },
    )
    if not row.held:
        return None
    return Recorded(row.status, row.result, row.executed_at, row.result_event)


def answer_values(answers: Sequence[tuple[int, Answer]]) -> dict[str, Any]:
    """The parameters of functions that keep what models have answered, by number in the turn."""
    return {
        "answers": [number for number, _ in answers],
        "answer_models": [answer.model for _, answer in answers],
        "answer_items": [json.dumps(list(answer.items)) for _, answer in answers],
        "answer_inputs": [answer.input_tokens for _, answer in answers],
        "answer_cached": [answer.cached_input_tokens for _, answer in answers],
        "answer_outputs": [answer.output_tokens for _, answer in answers],
        "answer_durations": [answer.duration_ms for _, answer in answers],
    }


async def user_message(connection: Connection, turn: TurnRef) -> AnyRow | None:
    """What the user said in a turn; None if it is gone.

    Returns:
        content, id, created_at, circumstances, is_version, is_steered.
    """
    rows = await connection.execute(_SAID, {"owner": turn.principal.user_id, "turn": turn.id})
    return rows.one_or_none()


async def recorded_answers(connection: Connection, turn: TurnRef) -> list[Answer]:
    """The model answers of a turn that are on record, in order."""
    rows = await connection.execute(_ANSWERS, {"owner": turn.principal.user_id, "turn": turn.id})
    return [Answer(**{**row, "items": json.loads(row["items"])}) for row in rows]


async def recorded_calls(connection: Connection, turn: TurnRef) -> list[tuple[str, ToolCallOut]]:
    """The executed calls of a turn in order, each with the model's id."""
    rows = await connection.execute(_CALLS, {"owner": turn.principal.user_id, "turn": turn.id})
    calls = []
    for row in rows:
        values = dict(row)
        call_id = values.pop("call_id")
        for name in ("parameters", "result"):
            values[name] = json.loads(values[name])
        calls.append((call_id, ToolCallOut.model_construct(**values)))
    return calls
