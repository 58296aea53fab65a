"""The model of both servers: it adds one task, then says so. It costs next to nothing itself."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

from agents import Model, ModelResponse, Usage
from agents.items import TResponseInputItem, TResponseStreamEvent
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

REPLY = "Added."
ARGUMENTS = '{"title": "Buy groceries"}'

_numbers = itertools.count()


class ScriptedModel(Model):
    """Calls add_task unless the newest item is that call's output."""

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        newest = input[-1] if isinstance(input, list) else None
        if newest is not None and newest.get("type") == "function_call_output":
            return _response(_message())
        return _response(
            ResponseFunctionToolCall(
                type="function_call",
                name="add_task",
                arguments=ARGUMENTS,
                call_id=f"call_{next(_numbers)}",
            )
        )

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        raise NotImplementedError


def _message() -> ResponseOutputMessage:
    return ResponseOutputMessage(
        id="msg",
        type="message",
        role="assistant",
        status="completed",
        content=[ResponseOutputText(type="output_text", text=REPLY, annotations=[])],
    )


def _response(item: ResponseFunctionToolCall | ResponseOutputMessage) -> ModelResponse:
    usage = Usage(requests=1, input_tokens=100, output_tokens=10, total_tokens=110)
    return ModelResponse(output=[item], usage=usage, response_id=None)
