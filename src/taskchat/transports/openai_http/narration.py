"""The events of a turn, told as the events of a response.

What is told, and under which number, follows from the turn's events alone: whoever reads a response
again, on any process, is told the same, and goes on behind any number.

A tool call is told once it is over: only then is it certain that nobody has to be asked about it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, assert_never
from uuid import UUID

from pydantic_core import to_json

from taskchat.errors import TurnCancelled
from taskchat.transports.openai_http.ids import ResponseId, approval_text, conversation_text
from taskchat.transports.openai_http.shapes import (
    ConversationRef,
    InputTokensDetails,
    McpApprovalRequest,
    McpCallItem,
    OutputItem,
    OutputMessage,
    OutputText,
    OutputTokensDetails,
    ReasoningItem,
    ReasoningText,
    ResponseFailure,
    ResponseResource,
    ResponseUsage,
    Shown,
    ToolExecutionError,
)
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
from taskchat.turns.schemas import ChatAnswer
from taskchat.turns.states import TurnRef


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a response.

    Attributes:
        type: Its type.
        sequence_number: Its place in the response, from 0.
        fields: What it says besides.
    """

    type: str
    sequence_number: int
    fields: Shown

    def json(self) -> str:
        """As it is sent."""
        told = {"type": self.type, "sequence_number": self.sequence_number, **self.fields}
        return to_json(told).decode()


