"""Conversations, messages and tool calls as they look on the wire."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from taskchat.conversations.models import TITLE_CHARS_MAX
from taskchat.http.ids import PlainUUID
from taskchat.ratings.schemas import RatingOut

ConversationStatus = Literal["active", "paused", "ended"]
Archived = Literal["false", "true", "all"]
Role = Literal["user", "assistant"]
ToolCallStatus = Literal["completed", "failed", "interrupted"]


class ToolCallOut(BaseModel):
    """One executed tool call."""

    id: UUID = Field(description="Ours; the model's own call id stays inside.")
    tool_name: str
    parameters: dict[str, Any]
    result: dict[str, Any] = Field(description="What the tool answered, or {error} when it failed.")
    status: ToolCallStatus
    executed_at: datetime


class MessageOut(BaseModel):
    """One message.

    The tool calls of a turn stand on its reply, or on what the user said where there is no reply.
    """

    id: UUID
    turn_id: UUID
    role: Role
    content: str
    created_at: datetime
    interrupted: bool = Field(
        False,
        description="Whether this reply was stopped in the middle: it is what was read of it.",
    )
    tool_calls: list[ToolCallOut]


class ListedMessage(MessageOut):
    """One message of a list, with its other versions."""

    versions: list[UUID] = Field(
        description="Turns that hold the versions of this message, itself among them, in order of "
        "their first; empty if there is only one. A reply's are those to the same wording."
    )
    rating: RatingOut | None = Field(description="What the user thinks of this reply.")


class ConversationOut(BaseModel):
    """One conversation."""

    id: UUID
    title: str | None
    status: ConversationStatus
    archived: bool
    turns: int = Field(description="Turns accepted so far, of all branches.")
    branch: UUID | None = Field(
        description="The last turn of the branch that it shows; null while there is only one."
    )
    summary: str | None = Field(
        description="What was said longer ago than a model is shown, in short, where it is kept."
    )
    created_at: datetime
    updated_at: datetime


class ConversationChange(BaseModel):
    """What PATCH takes: the fields that change, at least one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str | None = Field(
        None, description=f"1 to {TITLE_CHARS_MAX} characters after trimming, on one line."
    )
    status: ConversationStatus | None = Field(
        None, description="An ended conversation takes no more turns and stays ended."
    )
    archived: bool | None = Field(None, description="Whether the list leaves it out.")
    branch: PlainUUID | None = Field(
        None,
        description="A turn: the conversation shows, and goes on with, the branch that holds it, "
        "up to its newest turn.",
    )
