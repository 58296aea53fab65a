"""What happens in a turn: one vocabulary for the log, for SSE and for WebSocket.

Every event is a JSON object that begins with these fields:

    type             which of the events below
    turn_id          the turn that it happened in
    conversation_id  the conversation of that turn
    seq              its place in the turn: 1, 2, 3 … without gaps
    timestamp        when, in UTC

and goes on with those of its type:

    turn_started      number, channel, message_id, content, version_of: accepted, and the user's
                      message stored; version_of is the turn of which it is another version, or null
    agent_status      status: queued, thinking, responding or awaiting_feedback
    openai_call       model: this model is being asked
    openai_response   model, prompt_tokens, completion_tokens, total_tokens, duration_ms
    tool_call         tool_call_id, tool_name, arguments: the model wants a tool called
    tool_result       tool_call_id, tool_name, result, duration_ms, is_error: it is done, and stored
    stream_start      a model begins to say something
    stream_chunk      delta: more of what it says
    stream_end        dropped: the text is complete; or, if dropped is true, forget this text
    reasoning         delta: more of what the model thinks aloud; no part of the reply
    user_message      message_id, content: the run reads what the user said since it began
    feedback_request  feedback_id, expires_at, kind, question, choices, calls: the user is asked
    feedback_response feedback_id, status, answer, comment: answered, or over without an answer
    assistant         message_id, content: the whole reply
    turn_completed    result: the JSON answer with ?messages=turn          (the last event, or)
    error             error_code, error, request_id, details: how it ended (the last event)

A turn that is taken over from a process that died reports the same tool calls under the same ids.
Whatever had been streamed of an unfinished reply ends with `dropped`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import to_json

from taskchat.feedback.schemas import FeedbackKind, FeedbackStatus
from taskchat.principal import ChannelName
from taskchat.turns.schemas import ChatAnswer, ErrorBody, VersionAnswer
from taskchat.turns.states import TurnRef


class EventBase(BaseModel):
    """What every event has."""

    type: str
    turn_id: UUID
    conversation_id: UUID
    seq: int = Field(ge=1, description="Its place in the turn, without gaps.")
    timestamp: datetime


class TurnStarted(EventBase):
    """The turn is accepted, and the user's message stored."""

    type: Literal["turn_started"] = "turn_started"
    number: int = Field(description="The turn's place in the conversation, from 1.")
    channel: ChannelName
    message_id: UUID
    content: str
    version_of: UUID | None = Field(
        description="The turn with the first version of its message, if it is another one."
    )


AgentState = Literal["queued", "thinking", "responding", "awaiting_feedback"]


class AgentStatus(EventBase):
    """What the turn waits for, or does."""

    type: Literal["agent_status"] = "agent_status"
    status: AgentState


class OpenAICall(EventBase):
    """A model is asked. The name is the protocol's: it may be anybody's model."""

    type: Literal["openai_call"] = "openai_call"
    model: str


class OpenAIResponse(EventBase):
    """A model has answered; tokens as its vendor counts, 0 where it doesn't."""

    type: Literal["openai_response"] = "openai_response"
    model: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    duration_ms: int


class ToolCallEvent(EventBase):
    """The model wants a tool called."""

    type: Literal["tool_call"] = "tool_call"
    tool_call_id: UUID
    tool_name: str
    arguments: dict[str, Any]


class ToolResultEvent(EventBase):
    """A tool call is over and on record."""

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: UUID
    tool_name: str
    result: dict[str, Any]
    duration_ms: int
    is_error: bool


class StreamStart(EventBase):
    """A model begins to say something."""

    type: Literal["stream_start"] = "stream_start"


class StreamChunk(EventBase):
    """More of what the model says."""

    type: Literal["stream_chunk"] = "stream_chunk"
    delta: str


class StreamEnd(EventBase):
    """The model has said it; or what it had said so far is to be forgotten."""

    type: Literal["stream_end"] = "stream_end"
    dropped: bool = False


class Reasoning(EventBase):
    """More of what the model thinks aloud: for those who want to show it, and no part of a reply.

    It belongs to the last `openai_call`, and never comes between a `stream_start` and its end.
    """

    type: Literal["reasoning"] = "reasoning"
    delta: str


class UserMessage(EventBase):
    """The run reads what its user has said since the turn began; the next model call knows it."""

    type: Literal["user_message"] = "user_message"
    message_id: UUID
    content: str


class WaitingCall(BaseModel):
    """A call that waits for its user."""

    tool_call_id: UUID
    tool_name: str
    arguments: dict[str, Any]
    subject: str | None


