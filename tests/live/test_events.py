"""One vocabulary: what is written is what the union says, byte for byte, on every transport."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted

from taskchat.moments import new_id
from taskchat.principal import Channel, Principal
from taskchat.turns import events
from taskchat.turns.events import EVENT, TERMINAL, Event, EventBase, TurnCompleted
from taskchat.turns.states import TurnRef


async def stored(superuser: AsyncEngine, person: Person) -> list[dict[str, Any]]:
    """What is kept of a person's turns, in order."""
    async with superuser.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT e.seq, e.type, e.data FROM turn_events AS e JOIN turns AS t"
                " ON t.user_id = e.user_id AND t.id = e.turn_id"
                " WHERE e.user_id = :o ORDER BY t.number, e.seq"
            ),
            {"o": person.user_id},
        )
        return [{"seq": row.seq, "type": row.type, **json.loads(row.data)} for row in rows]


async def test_a_turn_tells_all_that_happens_in_it_in_order(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, chain = scripted(
        [
            calls_tool("add_task", {"title": "Buy milk"}),
            calls_tool("complete_task", {"task_id": 9}),
        ],
        says("Done."),
    )
    async with running_app(chain=chain) as running:
        answer = (await person.say(running.client, "milk")).json()
    events = await stored(superuser, person)
    assert [event["type"] for event in events] == [
        "turn_started",
        "agent_status",
        "openai_call",
        "openai_response",
        "tool_call",
        "tool_result",
        "tool_call",
        "tool_result",
        "openai_call",
        "openai_response",
        "agent_status",
        "assistant",
        "turn_completed",
    ]
    assert [event["seq"] for event in events] == list(range(1, 14))
    for event in events:
        assert EVENT.validate_python(event).seq == event["seq"]
        assert event["turn_id"] == answer["turn_id"]
        assert event["conversation_id"] == answer["conversation_id"]
    moments = [event["timestamp"] for event in events]
    assert moments == sorted(moments)
    started, first, second = events[0], events[4:6], events[6:8]
    assert (started["content"], started["channel"], started["number"]) == ("milk", "rest", 1)
    assert [call["id"] for call in answer["tool_calls"]] == [
        pair[0]["tool_call_id"] for pair in (first, second)
    ]
    assert first[1]["result"] == answer["tool_calls"][0]["result"]
    assert [pair[1]["is_error"] for pair in (first, second)] == [False, True]
    assert events[-2]["content"] == "Done."
    assert events[-1]["result"] == answer


async def test_the_last_event_holds_the_answer_of_this_turn_alone(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    first = (await person.say(offline_app.client, "Add task: A")).json()
    answer = await person.say(
        offline_app.client,
        "Add task: B",
        conversation_id=first["conversation_id"],
        params={"messages": "turn"},
    )
    last = (await stored(superuser, person))[-1]
    assert last["result"] == answer.json()
    read = EVENT.validate_python(last)
    assert isinstance(read, TurnCompleted)
    assert [message.role for message in read.result.messages] == ["user", "assistant"]


async def test_a_failed_turn_ends_with_the_error_that_was_answered(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, chain = scripted(*[[calls_tool("list_tasks", {})] for _ in range(2)])
    async with running_app(chain=chain, model_calls_max=2) as running:
        answer = (await person.say(running.client, "for ever")).json()
    last = (await stored(superuser, person))[-1]
    assert last["type"] == "error"
    for name in ("error_code", "error", "request_id", "turn_id", "conversation_id"):
        assert last[name] == answer[name]


def test_the_schema_tells_every_type_apart() -> None:
    schema = EVENT.json_schema()
    types = set(schema["discriminator"]["mapping"])
    assert len(types) == len(schema["oneOf"]) == 16
    assert types > TERMINAL
    for definition in schema["$defs"].values():
        if "seq" in definition.get("properties", {}):
            assert {"turn_id", "conversation_id", "seq", "timestamp"} <= set(definition["required"])


async def test_events_of_two_turns_are_counted_apart(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    first = (await person.say(offline_app.client, "hello")).json()
    await person.say(offline_app.client, "hello", conversation_id=first["conversation_id"])
    seqs = [event["seq"] for event in await stored(superuser, person)]
    half = len(seqs) // 2
    assert seqs[:half] == seqs[half:] == list(range(1, half + 1))


SAMPLES: dict[str, dict[str, Any]] = {
    "turn_started": {
        "number": 3,
        "channel": Channel.SSE,
        "message_id": new_id(),
        "content": 'Größe "\\ 😀\n\x7f',
        "version_of": None,
    },
    "agent_status": {"status": "thinking"},
    "openai_call": {"model": "gpt"},
    "openai_response": {
        "model": "gpt",
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "duration_ms": 4,
    },
    "tool_call": {
        "tool_call_id": new_id(),
        "tool_name": "add_task",
        "arguments": {"title": "Ü", "n": [1, 1.5, None, True, {}]},
    },
    "tool_result": {
        "tool_call_id": new_id(),
        "tool_name": "add_task",
        "result": {},
        "duration_ms": 0,
        "is_error": False,
    },
    "stream_start": {},
    "stream_chunk": {"delta": " x"},
    "stream_end": {"dropped": True},
    "reasoning": {"delta": "hm"},
    "feedback_request": {
        "feedback_id": new_id(),
        "expires_at": datetime(2026, 11, 27, tzinfo=UTC),
        "kind": "approval",
        "question": "Sure?",
        "choices": [],
        "calls": [{"tool_call_id": new_id(), "tool_name": "a", "arguments": {}, "subject": None}],
    },
    "user_message": {"message_id": new_id(), "content": "and eggs"},
    "feedback_response": {
        "feedback_id": new_id(),
        "status": "approved",
        "answer": "approve",
        "comment": None,
    },
    "assistant": {"message_id": new_id(), "content": "Hi"},
    "error": {"error_code": "model_error", "error": "No.", "request_id": "r", "details": []},
}
"""Fields of each event that is made with `stored`."""


@pytest.mark.parametrize(
    "event",
    [kind for kind in get_args(get_args(Event)[0]) if kind is not TurnCompleted],
    ids=lambda kind: kind.__name__,
)
def test_an_event_is_made_as_its_class_has_it(event: type[EventBase]) -> None:
    fields = SAMPLES[event.model_fields["type"].default]
    turn = TurnRef(Principal("me"), new_id(), new_id(), 3)
    moment = datetime(2026, 11, 27, 8, 30, 1, 20, tzinfo=UTC)
    made = events.stored(event, turn, 7, moment, **fields)
    as_told = event(
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        seq=7,
        timestamp=moment,
        **fields,
    )
    assert made.data == as_told.model_dump_json()
    assert set(fields) == set(event.model_fields) - set(EventBase.model_fields)
