"""What the agent asks and what is answered, as they look on the wire."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from taskchat.feedback.repository import Request
from taskchat.principal import ChannelName
from taskchat.texts import is_storable, is_visible

FeedbackKind = Literal["approval", "question"]
FeedbackStatus = Literal["open", "approved", "rejected", "answered", "expired", "withdrawn"]


def _said(value: str) -> str:
    value = value.strip()
    if not is_storable(value):
        raise PydanticCustomError("text", "must not contain NUL or unpaired surrogates")
    if not is_visible(value):
        raise PydanticCustomError("text", "must say something")
    return value


Said = Annotated[str, AfterValidator(_said)]
"""What a person answers, trimmed and checked."""


class CallAnswer(BaseModel):
    """What is answered on one of several calls."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answer: Literal["approve", "reject"] | None = Field(
        None, description="Absent or null: as the answer as a whole."
    )
    comment: Said | None = None
    arguments: dict[str, Any] | None = Field(
        None, description="Arguments that take the place of those of the same names."
    )


class FeedbackAnswer(BaseModel):
    """What POST takes."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"answer": "approve"}]},
    )

    answer: Said = Field(
        description="`approve` or `reject` for an approval; any text for a question. Up to 2,000 "
        "characters."
    )
    comment: Said | None = Field(
        None, description="What the model is told besides. Up to 2,000 characters."
    )
    calls: dict[str, CallAnswer] | None = Field(
        None, description="Of an approval, what differs for some of its calls, by tool_call_id."
    )


class AskedCallOut(BaseModel):
    """A call that waits for approval, or that asked."""

    tool_call_id: UUID
    tool_name: str
    arguments: dict[str, Any] = Field(description="As the model wrote them.")
    subject: str | None = Field(description="The title of the task that it is about, if any.")
    answer: Literal["approve", "reject"] | None = Field(description="What was decided on it.")
    comment: str | None
    edited_arguments: dict[str, Any] | None = Field(
        description="The arguments that it was approved with, if they were changed."
    )


class FeedbackOut(BaseModel):
    """One thing that the agent asks, or has asked, of its user."""

    id: UUID
    conversation_id: UUID
    turn_id: UUID
    kind: FeedbackKind
    question: str
    choices: list[str] = Field(description="Answers that the agent suggests.")
    calls: list[AskedCallOut]
    status: FeedbackStatus
    answer: str | None
    comment: str | None
    channel: ChannelName | None = Field(description="How the answer came in.")
    asked_at: datetime
    expires_at: datetime
    closed_at: datetime | None


def feedback_out(request: Request) -> FeedbackOut:
    """A request as it is shown."""
    calls = [
        AskedCallOut(
            tool_call_id=call.id,
            tool_name=call.tool_name,
            arguments=dict(call.arguments),
            subject=call.subject,
            answer=decided.get("answer"),
            comment=decided.get("comment"),
            edited_arguments=decided.get("arguments"),
        )
        for call in request.calls
        for decided in [request.decisions.get(call.call_id, {})]
    ]
    return FeedbackOut.model_validate({**asdict(request), "calls": calls})
