"""A whole answer as the events of a stream, for models that are no vendor's: none is asked of one.

The events are those of OpenAI's Responses API, so that a reader can't tell the difference.
"""

import itertools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from uuid import uuid4

from agents.items import TResponseOutputItem, TResponseStreamEvent
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
    ResponseReasoningItem,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

_WORD: Final = re.compile(r"\s*\S+\s*")

Pieces = Callable[[str], Sequence[str]]
"""Cuts a text into what is streamed one after another."""


def words_of(text: str) -> Sequence[str]:
    """The words of a text, each with the white space around it."""
    return _WORD.findall(text)


def message_of(text: str) -> ResponseOutputMessage:
    """An answer's message."""
    part = ResponseOutputText(type="output_text", text=text, annotations=[], logprobs=[])
    return ResponseOutputMessage(
        id=f"msg_{uuid4().hex}",
        type="message",
        role="assistant",
        status="completed",
        content=[part],
    )


def told(
    output: list[TResponseOutputItem],
    *,
    pieces: Pieces = words_of,
    thoughts: Pieces = words_of,
    input_tokens: int = 0,
    output_tokens: int = 0,
) -> Iterator[TResponseStreamEvent]:
    """The events of an answer, from the first to the one that holds it whole.

    Args:
        output: The answer: messages of one text each, calls, reasoning with a summary.
        pieces: How its text is cut.
        thoughts: How what it thinks is cut.
        input_tokens: What it is said to have read.
        output_tokens: What it is said to have written.
    """
    numbers = itertools.count()
    response = _response(output, input_tokens, output_tokens)
    yield ResponseCreatedEvent(
        type="response.created",
        response=response.model_copy(update={"output": [], "status": "in_progress", "usage": None}),
        sequence_number=next(numbers),
    )
    for index, item in enumerate(response.output):
        if isinstance(item, ResponseOutputMessage):
            yield from _message_events(item, index, numbers, pieces)
        elif isinstance(item, ResponseFunctionToolCall):
            yield from _call_events(item, index, numbers)
        elif isinstance(item, ResponseReasoningItem):
            yield from _thought_events(item, index, numbers, thoughts)
    yield ResponseCompletedEvent(
        type="response.completed", response=response, sequence_number=next(numbers)
    )


def _response(output: list[TResponseOutputItem], input_tokens: int, output_tokens: int) -> Response:
    return Response(
        id=f"resp_{uuid4().hex}",
        created_at=int(time.time()),
        model="built in",
        object="response",
        output=output,
        tool_choice="auto",
        tools=[],
        parallel_tool_calls=True,
        status="completed",
        usage=ResponseUsage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=input_tokens + output_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        ),
    )


def _message_events(
    item: ResponseOutputMessage, index: int, numbers: Iterator[int], pieces: Pieces
) -> Iterator[TResponseStreamEvent]:
    part = ResponseOutputText.model_validate(item.content[0].model_dump())
    yield ResponseOutputItemAddedEvent(
        type="response.output_item.added",
        item=item.model_copy(update={"content": [], "status": "in_progress"}),
        output_index=index,
        sequence_number=next(numbers),
    )
    yield ResponseContentPartAddedEvent(
        type="response.content_part.added",
        item_id=item.id,
        output_index=index,
        content_index=0,
        part=part.model_copy(update={"text": ""}),
        sequence_number=next(numbers),
    )
    for piece in pieces(part.text):
        yield ResponseTextDeltaEvent(
            type="response.output_text.delta",
            item_id=item.id,
            output_index=index,
            content_index=0,
            delta=piece,
            logprobs=[],
            sequence_number=next(numbers),
        )
    yield ResponseTextDoneEvent(
        type="response.output_text.done",
        item_id=item.id,
        output_index=index,
        content_index=0,
        text=part.text,
        logprobs=[],
        sequence_number=next(numbers),
    )
    yield ResponseContentPartDoneEvent(
        type="response.content_part.done",
        item_id=item.id,
        output_index=index,
        content_index=0,
        part=part,
        sequence_number=next(numbers),
    )
    yield ResponseOutputItemDoneEvent(
        type="response.output_item.done",
        item=item,
        output_index=index,
        sequence_number=next(numbers),
    )


def _call_events(
    item: ResponseFunctionToolCall, index: int, numbers: Iterator[int]
) -> Iterator[TResponseStreamEvent]:
    yield ResponseOutputItemAddedEvent(
        type="response.output_item.added",
        item=item.model_copy(update={"arguments": "", "status": "in_progress"}),
        output_index=index,
        sequence_number=next(numbers),
    )
    yield ResponseFunctionCallArgumentsDeltaEvent(
        type="response.function_call_arguments.delta",
        item_id=item.id or "",
        output_index=index,
        delta=item.arguments,
        sequence_number=next(numbers),
    )
    yield ResponseFunctionCallArgumentsDoneEvent(
        type="response.function_call_arguments.done",
        item_id=item.id or "",
        output_index=index,
        arguments=item.arguments,
        sequence_number=next(numbers),
    )
    yield ResponseOutputItemDoneEvent(
        type="response.output_item.done",
        item=item,
        output_index=index,
        sequence_number=next(numbers),
    )


def _thought_events(
    item: ResponseReasoningItem, index: int, numbers: Iterator[int], pieces: Pieces
) -> Iterator[TResponseStreamEvent]:
    for place, part in enumerate(item.summary):
        for piece in pieces(part.text):
            yield ResponseReasoningSummaryTextDeltaEvent(
                type="response.reasoning_summary_text.delta",
                item_id=item.id,
                output_index=index,
                summary_index=place,
                delta=piece,
                sequence_number=next(numbers),
            )
