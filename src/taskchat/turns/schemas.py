"""A chat turn as it looks on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from taskchat.conversations.schemas import MessageOut, ToolCallOut
from taskchat.principal import ChannelName
from taskchat.texts import is_storable, is_visible, uuid_of
from taskchat.usage.schemas import Dollars, ModelCallOut

MESSAGES_SHOWN_MAX = 100
"""Messages in one answer, as in the contract; older ones are read page by page."""

TurnStatus = Literal["queued", "running", "awaiting_feedback", "completed", "failed", "cancelled"]
MessageScope = Literal["all", "turn"]


def _plain_uuid(value: object) -> UUID:
    # pydantic's own parsing is laxer, and its error repeats the offending character.
    parsed = uuid_of(value) if isinstance(value, str) else None
    if parsed is None:
        raise PydanticCustomError("uuid", "must be a UUID such as 0199f3a0-…")
    return parsed


def _message(value: str) -> str:
    value = value.strip()
    if not is_storable(value):
        raise PydanticCustomError("text", "must not contain NUL or unpaired surrogates")
    if not is_visible(value):
        raise PydanticCustomError("text", "must say something")
    return value


PlainUUID = Annotated[UUID, BeforeValidator(_plain_uuid)]
MessageText = Annotated[str, Field(strict=True, min_length=1), AfterValidator(_message)]
"""What a user says, trimmed and checked."""


class ChatRequest(BaseModel):
    """What POST takes."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"message": "Add task: Buy groceries"}]},
    )

    message: MessageText = Field(description="1 to 5,000 characters after trimming.")
    conversation_id: PlainUUID | None = Field(
        None, description="The conversation to go on with; absent or null starts one."
    )


class Usage(BaseModel):
    """What the turn cost. `model_calls` counts answers, not retries."""

    model_calls: int
    input_tokens: int
    output_tokens: int


class ChatAnswer(BaseModel):
    """A completed turn. It unites what the two older interfaces of this kind answered."""

    status: Literal["success"] = "success"
    conversation_id: UUID
    turn_id: UUID
    response: str
    tool_calls: list[ToolCallOut]
    messages: list[MessageOut] = Field(
        description="The conversation in order, the newest 100 at most; with ?messages=turn this "
        "turn's two."
    )
    has_more: bool = Field(description="Whether there are older messages than these.")
    model: str = Field(description="The one that wrote the reply.")
    usage: Usage


class ErrorBody(BaseModel):
    """Every answer that is not a success."""

    status: Literal["error"] = "error"
    error_code: str
    error: str
    conversation_id: UUID | None
    turn_id: UUID | None
    request_id: str
    details: list[dict[str, Any]]


class ListedTurn(BaseModel):
    """One turn as the list of its conversation shows it; the whole of it is read by its id."""

    id: UUID
    conversation_id: UUID
    number: int = Field(description="Its place in the conversation, from 1, without gaps.")
    channel: ChannelName
    status: TurnStatus
    message: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class TurnOut(BaseModel):
    """One turn and how far it is."""

    id: UUID
    conversation_id: UUID
    number: int = Field(description="Its place in the conversation, from 1, without gaps.")
    channel: ChannelName
    status: TurnStatus
    message: str
    reply: str | None
    tool_calls: list[ToolCallOut]
    error: ErrorBody | None
    model: str | None
    usage: Usage
    model_calls: list[ModelCallOut] = Field(
        description="In order, once the turn is over. Those of a cancelled turn as far as they are "
        "on record; those of a turn from before they were recorded are left out."
    )
    cost: Dollars | None = Field(
        description="Of all model calls, in US dollars; null until the turn is over, and where the "
        "cost of one of them is not known."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
