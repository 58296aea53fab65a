"""The offline model as the Agents SDK sees it: a `Model` without network, state or cost."""

import json
import re
import time
from collections.abc import AsyncIterator
from uuid import uuid4

from agents.agent_output import AgentOutputSchemaBase
from agents.handoffs import Handoff
from agents.items import (
    ModelResponse,
    TResponseInputItem,
    TResponseOutputItem,
    TResponseStreamEvent,
)
from agents.model_settings import ModelSettings
from agents.models.interface import Model, ModelTracing
from agents.tool import Tool
from agents.usage import Usage
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseCreatedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseFunctionToolCall,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
    ResponseUsage,
)
from openai.types.responses.response_prompt_param import ResponsePromptParam
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from taskchat_offline.digest import digest
from taskchat_offline.plan import next_step

NAME = "offline"
"""What the model is called in settings and answers."""

_WORD = re.compile(r"\s*\S+\s*")


class OfflineModel(Model):
    """Understands plain English about tasks; calls the offered tools like any other model.

    It keeps nothing between calls: the same input always leads to the same step. Its usage is
    one request of no tokens.
    """

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """The next step of the turn: tool calls or the reply."""
        return ModelResponse(
            output=_output(input, tools),
            usage=Usage(requests=1),
            response_id=f"resp_{uuid4().hex}",
        )

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The same step as Responses events, a reply word by word."""
        output = _output(input, tools)
        for event in _events(_response(output)):
            yield event


def _output(input: str | list[TResponseInputItem], tools: list[Tool]) -> list[TResponseOutputItem]:
    if not tools:
        # Whoever wants something done offers tools; without tools, a summary is wanted.
        said = input if isinstance(input, str) else str(input[-1].get("content", ""))
        return [_message(digest(said))]
    step = next_step(input, frozenset(tool.name for tool in tools))
    if not step.calls:
        return [_message(step.reply)]
    return [
        ResponseFunctionToolCall(
            id=f"fc_{uuid4().hex}",
            type="function_call",
            call_id=f"call_{uuid4().hex}",
            name=call.name,
            arguments=json.dumps(call.arguments, ensure_ascii=False),
            status="completed",
        )
        for call in step.calls
    ]


def _message(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(type="output_text", text=text, annotations=[], logprobs=[])
    return ResponseOutputMessage(
        id=f"msg_{uuid4().hex}",
        type="message",
        role="assistant",
        status="completed",
        content=[part],
    )


def _response(output: list[TResponseOutputItem]) -> Response:
    return Response(
        id=f"resp_{uuid4().hex}",
        created_at=int(time.time()),
        model=NAME,
        object="response",
        output=output,
        tool_choice="auto",
        tools=[],
        parallel_tool_calls=True,
        status="completed",
        usage=ResponseUsage(
            input_tokens=0,
            output_tokens=0,
            total_tokens=0,
            input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        ),
    )


def _events(response: Response) -> list[TResponseStreamEvent]:
    events: list[TResponseStreamEvent] = [
        ResponseCreatedEvent(
            type="response.created",
            response=response.model_copy(
                update={"output": [], "status": "in_progress", "usage": None}
            ),
            sequence_number=0,
        )
    ]
    for index, item in enumerate(response.output):
        if isinstance(item, ResponseOutputMessage):
            events += _message_events(item, index, len(events))
        elif isinstance(item, ResponseFunctionToolCall):
            events += _call_events(item, index, len(events))
    events.append(
        ResponseCompletedEvent(
            type="response.completed", response=response, sequence_number=len(events)
        )
    )
    return events


def _message_events(
    item: ResponseOutputMessage, index: int, first: int
) -> list[TResponseStreamEvent]:
    part = ResponseOutputText.model_validate(item.content[0].model_dump())
    words = _WORD.findall(part.text)
    empty = item.model_copy(update={"content": [], "status": "in_progress"})
    events: list[TResponseStreamEvent] = [
        ResponseOutputItemAddedEvent(
            type="response.output_item.added",
            item=empty,
            output_index=index,
            sequence_number=first,
        ),
        ResponseContentPartAddedEvent(
            type="response.content_part.added",
            item_id=item.id,
            output_index=index,
            content_index=0,
            part=part.model_copy(update={"text": ""}),
            sequence_number=first + 1,
        ),
    ]
    events += [
        ResponseTextDeltaEvent(
            type="response.output_text.delta",
            item_id=item.id,
            output_index=index,
            content_index=0,
            delta=word,
            logprobs=[],
            sequence_number=first + 2 + place,
        )
        for place, word in enumerate(words)
    ]
    after = first + 2 + len(words)
    events += [
        ResponseTextDoneEvent(
            type="response.output_text.done",
            item_id=item.id,
            output_index=index,
            content_index=0,
            text=part.text,
            logprobs=[],
            sequence_number=after,
        ),
        ResponseContentPartDoneEvent(
            type="response.content_part.done",
            item_id=item.id,
            output_index=index,
            content_index=0,
            part=part,
            sequence_number=after + 1,
        ),
        ResponseOutputItemDoneEvent(
            type="response.output_item.done",
            item=item,
            output_index=index,
            sequence_number=after + 2,
        ),
    ]
    return events


def _call_events(
    item: ResponseFunctionToolCall, index: int, first: int
) -> list[TResponseStreamEvent]:
    return [
        ResponseOutputItemAddedEvent(
            type="response.output_item.added",
            item=item.model_copy(update={"arguments": "", "status": "in_progress"}),
            output_index=index,
            sequence_number=first,
        ),
        ResponseFunctionCallArgumentsDeltaEvent(
            type="response.function_call_arguments.delta",
            item_id=item.id or "",
            output_index=index,
            delta=item.arguments,
            sequence_number=first + 1,
        ),
        ResponseFunctionCallArgumentsDoneEvent(
            type="response.function_call_arguments.done",
            item_id=item.id or "",
            output_index=index,
            arguments=item.arguments,
            sequence_number=first + 2,
        ),
        ResponseOutputItemDoneEvent(
            type="response.output_item.done",
            item=item,
            output_index=index,
            sequence_number=first + 3,
        ),
    ]