class Narrator:
    """Tells one response, as far as the events that it is given go.

    Args:
        turn: The turn.
        part: Which part of it.
        previous_response_id: The response that the turn follows, if there is one.

    Attributes:
        response: How far the response is; None before it has begun.
        failure: How it ended, if it did not end well.
    """

    def __init__(self, turn: TurnRef, part: int, previous_response_id: str | None) -> None:
        self.response: ResponseResource | None = None
        self.failure: TurnFailed | None = None
        self._turn = turn
        self._part = part
        self._previous = previous_response_id
        self._heard_part = 1
        self._told: list[Told] = []
        self._number = 0
        self._items: list[OutputItem] = []
        self._arguments: dict[UUID, dict[str, Any]] = {}
        self._over: set[UUID] = set()
        self._asked: set[UUID] = set()
        self._text: OutputMessage | None = None
        self._thought: ReasoningItem | None = None
        self._has_replied = False
        self._has_heard = False
        self._is_running = False
        self._tokens = (0, 0)

    @property
    def is_over(self) -> bool:
        """Whether no more will be told."""
        response = self.response
        return response is not None and response.status not in ("queued", "in_progress")

    def hear(self, stored: StoredEvent) -> list[Told]:
        """What an event of the turn is in this response; they come in order, from the first."""
        event = EVENT.validate_json(stored.data)
        if not self._has_heard and stored.seq > 1:
            self._hear_pruned(event)
        elif isinstance(event, FeedbackResponse):
            self._heard_part += 1
            if self._heard_part == self._part:
                self._begin(event.timestamp)
        self._has_heard = True
        self._remember(event)
        if self._heard_part == self._part and not self.is_over:
            self._hear(event)
        told, self._told = self._told, []
        return told

    def _hear_pruned(self, event: Event) -> None:
        """Of a turn that ended long ago only the end is left, which stands for all of its parts."""
        self._heard_part = self._part
        first = event.timestamp
        if isinstance(event, TurnCompleted):
            first = event.result.messages[0].created_at
        self._begin(first)

    def _remember(self, event: Event) -> None:
        """What later parts need to know of the parts before."""
        match event:
            case ToolCallEvent():
                self._arguments[event.tool_call_id] = event.arguments
            case FeedbackRequest():
                self._asked |= {call.tool_call_id for call in event.calls}
            case ToolResultEvent() if self._heard_part != self._part:
                self._over.add(event.tool_call_id)
            case _:
                pass

    def _hear(self, event: Event) -> None:
        if not isinstance(event, Reasoning | StreamEnd | StreamChunk):
            self._close_thought()
        match event:
            case TurnStarted():
                self._begin(event.timestamp)
            case AgentStatus():
                self._status("queued" if event.status == "queued" else "in_progress")
            case OpenAICall():
                self._has_replied = False
            case OpenAIResponse():
                before_in, before_out = self._tokens
                self._tokens = (
                    before_in + event.prompt_tokens,
                    before_out + event.completion_tokens,
                )
            case StreamStart():
                self._open_text()
            case StreamChunk():
                self._say(event.delta)
            case StreamEnd():
                self._end_text(dropped=event.dropped)
            case Reasoning():
                self._think(event.delta)
            case ToolResultEvent():
                self._tell_call(event.tool_call_id, event.tool_name, event.result, event.is_error)
            case FeedbackRequest():
                self._ask(event)
            case AssistantReply():
                if not self._has_replied:
                    self._say_whole(event.content)
                self._has_replied = True
            case TurnCompleted():
                self._complete(event.result, event.timestamp)
            case TurnFailed():
                self._fail(event)
            case ToolCallEvent() | UserMessage() | FeedbackResponse():
                pass
            case _:
                assert_never(event)

    # --- the response itself ---

    def _begin(self, moment: datetime) -> None:
        previous = self._previous
        if self._part > 1:
            previous = str(ResponseId(self._turn.id, self._part - 1))
        self.response = ResponseResource(
            id=str(ResponseId(self._turn.id, self._part)),
            created_at=int(moment.timestamp()),
            status="in_progress",
            conversation=ConversationRef(id=conversation_text(self._turn.conversation_id)),
            previous_response_id=previous,
            output=[],
        )
        self._tell_response("response.created")

    def _status(self, status: Literal["queued", "in_progress"]) -> None:
        response = self._held()
        if self._is_running or (status, response.status) == ("queued", "queued"):
            return
        response.status = status
        self._is_running = status == "in_progress"
        self._tell_response(f"response.{status}")

    def _complete(self, result: ChatAnswer, moment: datetime) -> None:
        for call in result.tool_calls:
            self._arguments.setdefault(call.id, call.parameters)
            if call.status != "interrupted":
                self._tell_call(call.id, call.tool_name, call.result, call.status == "failed")
        if not self._has_replied:
            self._say_whole(result.response)
        if self._tokens == (0, 0):
            self._tokens = (result.usage.input_tokens, result.usage.output_tokens)
        self._end("completed", "response.completed", moment)

    def _ask(self, event: FeedbackRequest) -> None:
        lines = [event.question, *(f"- {choice}" for choice in event.choices)]
        self._say_whole("\n".join(lines))
        if event.kind == "approval":
            for call in event.calls:
                asked = McpApprovalRequest(
                    id=approval_text(call.tool_call_id),
                    name=call.tool_name,
                    arguments=_json(call.arguments),
                )
                self._done(asked, self._add(asked))
        self._end("completed", "response.completed", event.timestamp)

    def _fail(self, event: TurnFailed) -> None:
        self._close_text("incomplete")
        self.failure = event
        self._held().error = ResponseFailure(message=event.error, type=event.error_code)
        if event.error_code == TurnCancelled.code:
            self._end("cancelled", "response.incomplete", None)
        else:
            self._end("failed", "response.failed", None)

    def _end(
        self,
        status: Literal["completed", "failed", "cancelled"],
        type_: str,
        completed_at: datetime | None,
    ) -> None:
        response = self._held()
        response.status = status
        response.completed_at = int(completed_at.timestamp()) if completed_at else None
        tokens_in, tokens_out = self._tokens
        response.usage = ResponseUsage(
            input_tokens=tokens_in,
            input_tokens_details=InputTokensDetails(),
            output_tokens=tokens_out,
            output_tokens_details=OutputTokensDetails(),
            total_tokens=tokens_in + tokens_out,
        )
        self._tell_response(type_)

    def _held(self) -> ResponseResource:
        assert self.response is not None  # noqa: S101 - its part has begun
        return self.response

    # --- its items ---

    def _add(self, item: OutputItem) -> int:
        self._items.append(item)
        index = len(self._items) - 1
        self._held().output.append(item)
        self._tell("response.output_item.added", output_index=index, item=item.model_dump())
        return index

    def _done(self, item: OutputItem, index: int) -> None:
        self._tell("response.output_item.done", output_index=index, item=item.model_dump())

    def _id(self, prefix: str) -> str:
        """An item's id: the same whenever the response is told."""
        return f"{prefix}_{self._turn.id.hex}{self._part:02}{len(self._items):03}"

    def _open_text(self) -> None:
        self._text = OutputMessage(id=self._id("msg"), status="in_progress", content=[])
        index = self._add(self._text)
        part = OutputText(text="")
        self._text.content.append(part)
        self._tell_part("response.content_part.added", self._text, index, part=part.model_dump())

    def _say(self, delta: str) -> None:
        if self._text is not None:
            self._text.content[0].text += delta
            self._tell_part(
                "response.output_text.delta",
                self._text,
                len(self._items) - 1,
                delta=delta,
                logprobs=[],
            )

    def _close_text(self, status: Literal["completed", "incomplete"]) -> None:
        if self._text is None:
            return
        text, index = self._text, len(self._items) - 1
        part = text.content[0]
        self._tell_part("response.output_text.done", text, index, text=part.text, logprobs=[])
        self._tell_part("response.content_part.done", text, index, part=part.model_dump())
        text.status = status
        self._done(text, index)
        self._text = None

    def _end_text(self, *, dropped: bool) -> None:
        text = self._text
        self._close_text("incomplete" if dropped else "completed")
        self._has_replied = not dropped
        if dropped and text is not None:
            # Its place stays taken, so that those who read along can tell what to forget.
            self._held().output.remove(text)

    def _say_whole(self, content: str) -> None:
        self._open_text()
        self._say(content)
        self._close_text("completed")

    def _think(self, delta: str) -> None:
        if self._thought is None:
            self._thought = ReasoningItem(id=self._id("rs"), status="in_progress", content=[])
            index = self._add(self._thought)
            part = ReasoningText(text="")
            self._thought.content.append(part)
            self._tell_part(
                "response.content_part.added", self._thought, index, part=part.model_dump()
            )
        self._thought.content[0].text += delta
        self._tell_part(
            "response.reasoning_text.delta", self._thought, len(self._items) - 1, delta=delta
        )

    def _close_thought(self) -> None:
        if self._thought is None:
            return
        thought, index = self._thought, len(self._items) - 1
        part = thought.content[0]
        self._tell_part("response.reasoning_text.done", thought, index, text=part.text)
        self._tell_part("response.content_part.done", thought, index, part=part.model_dump())
        thought.status = "completed"
        self._done(thought, index)
        self._thought = None

    def _tell_call(self, id_: UUID, name: str, result: dict[str, Any], is_error: bool) -> None:
        if id_ in self._over:
            # A turn that was taken over reports it again.
            return
        self._over.add(id_)
        told = _json(result)
        call = McpCallItem(
            id=f"mcp_{id_.hex}",
            name=name,
            arguments=_json(self._arguments.get(id_, {})),
            status="failed" if is_error else "completed",
            output=None if is_error else told,
            error=ToolExecutionError(content=str(result.get("error", told))) if is_error else None,
            approval_request_id=approval_text(id_) if id_ in self._asked else None,
        )
        index = self._add(call)
        at = {"output_index": index, "item_id": call.id}
        self._tell("response.mcp_call.in_progress", **at)
        self._tell("response.mcp_call_arguments.delta", **at, delta=call.arguments)
        self._tell("response.mcp_call_arguments.done", **at, arguments=call.arguments)
        self._tell(f"response.mcp_call.{call.status}", **at)
        self._done(call, index)

    # --- telling ---

    def _tell(self, type_: str, **fields: Any) -> None:
        self._told.append(Told(type_, self._number, fields))
        self._number += 1

    def _tell_part(
        self, type_: str, item: OutputMessage | ReasoningItem, index: int, **fields: Any
    ) -> None:
        self._tell(type_, output_index=index, item_id=item.id, content_index=0, **fields)

    def _tell_response(self, type_: str) -> None:
        self._tell(type_, response=self._held().model_dump())


def _json(value: object) -> str:
    return to_json(value).decode()
