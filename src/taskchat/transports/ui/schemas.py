"""Messages as the AI SDK's clients have them.

Of what they send only the last message is read; what was said before is in the database.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, model_validator
from pydantic_core import PydanticCustomError

from taskchat.external_ids.ids import ExternalId
from taskchat.turns.schemas import TurnStatus, Usage

Trigger = Literal["submit-message", "regenerate-message"]

LOOSE: Final = ConfigDict(extra="ignore", strict=True)
"""Clients send more than is read, and newer ones more than that."""


class SentPart(BaseModel):
    """A part of what the user says."""

    model_config = LOOSE

    type: str
    text: str = ""


def _text(parts: list[SentPart]) -> list[SentPart]:
    if any(part.type == "file" for part in parts):
        raise PydanticCustomError("parts", "must be text; files are not taken")
    return parts


class SentMessage(BaseModel):
    """What the user says."""

    model_config = LOOSE

    id: ExternalId
    role: Literal["user"]
    parts: Annotated[list[SentPart], AfterValidator(_text)]

    @property
    def text(self) -> str:
        """Its text parts, one below the other."""
        return "\n".join(part.text for part in self.parts if part.type == "text")


class SentApproval(BaseModel):
    """What the user has decided on a call."""

    model_config = LOOSE

    id: str
    approved: bool | None = None
    reason: str | None = None


class AnsweredPart(BaseModel):
    """A part of the assistant's message: a call, if it has an id."""

    model_config = LOOSE

    type: str
    tool_call_id: str | None = Field(None, alias="toolCallId")
    approval: SentApproval | None = None
    output: Any = None


class AnsweredMessage(BaseModel):
    """The assistant's message, with what the user has answered to its calls."""

    model_config = LOOSE

    id: ExternalId
    role: Literal["assistant"]
    parts: list[AnsweredPart]


AnySentMessage = Annotated[SentMessage | AnsweredMessage, Discriminator("role")]


class SendRequest(BaseModel):
    """What POST takes: as `DefaultChatTransport` sends it, or with `message` alone."""

    model_config = LOOSE

    id: ExternalId = Field(description="The chat: any text, or the id of a conversation.")
    messages: list[AnySentMessage] = Field(
        default_factory=list,
        description="The chat's messages. Only one is read: the one that `messageId` names, else "
        "the last; others are not looked at.",
    )
    message: AnySentMessage | None = Field(None, description="That message alone, instead.")
    trigger: Trigger = "submit-message"
    message_id: str | None = Field(
        None,
        alias="messageId",
        description="The message that is said in other words, or whose calls are answered.",
    )

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_read(cls, value: object) -> object:
        if not isinstance(value, dict) or not isinstance(value.get("messages"), list):
            return value
        sent: list[object] = value["messages"]
        named = [
            one
            for one in sent
            if isinstance(one, dict) and one.get("id") == value.get("messageId") is not None
        ]
        return {**value, "messages": (named or sent)[-1:]}

    @model_validator(mode="after")
    def _has_one(self) -> "SendRequest":
        if self.message is None and not self.messages:
            raise PydanticCustomError("messages", "must hold the message that is sent")
        return self

    @property
    def said(self) -> SentMessage | AnsweredMessage:
        """The message that is read."""
        return self.message or self.messages[-1]


def _absent(value: object) -> bool:
    return value is None


class StepStartPart(BaseModel):
    """Where an answer of a model begins."""

    type: Literal["step-start"] = "step-start"


class TextPart(BaseModel):
    """Text."""

    type: Literal["text"] = "text"
    text: str


class SteeringPart(BaseModel):
    """What the user said while the turn ran."""

    type: Literal["steering-message"] = "steering-message"
    id: str
    parts: list[TextPart]


class Approval(BaseModel):
    """Whether a call may be made."""

    model_config = ConfigDict(validate_by_name=True)

    id: str
    request_reason: str = Field(alias="requestReason", description="What the user is asked.")
    approved: bool | None = Field(None, exclude_if=_absent)
    reason: str | None = Field(None, exclude_if=_absent)


ToolState = Literal[
    "input-available",
    "approval-requested",
    "approval-responded",
    "output-available",
    "output-error",
    "output-denied",
]


class ToolPart(BaseModel):
    """A tool call."""

    model_config = ConfigDict(validate_by_name=True)

    type: str = Field(pattern="^tool-", description="`tool-` and the tool's name.")
    tool_call_id: str = Field(alias="toolCallId")
    state: ToolState
    input: dict[str, Any]
    provider_executed: bool = Field(
        alias="providerExecuted", description="False for a question, which the client answers."
    )
    output: dict[str, Any] | None = Field(None, exclude_if=_absent)
    error_text: str | None = Field(None, alias="errorText", exclude_if=_absent)
    approval: Approval | None = Field(None, exclude_if=_absent)


Part = StepStartPart | TextPart | SteeringPart | ToolPart


class UIError(BaseModel):
    """Why a turn has no reply."""

    error_code: str
    error: str
    request_id: str


class UIMetadata(BaseModel):
    """What the rest of the API calls a message, and how far its turn is."""

    conversation_id: UUID
    turn_id: UUID
    message_id: UUID | None = Field(
        description="The message's own id, for ratings and versions; null where there is no reply."
    )
    created_at: datetime
    status: TurnStatus
    versions: list[UUID] = Field(description="Turns that hold its versions, if there are several.")
    model: str | None = Field(None, exclude_if=_absent)
    usage: Usage | None = Field(None, exclude_if=_absent)
    error: UIError | None = Field(None, exclude_if=_absent)


class UIMessage(BaseModel):
    """One message of a chat. The assistant's has the id of its turn."""

    id: str
    role: Literal["user", "assistant"]
    metadata: UIMetadata
    parts: list[Part]
