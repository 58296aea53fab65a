"""Links and what they show, as they look on the wire."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from taskchat.conversations.schemas import Role, ToolCallStatus
from taskchat.http.pages import Page

EXPIRY_H_MAX: Final = 87_600
"""Ten years; what lives longer is no link but a publication."""


class NewShare(BaseModel):
    """What a link is to be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    expires_in_h: int | None = Field(
        None, ge=1, le=EXPIRY_H_MAX, description="Hours until it expires."
    )
    with_tool_calls: bool = Field(
        False, description="Whether it shows tool calls, with their arguments and results."
    )


class ShareOut(BaseModel):
    """A link, as its owner sees it."""

    id: UUID
    title: str | None = Field(description="The conversation's, when the link was made.")
    turns: int = Field(description="How many it shows.")
    with_tool_calls: bool
    created_at: datetime
    expires_at: datetime


class MadeShare(ShareOut):
    """A link that was just made."""

    token: str = Field(
        repr=False, description="Its address is /share/{token}. It is shown only once."
    )


class SharedToolCall(BaseModel):
    """One executed tool call, as a reader of a link sees it."""

    tool_name: str
    parameters: dict[str, Any]
    result: dict[str, Any] = Field(description="What the tool answered, or {error} when it failed.")
    status: ToolCallStatus
    executed_at: datetime


class SharedMessage(BaseModel):
    """One message, as a reader of a link sees it: no id of anything."""

    role: Role
    content: str
    created_at: datetime
    interrupted: bool = Field(
        description="Whether this reply was stopped in the middle: it is what was read of it."
    )
    tool_calls: list[SharedToolCall] | None = Field(
        description="Null if the link does not show them. They stand on the turn's reply, or on "
        "what the user said where there is no reply."
    )


class SharedConversation(Page[SharedMessage]):
    """A page of a conversation, as a reader of a link sees it."""

    title: str | None
    with_tool_calls: bool
    shared_at: datetime
    expires_at: datetime
