"""Events of a turn as chunks of the AI SDK's UI message stream, version 1.

A turn's answer is one assistant message, whose id is the turn's:

    turn_started       start: messageId, messageMetadata
    agent_status       data-status, transient: the status
    openai_call        finish-step and start-step: each answer of a model is a step
    reasoning          reasoning-start, reasoning-delta, reasoning-end
    stream_start       text-start
    stream_chunk       text-delta
    stream_end         text-end; or, if dropped, reset-step: the client forgets the step so far
    tool_call          tool-input-available
    tool_result        tool-output-available, tool-output-error; tool-output-denied if its user
                       has refused it
    user_message       steering-message
    feedback_request   tool-approval-request for each call; for a question nothing, its call says
                       it all; and finish if nobody has answered yet: "tool-calls"
    feedback_response  tool-approval-response for each call of an approval
    assistant          text-start, text-delta, text-end if it has not been streamed
    turn_completed     finish: "stop"
    error              message-metadata and error; abort and finish, "interrupted", if it was
                       cancelled

`openai_response` has no counterpart. Tools are told as executed by their provider, except for a
question: its answer is the output that the client gives.

Source: `ui-message-stream/ui-message-chunks.ts` and `ui/process-ui-message-stream.ts` of `ai` 7.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from taskchat.assistant.asking_user import ASK_USER
from taskchat.errors import TurnCancelled
from taskchat.feedback.decisions import EXPIRED
from taskchat.feedback.repository import Request
from taskchat.turns.events import (
    EVENT,
    AgentStatus,
    AssistantReply,
    Event,
    FeedbackRequest,
    FeedbackResponse,
    OpenAICall,
    OpenAIResponse,
    Reasoning,
    StoredEvent,
    StreamChunk,
    StreamEnd,
    StreamStart,
    ToolCallEvent,
    ToolResultEvent,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
    UserMessage,
)

Chunk = dict[str, Any]

DONE: Final = b"data: [DONE]\n\n"
"""Ends a stream that was told to its end."""


def by_user(tool_name: str) -> bool:
    """Whether the output of a tool is what its user says, rather than what a tool did."""
    return tool_name == ASK_USER.name


def refused(request: Request) -> Mapping[UUID, str | None]:
    """The calls of an approval that are not made, each with why."""
    if request.kind != "approval" or request.status == "open":
        return {}
    if request.status == "expired":
        return {call.id: EXPIRED for call in request.calls}
    decided = request.decided
    return {
        call.id: decided[call.call_id].comment
        for call in request.calls
        if call.call_id in decided and decided[call.call_id].answer == "reject"
    }


class Encoder:
    """What one turn's events become; it remembers what the client has open.

    Args:
        turn_id: The turn.
    """

    def __init__(self, turn_id: UUID) -> None:
        self._message = str(turn_id)
        self._calls: set[UUID] = set()
        self._refused: dict[UUID, str | None] = {}
        self._reasoning: str | None = None
        self._text: str | None = None
        self._said = ""
        self._step_open = False
        self._step_empty = True
        self._step_called = False
        self._started = False

    def encode(self, event: StoredEvent, asked: Sequence[Request] = ()) -> list[Chunk]:
        """The chunks of the next event.

        Args:
            event: The event.
            asked: What its turn has asked, if the event tells an answer.
        """
        return list(self._chunks(EVENT.validate_json(event.data), asked))

    def pause(self) -> list[Chunk]:
        """What ends a stream whose turn waits for its user."""
        return [*self._end_step(), {"type": "finish", "finishReason": "tool-calls"}]

    def _chunks(self, event: Event, asked: Sequence[Request]) -> Iterator[Chunk]:
        if self._reasoning is not None and not isinstance(event, Reasoning):
            yield {"type": "reasoning-end", "id": self._reasoning}
            self._reasoning = None
        match event:
            case TurnStarted():
                yield self._start(event.conversation_id, event.timestamp)
            case AgentStatus():
                yield {"type": "data-status", "data": {"status": event.status}, "transient": True}
            case OpenAICall():
                if not (self._step_open and self._step_empty):
                    yield from self._end_step()
                    yield from self._begin_step()
            case OpenAIResponse():
                pass
            case Reasoning():
                yield from self._think(event)
            case StreamStart() | StreamChunk() | StreamEnd():
                yield from self._speak(event)
            case ToolCallEvent():
                yield from self._call(event.tool_call_id, event.tool_name, event.arguments)
            case ToolResultEvent():
                yield self._result(event.tool_call_id, event.result, is_error=event.is_error)
            case UserMessage():
                yield from self._end_step()
                told = {"type": "text", "text": event.content}
                yield {"type": "steering-message", "id": str(event.message_id), "parts": [told]}
            case FeedbackRequest():
                yield from self._ask(event)
            case FeedbackResponse():
                yield from self._answered(event, asked)
            case AssistantReply():
                if event.content.strip() != self._said.strip():
                    if self._said:
                        yield {"type": "reset-step"}
                    yield from self._whole(event.content)
            case TurnCompleted() | TurnFailed():
                yield from self._end(event)

    def _start(self, conversation_id: UUID, moment: datetime) -> Chunk:
        self._started = True
        metadata = {
            "conversation_id": str(conversation_id),
            "turn_id": self._message,
            "created_at": moment,
            "status": "running",
        }
        return {"type": "start", "messageId": self._message, "messageMetadata": metadata}

    def _begin_step(self) -> Iterator[Chunk]:
        if not self._step_open:
            self._step_open, self._step_empty, self._step_called = True, True, False
            self._said = ""
            yield {"type": "start-step"}

    def _end_step(self) -> Iterator[Chunk]:
        if self._step_open:
            self._step_open = False
            yield {"type": "finish-step"}

    def _think(self, event: Reasoning) -> Iterator[Chunk]:
        yield from self._begin_step()
        if self._reasoning is None:
            self._reasoning, self._step_empty = f"reasoning-{event.seq}", False
            yield {"type": "reasoning-start", "id": self._reasoning}
        yield {"type": "reasoning-delta", "id": self._reasoning, "delta": event.delta}

    def _speak(self, event: StreamStart | StreamChunk | StreamEnd) -> Iterator[Chunk]:
        match event:
            case StreamStart():
                if self._step_called:
                    # What is dropped takes its step along, and calls must stay.
                    yield from self._end_step()
                yield from self._begin_step()
                self._text, self._step_empty = f"text-{event.seq}", False
                yield {"type": "text-start", "id": self._text}
            case StreamChunk():
                self._said += event.delta
                yield {"type": "text-delta", "id": self._text, "delta": event.delta}
            case StreamEnd(dropped=True):
                self._text, self._said, self._step_empty = None, "", True
                yield {"type": "reset-step"}
            case StreamEnd():
                yield from self._end_text()

    def _end_text(self) -> Iterator[Chunk]:
        if self._text is not None:
            yield {"type": "text-end", "id": self._text}
            self._text = None

    def _call(self, id_: UUID, tool_name: str, arguments: dict[str, Any]) -> Iterator[Chunk]:
        # Told again after a takeover, under the same id.
        if id_ in self._calls:
            return
        self._calls.add(id_)
        yield from self._begin_step()
        self._step_empty, self._step_called = False, True
        yield {
            "type": "tool-input-available",
            "toolCallId": str(id_),
            "toolName": tool_name,
            "input": arguments,
            "providerExecuted": not by_user(tool_name),
        }

    def _result(self, id_: UUID, result: dict[str, Any], *, is_error: bool) -> Chunk:
        call = {"toolCallId": str(id_)}
        if id_ in self._refused:
            return {"type": "tool-output-denied", **call}
        if is_error:
            return {"type": "tool-output-error", **call, "errorText": str(result.get("error"))}
        return {"type": "tool-output-available", **call, "output": result}

    def _ask(self, event: FeedbackRequest) -> Iterator[Chunk]:
        if event.kind == "approval":
            for call in event.calls:
                id_ = str(call.tool_call_id)
                yield {
                    "type": "tool-approval-request",
                    "approvalId": id_,
                    "toolCallId": id_,
                    "reason": event.question,
                }

    def _answered(self, event: FeedbackResponse, asked: Sequence[Request]) -> Iterator[Chunk]:
        request = next((one for one in asked if one.id == event.feedback_id), None)
        if request is None or request.kind != "approval" or event.status == "withdrawn":
            return
        not_made = refused(request)
        self._refused.update(not_made)
        for call in request.calls:
            approved = call.id not in not_made
            reason = event.comment if approved else not_made[call.id]
            yield {
                "type": "tool-approval-response",
                "approvalId": str(call.id),
                "approved": approved,
                **({} if reason is None else {"reason": reason}),
            }

    def _whole(self, content: str) -> Iterator[Chunk]:
        yield from self._begin_step()
        yield {"type": "text-start", "id": "text"}
        yield {"type": "text-delta", "id": "text", "delta": content}
        yield {"type": "text-end", "id": "text"}

    def _from_record(self, event: TurnCompleted | TurnFailed) -> Iterator[Chunk]:
        """What is left of a turn whose other events are forgotten."""
        yield self._start(event.conversation_id, event.timestamp)
        if isinstance(event, TurnFailed):
            return
        for call in event.result.tool_calls:
            yield from self._call(call.id, call.tool_name, call.parameters)
            yield self._result(call.id, call.result, is_error=call.status != "completed")
        yield from self._end_step()
        yield from self._whole(event.result.response)

    def _end(self, event: TurnCompleted | TurnFailed) -> Iterator[Chunk]:
        if not self._started:
            yield from self._from_record(event)
        if isinstance(event, TurnCompleted):
            yield from self._end_step()
            reply = event.result.messages[-1]
            metadata = {
                "status": "completed",
                "message_id": str(reply.id),
                "model": event.result.model,
                "usage": event.result.usage.model_dump(),
            }
            yield {"type": "finish", "finishReason": "stop", "messageMetadata": metadata}
            return
        yield from self._end_text()
        cancelled = event.error_code == TurnCancelled.code
        error = event.model_dump(include={"error_code", "error", "request_id"})
        status = "cancelled" if cancelled else "failed"
        yield {"type": "message-metadata", "messageMetadata": {"status": status, "error": error}}
        if cancelled:
            yield from self._end_step()
            yield {"type": "abort", "reason": event.error}
            yield {"type": "finish", "finishReason": "interrupted"}
        else:
            yield {"type": "error", "errorText": event.error}
