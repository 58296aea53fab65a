"""What a response tells follows from the events of its turn, in whatever order they can come."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from taskchat.moments import new_id
from taskchat.principal import Principal
from taskchat.reference.examples.turns import CHAT
from taskchat.transports.openai_http.ids import ResponseId, approval_text, response_id
from taskchat.transports.openai_http.narration import Narrator, Told
from taskchat.transports.openai_http.shapes import (
    McpApprovalRequest,
    McpCallItem,
    OutputMessage,
    ReasoningItem,
    ResponseResource,
)
from taskchat.turns import events
from taskchat.turns.events import EventBase, StoredEvent
from taskchat.turns.states import TurnRef

EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
TURN = TurnRef(Principal("ann"), new_id(), new_id(), 1)
BEGAN = datetime(2026, 11, 28, tzinfo=UTC)
CALL = new_id()

STARTED = (
    events.TurnStarted,
    {
        "number": 1,
        "channel": "sse",
        "message_id": new_id(),
        "content": "Go",
        "version_of": None,
    },
)
THINKS = (events.AgentStatus, {"status": "thinking"})
ASKS_MODEL = (events.OpenAICall, {"model": "m"})
CALLS = (
    events.ToolCallEvent,
    {"tool_call_id": CALL, "tool_name": "delete_task", "arguments": {"task_id": 1}},
)
CALLED = (
    events.ToolResultEvent,
    {
        "tool_call_id": CALL,
        "tool_name": "delete_task",
        "result": {"task_id": 1},
        "duration_ms": 1,
        "is_error": False,
    },
)
OPENS: tuple[type[EventBase], dict[str, Any]] = (events.StreamStart, {})
CLOSES = (events.StreamEnd, {"dropped": False})
DROPS = (events.StreamEnd, {"dropped": True})
ASKED = (
    events.FeedbackRequest,
    {
        "feedback_id": new_id(),
        "expires_at": BEGAN,
        "kind": "approval",
        "question": "May I?",
        "choices": [],
        "calls": [
            {
                "tool_call_id": CALL,
                "tool_name": "delete_task",
                "arguments": {"task_id": 1},
                "subject": None,
            }
        ],
    },
)
ANSWERED = (
    events.FeedbackResponse,
    {"feedback_id": new_id(), "status": "approved", "answer": "approve", "comment": None},
)
COMPLETED = (events.TurnCompleted, {"result": CHAT.model_copy(update={"tool_calls": []})})

Happening = tuple[type[EventBase], dict[str, Any]]


def says(delta: str) -> Happening:
    return events.StreamChunk, {"delta": delta}


def replies(content: str) -> Happening:
    return events.AssistantReply, {"message_id": new_id(), "content": content}


def failed(code: str) -> Happening:
    fields = {"error_code": code, "error": "It failed.", "request_id": "r", "details": []}
    return events.TurnFailed, fields


def logged(*happenings: Happening, first: int = 1) -> list[StoredEvent]:
    """These, as the log has them."""
    return [
        events.stored(kind, TURN, seq, BEGAN + timedelta(seconds=seq), **fields)
        for seq, (kind, fields) in enumerate(happenings, first)
    ]


def narrated(
    log: Sequence[StoredEvent], *, part: int = 1
) -> tuple[list[Told], ResponseResource | None]:
    """What is told of them, each event checked by OpenAI's own types, and the response."""
    narrator = Narrator(TURN, part, None)
    told = [one for event in log for one in narrator.hear(event)]
    assert [one.sequence_number for one in told] == list(range(len(told)))
    for one in told:
        EVENTS.validate_json(one.json())
    if narrator.response is not None:
        Response.model_validate_json(narrator.response.model_dump_json())
    return told, narrator.response


def types(told: Sequence[Told]) -> list[str]:
    return [one.type.removeprefix("response.") for one in told]


def texts(response: ResponseResource | None) -> list[str]:
    assert response is not None
    return [item.content[0].text for item in response.output if isinstance(item, OutputMessage)]


def test_a_streamed_reply_is_told_once() -> None:
    log = logged(STARTED, THINKS, ASKS_MODEL, OPENS, says("He"), says("llo"), CLOSES)
    log += logged(replies("Hello"), COMPLETED, first=8)
    told, response = narrated(log)
    assert types(told) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert texts(response) == ["Hello"]


def test_a_reply_that_was_not_streamed_is_told_whole() -> None:
    _, response = narrated(logged(STARTED, THINKS, ASKS_MODEL, replies("Hello"), COMPLETED))
    assert texts(response) == ["Hello"]


def test_what_is_said_before_a_call_is_a_message_of_its_own() -> None:
    log = logged(
        *(STARTED, THINKS, ASKS_MODEL, OPENS, says("I see."), CLOSES, CALLS, CALLED),
        *(ASKS_MODEL, OPENS, says("Done."), CLOSES, replies("Done."), COMPLETED),
    )
    _, response = narrated(log)
    assert response is not None
    assert [item.type for item in response.output] == ["message", "mcp_call", "message"]
    assert texts(response) == ["I see.", "Done."]


