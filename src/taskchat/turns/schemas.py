"""A chat turn as it looks on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from taskchat.conversations.schemas import MessageOut, ToolCallOut
from taskchat.feedback.schemas import FeedbackOut
from taskchat.http.ids import PlainUUID
from taskchat.principal import ChannelName
from taskchat.texts import is_storable, is_visible
from taskchat.turns.states import Version
from taskchat.usage.schemas import Dollars, ModelCallOut

MESSAGES_SHOWN_MAX = 100
"""Messages in one answer, as in the contract; older ones are read page by page."""

TurnStatus = Literal["queued", "running", "awaiting_feedback", "completed", "failed", "cancelled"]
MessageScope = Literal["all", "turn"]


def _message(value: str) -> str:
    value = value.strip()
    if not is_storable(value):
        raise PydanticCustomError("text", "must not contain NUL or unpaired surrogates")
    if not is_visible(value):
        raise PydanticCustomError("text", "must say something")
    return value


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


class EditRequest(BaseModel):
    """What PUT takes: another wording of a message."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"message": "Add task: Buy oat milk"}]},
    )

    message: MessageText = Field(description="1 to 5,000 characters after trimming.")


class SteerRequest(BaseModel):
    """A message to a turn that is unfinished."""

    model_config = ConfigDict(extra="forbid")

    message: MessageText = Field(description="1 to 5,000 characters after trimming.")


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
        description="The conversation in order, the newest 100 at most; with ?messages=turn only "
        "those of this turn."
    )
    has_more: bool = Field(description="Whether there are older messages than these.")
    model: str = Field(description="The one that wrote the reply.")
    usage: Usage


class VersionOut(BaseModel):
    """Of what a turn is another version, and what its other versions have left behind."""

    of: UUID = Field(description="The turn with the first version of the message.")
    number: int = Field(description="Which version this is; the first is 1.")
    changes_kept: int = Field(
        description="Calls that changed tasks, in turns that this branch leaves out. Nothing of it "
        "was undone."
    )
    note: str = Field(description="The same as a sentence, for people.")


def version_out(version: Version) -> VersionOut:
    """What is told of another version of a message."""
    changes = version.changes_kept
    note = "The turns that this branch leaves out changed no tasks."
    if changes:
        note = f"Task changes of the turns that this branch leaves out were not undone: {changes}."
    return VersionOut(of=version.of, number=version.number, changes_kept=changes, note=note)


class VersionAnswer(ChatAnswer):
    """A completed turn whose message is another version of an earlier one."""

    version: VersionOut


class AwaitingAnswer(BaseModel):
    """A turn that waits for its user. It goes on once that is answered."""

    status: Literal["awaiting_feedback"] = "awaiting_feedback"
    conversation_id: UUID
    turn_id: UUID
    feedback: FeedbackOut


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
    version_of: UUID | None = Field(
        description="The turn with the first version of its message, if it is another one."
    )
    message: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class SteeredOut(BaseModel):
    """What the user said to a turn while it was unfinished."""

    id: UUID
    content: str
    created_at: datetime


class SteerAnswer(BaseModel):
    """What became of a message to a turn."""

    status: Literal["success"] = "success"
    steered: bool = Field(
        description="Whether the turn reads it. If not, the turn had ended: then the message began "
        "one of its own, which turn_id names."
    )
    turn_id: UUID
    message_id: UUID
    conversation_id: UUID


class TurnOut(BaseModel):
    """One turn and how far it is."""

    id: UUID
    conversation_id: UUID
    number: int = Field(description="Its place in the conversation, from 1, without gaps.")
    channel: ChannelName
    status: TurnStatus
    version_of: UUID | None = Field(
        description="The turn with the first version of its message, if it is another one."
    )
    message: str
    steered: list[SteeredOut] = Field(
        description="What the user said to it while it was unfinished, in order."
    )
    reply: str | None
    tool_calls: list[ToolCallOut]
    feedback: list[FeedbackOut] = Field(description="What it asks or has asked, in order.")
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
