"""What happens in a turn, as a stream tells it; docs/api.md of the service says when what comes."""

from datetime import datetime
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict

from taskchat_client.models import Answer, AskedCall


class Event(BaseModel):
    """What every event has.

    An event that a later release adds comes as this class, with its fields in `model_extra`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    turn_id: str
    conversation_id: str
    seq: int
    timestamp: datetime

    @property
    def ends_turn(self) -> bool:
        """Whether no event of its turn follows this one."""
        return isinstance(self, TurnCompleted | ErrorEvent)


class TurnStarted(Event):
    """The turn is accepted, and the user's message stored."""

    type: Literal["turn_started"]
    number: int
    channel: str
    message_id: str
    content: str
    version_of: str | None


class AgentStatus(Event):
    """`status` is queued, thinking, responding or awaiting_feedback."""

    type: Literal["agent_status"]
    status: str


class OpenAICall(Event):
    """A model is asked."""

    type: Literal["openai_call"]
    model: str


class OpenAIResponse(Event):
    """A model has answered."""

    type: Literal["openai_response"]
    model: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    duration_ms: int


class ToolCallStarted(Event):
    """The model wants a tool called."""

    type: Literal["tool_call"]
    tool_call_id: str
    tool_name: str
    arguments: dict[str, Any]


class ToolResult(Event):
    """A tool call is over and on record."""

    type: Literal["tool_result"]
    tool_call_id: str
    tool_name: str
    result: dict[str, Any]
    duration_ms: int
    is_error: bool


class StreamStart(Event):
    """A model begins to say something."""

    type: Literal["stream_start"]


class StreamChunk(Event):
    """More of what the model says."""

    type: Literal["stream_chunk"]
    delta: str


class StreamEnd(Event):
    """The model has said it; or, if `dropped`, forget what came since `stream_start`."""

    type: Literal["stream_end"]
    dropped: bool


class Reasoning(Event):
    """More of what the model thinks aloud; no part of the reply."""

    type: Literal["reasoning"]
    delta: str


class UserMessage(Event):
    """The turn reads what its user has said since it began."""

    type: Literal["user_message"]
    message_id: str
    content: str


class FeedbackRequest(Event):
    """The user is asked; the turn waits. `kind` is approval or question."""

    type: Literal["feedback_request"]
    feedback_id: str
    expires_at: datetime
    kind: str
    question: str
    choices: list[str]
    calls: list[AskedCall]


class FeedbackResponse(Event):
    """The user has answered, or their answer is no longer waited for."""

    type: Literal["feedback_response"]
    feedback_id: str
    status: str
    answer: str | None
    comment: str | None


class AssistantReply(Event):
    """The whole reply."""

    type: Literal["assistant"]
    message_id: str
    content: str


class TurnCompleted(Event):
    """The turn ended well."""

    type: Literal["turn_completed"]
    result: Answer


class ErrorEvent(Event):
    """The turn ended otherwise. A stream raises it as `TurnFailed`."""

    type: Literal["error"]
    error_code: str
    error: str
    request_id: str
    details: list[dict[str, Any]]


_KINDS: Final = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in Event.__subclasses__()
}


def event_of(fields: dict[str, Any]) -> Event:
    """The event that these fields are.

    Raises:
        ValidationError: they are none.
    """
    return _KINDS.get(str(fields.get("type")), Event).model_validate(fields)