def test_what_is_dropped_keeps_its_place_and_is_no_part_of_the_response() -> None:
    log = logged(
        *(STARTED, THINKS, ASKS_MODEL, OPENS, says("He"), DROPS),
        *(ASKS_MODEL, OPENS, says("Hello"), CLOSES, replies("Hello"), COMPLETED),
    )
    told, response = narrated(log)
    assert texts(response) == ["Hello"]
    done = [one.fields for one in told if one.type == "response.output_item.done"]
    assert [(item["output_index"], item["item"]["status"]) for item in done] == [
        (0, "incomplete"),
        (1, "completed"),
    ]


def test_a_reply_whose_stream_was_dropped_is_told_whole() -> None:
    log = logged(STARTED, THINKS, ASKS_MODEL, OPENS, says("He"), DROPS, replies("Hi"), COMPLETED)
    _, response = narrated(log)
    assert texts(response) == ["Hi"]


def test_a_call_that_is_reported_again_is_told_once() -> None:
    log = logged(STARTED, THINKS, CALLS, CALLED, CALLS, CALLED, replies("Hi"), COMPLETED)
    _, response = narrated(log)
    assert response is not None
    assert [item.type for item in response.output] == ["mcp_call", "message"]


def test_a_turn_that_asks_is_two_responses() -> None:
    log = logged(
        *(STARTED, THINKS, ASKS_MODEL, CALLS, ASKED, ANSWERED, THINKS, CALLED, ASKS_MODEL),
        *(replies("Done."), COMPLETED),
    )
    told, first = narrated(log)
    assert first is not None
    assert types(told)[-1] == "completed"
    assert first.status == "completed"
    assert texts(first) == ["May I?"]
    [asked] = [item for item in first.output if isinstance(item, McpApprovalRequest)]
    assert asked.id == approval_text(CALL)
    told, second = narrated(log, part=2)
    assert second is not None
    assert types(told)[:2] == ["created", "in_progress"]
    assert (second.id, second.previous_response_id) == (f"{first.id}_2", first.id)
    [call] = [item for item in second.output if isinstance(item, McpCallItem)]
    assert (call.arguments, call.approval_request_id) == ('{"task_id":1}', asked.id)
    assert narrated(log, part=3) == ([], None)


@pytest.mark.parametrize(
    ("code", "status", "last"),
    [
        ("model_error", "failed", "response.failed"),
        ("turn_cancelled", "cancelled", "response.incomplete"),
    ],
)
def test_how_a_turn_ended_otherwise_is_told(code: str, status: str, last: str) -> None:
    told, response = narrated(logged(STARTED, THINKS, ASKS_MODEL, OPENS, says("He"), failed(code)))
    assert response is not None
    assert response.error is not None
    assert (response.status, response.error.type, told[-1].type) == (status, code, last)
    [text] = response.output
    assert isinstance(text, OutputMessage)
    assert (text.status, text.content[0].text) == ("incomplete", "He")


def test_what_is_thought_aloud_is_an_item_of_its_own() -> None:
    thinks = (events.Reasoning, {"delta": "Hm. "})
    log = logged(STARTED, THINKS, ASKS_MODEL, thinks, thinks, OPENS, says("Hi"), CLOSES)
    told, response = narrated([*log, *logged(replies("Hi"), COMPLETED, first=9)])
    assert response is not None
    thought, text = response.output
    assert isinstance(thought, ReasoningItem)
    assert (thought.content[0].text, thought.status) == ("Hm. Hm. ", "completed")
    assert isinstance(text, OutputMessage)
    assert types(told).count("reasoning_text.delta") == 2


def test_a_turn_that_waits_in_line_is_queued_first() -> None:
    queued = (events.AgentStatus, {"status": "queued"})
    told, response = narrated(logged(STARTED, queued, queued, THINKS, queued, THINKS))
    assert types(told) == ["created", "queued", "in_progress"]
    assert response is not None
    assert response.status == "in_progress"


def test_of_a_turn_whose_events_are_pruned_the_end_tells_all() -> None:
    result = (events.TurnCompleted, {"result": CHAT})
    told, response = narrated(logged(result, first=40))
    assert response is not None
    assert [item.type for item in response.output] == ["mcp_call", "message"]
    assert texts(response) == [CHAT.response]
    assert response.usage is not None
    assert response.usage.total_tokens == 1168
    assert types(told)[-1] == "completed"
    _, response = narrated(logged(failed("model_error"), first=40), part=2)
    assert response is not None
    assert response.status == "failed"


def test_ids_have_one_spelling() -> None:
    for part in (1, 2, 17):
        named = ResponseId(TURN.id, part)
        assert response_id(str(named)) == named
    for text in ("resp_1", f"{ResponseId(TURN.id)}_1", f"{ResponseId(TURN.id)}_02", str(TURN.id)):
        assert response_id(text) is None
