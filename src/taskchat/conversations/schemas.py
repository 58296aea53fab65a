"""Conversations, messages and tool calls as they look on the wire."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from taskchat.conversations.models import TITLE_CHARS_MAX

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
    tool_calls: list[ToolCallOut]


class ConversationOut(BaseModel):
    """One conversation."""

    id: UUID
    title: str | None
    status: ConversationStatus
    archived: bool
    turns: int = Field(description="Turns accepted so far.")
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
