"""Answers of the Responses API, as its many vendors send them, made into the API's own form.

Messages, calls and reasoning are read; items of any other kind are ignored, because no other
kind of tool is offered.
"""

from collections.abc import AsyncIterator
from typing import Any

from agents.exceptions import ModelBehaviorError
from agents.items import TResponseOutputItem
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseReasoningItem,
    ResponseReasoningTextDeltaEvent,
    ResponseTextDeltaEvent,
    ResponseUsage,
)
from pydantic import ValidationError

from taskchat.assistant.models.reading import (
    arguments_of,
    count_of,
    dict_of,
    list_of,
    new_call_id,
    text_of,
    word_of,
)
from taskchat.assistant.models.soundness import mended
from taskchat.assistant.models.wire import BrokeOff, Told, VendorFailed, object_in

TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})
"""Events with more of a message."""

THOUGHT = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
"""Events with more of what the model thinks."""

ENDS = frozenset({"response.completed", "response.incomplete", "response.done"})
"""Events with the whole answer. One that was cut off at its longest is short, not wrong."""

UNANSWERED = frozenset({"failed", "cancelled"})
"""States of a response that holds no answer."""

STATES = frozenset({"completed", "incomplete", "in_progress"})
"""States of an item."""

PHASES = frozenset({"commentary", "final_answer"})
"""What part of its answer a message can be."""

Event = ResponseTextDeltaEvent | ResponseReasoningTextDeltaEvent | ResponseCompletedEvent
"""The events that are made of a stream, whatever its vendor sends."""


def whole_response(text: str) -> Response:
    """The answer in a response body.

    Raises:
        ModelBehaviorError: it holds no answer.
        VendorFailed: it reports an error.
    """
    told = object_in(text)
    if not isinstance(told.get("output"), list):
        raise ModelBehaviorError("The answer has no output.")
    return _response(told, [])


async def response_events(stream: AsyncIterator[Told]) -> AsyncIterator[Event]:
    """The events of a stream: text as it comes, and the whole answer at its end.

    Raises:
        BrokeOff: the stream ends before the answer does.
        ModelBehaviorError: it holds no answer.
        VendorFailed: it reports an error.
    """
    began, begun, done = False, 0, list[dict[str, Any]]()
    async for told in stream:
        kind = str(told.data.get("type") or told.event)
        began = began or kind.startswith("response.")
        answer = dict_of(told.data.get("response"))
        if kind == "response.output_item.added":
            begun += 1
        elif kind == "response.output_item.done":
            done.append(dict_of(told.data.get("item")))
        elif kind in TEXT:
            yield _text(told.data, len(done))
        elif kind in THOUGHT:
            yield _thought(told.data)
        elif kind == "response.failed":
            error = dict_of(answer.get("error"))
            raise BrokeOff("The answer ended as failed.", code=word_of(error.get("code")) or None)
        elif kind in ENDS or isinstance(told.data.get("output"), list):
            yield _completed(_response(answer or told.data, done))
            return
    if not began:
        raise ModelBehaviorError("The answer has no output.")
    if not done or len(done) < begun:
        raise BrokeOff("The answer broke off.")
    # Some servers end their streams silently; everything that was begun was also ended.
    yield _completed(_response({}, done))


def _text(told: dict[str, Any], items_done: int) -> ResponseTextDeltaEvent:
    index = told.get("output_index")
    return ResponseTextDeltaEvent(
        type="response.output_text.delta",
        item_id=word_of(told.get("item_id")),
        # If a vendor does not say which message this belongs to, the items done so far tell.
        output_index=index if isinstance(index, int) else items_done,
        content_index=0,
        delta=text_of(told.get("delta")),
        logprobs=[],
        sequence_number=0,
    )


def _thought(told: dict[str, Any]) -> ResponseReasoningTextDeltaEvent:
    return ResponseReasoningTextDeltaEvent(
        type="response.reasoning_text.delta",
        item_id="",
        output_index=0,
        content_index=0,
        delta=text_of(told.get("delta")),
        sequence_number=0,
    )


def _completed(response: Response) -> ResponseCompletedEvent:
    return ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)


def _response(told: dict[str, Any], streamed: list[dict[str, Any]]) -> Response:
    """The answer: the items at its end, or the streamed ones if there are more of them."""
    if word_of(told.get("status")) in UNANSWERED:
        raise VendorFailed("The answer ended as failed.")
    output, before = _items(list_of(told.get("output"))), _items(streamed)
    return Response(
        id=word_of(told.get("id")) or FAKE_RESPONSES_ID,
        object="response",
        created_at=0,
        model="model",
        status="completed",
        output=before if len(before) > len(output) else output,
        usage=_usage(dict_of(told.get("usage"))),
        parallel_tool_calls=False,
        tool_choice="auto",
        tools=[],
    )


def _items(told: list[Any]) -> list[TResponseOutputItem]:
    read = (_item(one) for one in told if isinstance(one, dict))
    return [item for item in read if item is not None]


def _item(told: dict[str, Any]) -> TResponseOutputItem | None:
    kind, id_ = told.get("type"), word_of(told.get("id")) or FAKE_RESPONSES_ID
    if kind == "function_call":
        return ResponseFunctionToolCall.model_validate(
            {
                "type": "function_call",
                "id": id_,
                "call_id": word_of(told.get("call_id")) or new_call_id(),
                "name": word_of(told.get("name")),
                "arguments": arguments_of(told.get("arguments")),
                **_as_told(told, "status", STATES),
            }
        )
    if kind == "message" or (kind is None and told.get("role") == "assistant"):
        return ResponseOutputMessage.model_validate(
            {
                "id": id_,
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {
                        "type": "output_text",
                        "text": text_of(told.get("content")),
                        "annotations": [],
                        "logprobs": [],
                    }
                ],
                **_as_told(told, "status", STATES),
                # Such models do worse if it does not come back.
                **_as_told(told, "phase", PHASES),
            }
        )
    if kind == "reasoning":
        try:
            told = {"summary": [], **mended(told), "id": id_}
            return ResponseReasoningItem.model_validate(told)
        except (ValidationError, RecursionError):
            return None
    return None


def _as_told(told: dict[str, Any], name: str, known: frozenset[str]) -> dict[str, str]:
    """A field whose values the API knows; left out if it has another value."""
    word = word_of(told.get(name))
    return {name: word} if word in known else {}


def _usage(told: dict[str, Any]) -> ResponseUsage | None:
    if not told:
        return None
    read, wrote = count_of(told.get("input_tokens")), count_of(told.get("output_tokens"))
    cached = count_of(dict_of(told.get("input_tokens_details")).get("cached_tokens"))
    return ResponseUsage.model_validate(
        {
            "input_tokens": read,
            "output_tokens": wrote,
            "total_tokens": read + wrote,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
    )
