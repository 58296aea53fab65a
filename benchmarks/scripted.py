"""The model of both servers: it adds one task, then says so. It costs next to nothing itself.

Where it is only greeted it calls no tool.
"""

import itertools
from collections.abc import AsyncIterator
from typing import Any

from agents import Model, ModelResponse, Usage
from agents.items import TResponseInputItem, TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

DELTAS = ("Add", "ed", ".")
REPLY = "".join(DELTAS)
GREETING = "Hello"
ARGUMENTS = '{"title": "Buy groceries"}'

_numbers = itertools.count()


class ScriptedModel(Model):
    """Calls add_task unless the newest item is that call's output, or a greeting."""

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        usage = Usage(requests=1, input_tokens=100, output_tokens=10, total_tokens=110)
        return ModelResponse(output=[_next_item(input)], usage=usage, response_id=None)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        *args: Any,
        **kwargs: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        item = _next_item(input)
        numbers = itertools.count()
        if isinstance(item, ResponseOutputMessage):
            for delta in DELTAS:
                yield ResponseTextDeltaEvent(
                    type="response.output_text.delta",
                    item_id=item.id,
                    output_index=0,
                    content_index=0,
                    delta=delta,
                    logprobs=[],
                    sequence_number=next(numbers),
                )
        yield ResponseCompletedEvent(
            type="response.completed", response=_response(item), sequence_number=next(numbers)
        )


def _next_item(
    input: str | list[TResponseInputItem],
) -> ResponseFunctionToolCall | ResponseOutputMessage:
    newest = input[-1] if isinstance(input, list) else None
    if newest is not None and (
        newest.get("type") == "function_call_output" or newest.get("content") == GREETING
    ):
        return ResponseOutputMessage(
            id="msg",
            type="message",
            role="assistant",
            status="completed",
            content=[ResponseOutputText(type="output_text", text=REPLY, annotations=[])],
        )
    return ResponseFunctionToolCall(
        type="function_call",
        name="add_task",
        arguments=ARGUMENTS,
        call_id=f"call_{next(_numbers)}",
    )


def _response(item: ResponseFunctionToolCall | ResponseOutputMessage) -> Response:
    return Response(
        id="resp",
        object="response",
        created_at=0,
        model="scripted",
        output=[item],
        parallel_tool_calls=True,
        tool_choice="auto",
        tools=[],
        usage=ResponseUsage(
            input_tokens=100,
            input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
            output_tokens=10,
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
            total_tokens=110,
        ),
    )