class FeedbackRequest(EventBase):
    """The user is asked for an approval, or a question."""

    type: Literal["feedback_request"] = "feedback_request"
    feedback_id: UUID
    expires_at: datetime
    kind: FeedbackKind
    question: str
    choices: list[str]
    calls: list[WaitingCall]


class FeedbackResponse(EventBase):
    """The user has answered, or their answer is no longer waited for."""

    type: Literal["feedback_response"] = "feedback_response"
    feedback_id: UUID
    status: FeedbackStatus
    answer: str | None
    comment: str | None


class AssistantReply(EventBase):
    """The whole reply."""

    type: Literal["assistant"] = "assistant"
    message_id: UUID
    content: str


class TurnCompleted(EventBase):
    """The turn ended well."""

    type: Literal["turn_completed"] = "turn_completed"
    result: VersionAnswer | ChatAnswer


class TurnFailed(EventBase):
    """The turn ended otherwise: an error that the JSON answer would have been."""

    type: Literal["error"] = "error"
    error_code: str
    error: str
    request_id: str
    details: list[dict[str, Any]]


Event = Annotated[
    TurnStarted
    | AgentStatus
    | OpenAICall
    | OpenAIResponse
    | ToolCallEvent
    | ToolResultEvent
    | StreamStart
    | StreamChunk
    | StreamEnd
    | Reasoning
    | UserMessage
    | FeedbackRequest
    | FeedbackResponse
    | AssistantReply
    | TurnCompleted
    | TurnFailed,
    Field(discriminator="type"),
]
"""Any event."""

EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)
"""Parses an event, and has the schema of them all."""

TERMINAL: Final = frozenset({"turn_completed", "error"})
"""Types of the last event of a turn."""

STREAMING: Final = frozenset({"stream_start", "stream_chunk"})
"""Types after which a streamed text is still open."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is kept and sent.

    Attributes:
        turn_id: The turn that it happened in.
        number: That turn's place in its conversation.
        seq: Its place in the turn.
        type: The event's type.
        data: The event's JSON, byte for byte.
    """

    turn_id: UUID
    number: int
    seq: int
    type: str
    data: str

    @property
    def ends_turn(self) -> bool:
        """Whether no event follows this one."""
        return self.type in TERMINAL


def stored(
    event: type[EventBase], turn: TurnRef, seq: int, moment: datetime, **fields: Any
) -> StoredEvent:
    """An event of a turn, with its JSON made once.

    Args:
        event: Its class, which says what its JSON looks like.
        turn: The turn that it happened in.
        seq: Its place in the turn.
        moment: When it happened.
        fields: All fields of its own, in their order. They are not checked: an event is made ten
            times a turn, and every kind is compared with its class by a test.
    """
    type_ = event.model_fields["type"].default
    told = {
        "type": type_,
        "turn_id": turn.id,
        "conversation_id": turn.conversation_id,
        "seq": seq,
        "timestamp": moment,
        **fields,
    }
    return StoredEvent(turn.id, turn.number, seq, type_, to_json(told).decode())


def around(event: StoredEvent, field: str, value: str) -> tuple[str, str]:
    """An event's JSON before and after the value of a field that only the database knows.

    Args:
        event: The event.
        field: The field's name. As a field it can't be mistaken for a text: there, its quotes would
            be escaped.
        value: The value that it has so far, as JSON.
    """
    named = f'"{field}":'
    before, _, after = event.data.partition(named + value)
    return before + named, after


def completed(turn: TurnRef, seq: int, moment: datetime, *, result: str) -> StoredEvent:
    """The event of a turn that ended well.

    Args:
        turn: The turn by its ids.
        seq: Its place in the turn.
        moment: When the turn ended.
        result: The JSON of the answer, inserted as it is.
    """
    head = EventBase.model_construct(
        type="turn_completed",
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        seq=seq,
        timestamp=moment,
    ).model_dump_json()
    data = f'{head[:-1]},"result":{result}}}'
    return StoredEvent(turn.id, turn.number, seq, "turn_completed", data)


def failed(turn: TurnRef, seq: int, moment: datetime, *, body: ErrorBody) -> StoredEvent:
    """The event of a turn that ended otherwise.

    Args:
        turn: The turn by its ids.
        seq: Its place in the turn.
        moment: When the turn ended.
        body: The error as it is stored with the turn.
    """
    told = body.model_dump(include={"error_code", "error", "request_id", "details"})
    return stored(TurnFailed, turn, seq, moment, **told)


def ended(turn: TurnRef, seq: int, moment: datetime, *, status: str, result: str) -> StoredEvent:
    """The last event of a turn, from what is stored with the turn itself."""
    if status == "completed":
        return completed(turn, seq, moment, result=result)
    return failed(turn, seq, moment, body=ErrorBody.model_validate_json(result))
