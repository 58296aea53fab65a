"""What the service answers. A field that a later release adds does not disturb an older client."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Anything that the service answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ToolCall(Model):
    """One executed tool call; `status` is completed, failed or interrupted."""

    id: str
    tool_name: str
    parameters: dict[str, Any]
    result: dict[str, Any]
    status: str
    executed_at: datetime


class Rating(Model):
    """What the user thinks of a reply; `value` is up or down."""

    value: str
    comment: str | None
    rated_at: datetime


class Message(Model):
    """One message; `role` is user or assistant."""

    id: str
    turn_id: str
    role: str
    content: str
    created_at: datetime
    interrupted: bool = False
    tool_calls: list[ToolCall]
    versions: list[str] = []
    rating: Rating | None = None


class Usage(Model):
    """What a turn used."""

    model_calls: int
    input_tokens: int
    output_tokens: int


class Answer(Model):
    """A completed turn; `messages` are those of this turn."""

    conversation_id: str
    turn_id: str
    response: str
    tool_calls: list[ToolCall]
    messages: list[Message]
    has_more: bool
    model: str
    usage: Usage


class Conversation(Model):
    """One conversation; `status` is active, paused or ended."""

    id: str
    title: str | None
    status: str
    archived: bool
    turns: int
    branch: str | None
    summary: str | None
    created_at: datetime
    updated_at: datetime


class Task(Model):
    """One task. Ids are counted per user."""

    id: int
    title: str
    description: str
    completed: bool
    created_at: datetime
    updated_at: datetime


class AskedCall(Model):
    """A call that waits for approval; `subject` is the title of the task that it is about."""

    tool_call_id: str
    tool_name: str
    arguments: dict[str, Any]
    subject: str | None
    answer: str | None = None
    comment: str | None = None
    edited_arguments: dict[str, Any] | None = None


class Feedback(Model):
    """What the agent asks, or has asked.

    `kind` is approval or question; `status` is open, approved, rejected, answered, expired or
    withdrawn.
    """

    id: str
    conversation_id: str
    turn_id: str
    kind: str
    question: str
    choices: list[str]
    calls: list[AskedCall]
    status: str
    answer: str | None
    comment: str | None
    channel: str | None
    asked_at: datetime
    expires_at: datetime
    closed_at: datetime | None


class ListedTurn(Model):
    """One turn of a list.

    `status` is queued, running, awaiting_feedback, completed, failed or cancelled.
    """

    id: str
    conversation_id: str
    number: int
    channel: str
    status: str
    version_of: str | None
    message: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Turn(ListedTurn):
    """One turn and how far it is."""

    reply: str | None
    tool_calls: list[ToolCall]
    feedback: list[Feedback]
    error: dict[str, Any] | None
    model: str | None
    usage: Usage


class Steered(Model):
    """What became of a message to a turn.

    `steered` is false if the turn had ended: then `turn_id` names the one that the message began.
    """

    steered: bool
    turn_id: str
    message_id: str
    conversation_id: str
