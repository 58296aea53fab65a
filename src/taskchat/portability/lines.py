"""The format of an export: JSON lines, each with a `type`. Version 1.

    export        first: version, scope, exported_at
    conversation  with its turns right behind it, in order
    turn          what was said, the tool calls, the reply or the error, what was asked of the
                  user, what models used
    task          by number
    usage_day     one model on one day; exported and never imported
    share         a link that is good, without its token; exported and never imported
    schedule      a message that is said later, or was; exported and never imported
    external_id   what a client calls a conversation or message; exported and never imported
    account       the built-in account; exported and never imported
    end           last: how many lines came before it

A reader takes a version that it knows and no other, and reports types that it does not know.
Whatever the database holds fits these models, so that every export can be imported.
"""

import datetime
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from taskchat.conversations.schemas import ConversationStatus, ToolCallStatus
from taskchat.feedback.schemas import FeedbackKind, FeedbackStatus
from taskchat.http.ids import PlainUUID
from taskchat.principal import ChannelName
from taskchat.ratings.schemas import RatingValue
from taskchat.schedules.models import EndReason, ScheduleStatus
from taskchat.texts import is_storable
from taskchat.turns.schemas import TurnStatus
from taskchat.usage.schemas import Dollars

VERSION: Final = 1
"""Raised by a change that readers of the one before would misread."""

TURNS_MAX: Final = 1_000_000
"""Turns of one conversation; its counter has to go on from there."""

YEARS: Final = range(1970, 9000)
"""What every clock and database can hold in every time zone."""

COUNT_MAX: Final = 2**31 - 1
"""The range of the columns."""


def _storable(value: str) -> str:
    if not is_storable(value):
        raise PydanticCustomError("text", "must not contain NUL or unpaired surrogates")
    return value


def _in_range(value: datetime.datetime) -> datetime.datetime:
    if value.year not in YEARS:
        raise PydanticCustomError("moment", "must be a time that a clock may have shown")
    return value.astimezone(datetime.UTC)


Text = Annotated[str, AfterValidator(_storable)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
TurnNumber = Annotated[int, Field(ge=1, le=TURNS_MAX)]
Ranges = Annotated[
    list[tuple[TurnNumber, TurnNumber]],
    Field(description="Numbers of turns: the first and the last of each range."),
]


def _check_ranges(field: str, ranges: Sequence[tuple[int, int]] | None, last: int) -> None:
    """Check that ranges come in order, and that the last one ends by a number."""
    end = 0
    for first, end_of_this in ranges or ():
        if not end < first <= end_of_this <= last:
            raise PydanticCustomError(
                "ranges", "{field} has ranges out of order or out of bounds", {"field": field}
            )
        end = end_of_this


class Part(BaseModel):
    """A line, or a part of one: nothing is read that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ExportLine(Part):
    """The first line."""

    type: Literal["export"] = "export"
    version: Literal[1] = VERSION
    scope: Literal["user", "conversation"]
    exported_at: Moment


class ConversationLine(Part):
    """A conversation; its turns follow."""

    type: Literal["conversation"] = "conversation"
    id: PlainUUID
    origin: PlainUUID = Field(description="Its first id, wherever it has been imported since.")
    title: Annotated[Text, Field(max_length=200)] | None
    status: ConversationStatus
    turn_count: Annotated[int, Field(ge=0, le=TURNS_MAX)]
    summary: Text | None
    summary_turn: Count
    archived: bool = False
    branch: Ranges | None = Field(None, description="The turns that it shows; null for all.")
    created_at: Moment
    updated_at: Moment

    @model_validator(mode="after")
    def _sums_up_what_was_said(self) -> "ConversationLine":
        if self.summary_turn > self.turn_count:
            raise PydanticCustomError("summary", "sums up more turns than there are")
        _check_ranges("branch", self.branch, self.turn_count)
        return self


class Said(Part):
    """One message."""

    id: PlainUUID
    content: Text
    created_at: Moment


class SteeredLine(Said):
    """A message to the turn while it was unfinished."""

    read_after_calls: Count | None = Field(
        description="How many calls had been executed when it was read; null if it never was."
    )


class Rated(Part):
    """What the user thinks of a reply."""

    value: RatingValue
    comment: Annotated[Text, Field(max_length=100_000)] | None
    rated_at: Moment


class Called(Part):
    """One executed tool call."""

    id: PlainUUID
    call_id: Annotated[Text, Field(min_length=1, max_length=255)]
    tool_name: Annotated[Text, Field(max_length=128)]
    parameters: dict[str, Any]
    result: dict[str, Any]
    status: ToolCallStatus
    duration_ms: Count
    executed_at: Moment


class AskedCallLine(Part):
    """A call that waited for its user."""

    id: PlainUUID
    call_id: Annotated[Text, Field(min_length=1, max_length=255)]
    tool_name: Annotated[Text, Field(max_length=128)]
    arguments: dict[str, Any]
    subject: Text | None


class DecisionLine(Part):
    """What was decided on one call."""

    answer: Literal["approve", "reject"]
    comment: Text | None = None
    arguments: dict[str, Any] | None = None


class AskedLine(Part):
    """What the agent asked of its user, and what became of it."""

    id: PlainUUID
    kind: FeedbackKind
    question: Text
    choices: list[Text]
    calls: list[AskedCallLine]
    status: FeedbackStatus
    answer: Text | None
    comment: Text | None
    decisions: dict[Text, DecisionLine] | None = Field(description="By the calls' `call_id`.")
    channel: ChannelName | None
    asked_at: Moment
    expires_at: Moment
    closed_at: Moment | None


class Failure(Part):
    """Why a turn has no reply."""

    error_code: Annotated[Text, Field(max_length=64)]
    error: Text
    request_id: Annotated[Text, Field(max_length=64)]


class Used(Part):
    """What a turn cost in all."""

    model_calls: Count
    input_tokens: Count
    output_tokens: Count


class CallUsed(Part):
    """What one answer of a model cost."""

    model: Text
    input_tokens: Count
    cached_input_tokens: Count
    output_tokens: Count
    duration_ms: Count
    cost: Dollars | None


class TurnLine(Part):
    """A turn of the conversation that was named last."""

    type: Literal["turn"] = "turn"
    id: PlainUUID
    conversation_id: PlainUUID
    number: TurnNumber
    follows: Ranges | None = Field(
        None, description="The turns before it on its branch; null for all before it."
    )
    version_of: TurnNumber | None = Field(
        None, description="The turn with the first version of its message, if it is another one."
    )
    channel: ChannelName
    status: TurnStatus
    message: Said
    steered: list[SteeredLine] = Field(
        default_factory=list, description="What was said while it was unfinished, in order."
    )
    tool_calls: list[Called]
    feedback: list[AskedLine] = Field(
        default_factory=list, description="What the agent asked of its user, in order."
    )
    reply: Said | None
    rating: Rated | None = None
    error: Failure | None
    model: Annotated[Text, Field(max_length=255)] | None
    usage: Used
    model_calls: list[CallUsed]
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None

    @model_validator(mode="after")
    def _is_whole(self) -> "TurnLine":
        if self.status == "completed" and (self.reply is None or self.model is None):
            raise PydanticCustomError("turn", "is completed, but has no reply or no model")
        if len({call.call_id for call in self.tool_calls}) < len(self.tool_calls):
            raise PydanticCustomError("turn", "has two tool calls with one call_id")
        if self.rating is not None and self.reply is None:
            raise PydanticCustomError("turn", "has a rating and no reply")
        _check_ranges("follows", self.follows, self.number - 1)
        if self.version_of is not None and self.version_of >= self.number:
            raise PydanticCustomError("turn", "is a version of a turn that comes after it")
        return self


class TaskLine(Part):
    """A task."""

    type: Literal["task"] = "task"
    id: Annotated[int, Field(ge=1, le=COUNT_MAX)]
    origin: PlainUUID = Field(description="What it is known by, wherever it is imported.")
    title: Text
    description: Text
    completed: bool
    created_at: Moment
    updated_at: Moment


class UsageDayLine(Part):
    """What was used of one model on one day, by UTC."""

    type: Literal["usage_day"] = "usage_day"
    day: datetime.date
    model: str
    turns: int
    model_calls: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost: Dollars
    unpriced_calls: int


class ShareLine(Part):
    """A link to a conversation that is good. Its token is kept nowhere."""

    type: Literal["share"] = "share"
    id: UUID
    conversation_id: UUID
    title: str | None
    turns: int
    with_tool_calls: bool
    created_at: Moment
    expires_at: Moment


class ScheduleLine(Part):
    """A message that is said at a time, or by a rule; or was."""

    type: Literal["schedule"] = "schedule"
    id: UUID
    conversation_id: UUID | None
    message: str
    at: Moment | None
    rule: str | None
    time_zone: str
    start: datetime.datetime | None
    status: ScheduleStatus
    end_reason: EndReason | None
    next_at: Moment | None
    last_at: Moment | None
    created_at: Moment
    updated_at: Moment


class ExternalIdLine(Part):
    """What a client that chooses ids calls a conversation, or a message in it."""

    type: Literal["external_id"] = "external_id"
    id: UUID
    conversation_id: UUID
    protocol: str
    text: str


class AccountLine(Part):
    """The user's built-in account, if they have one. Nothing that proves anybody is in it."""

    type: Literal["account"] = "account"
    email: str
    created_at: Moment
    password_changed_at: Moment


class EndLine(Part):
    """The last line: without it the file is not whole."""

    type: Literal["end"] = "end"
    lines: Annotated[int, Field(ge=0)]


Line = (
    ExportLine
    | ConversationLine
    | TurnLine
    | TaskLine
    | UsageDayLine
    | ShareLine
    | ScheduleLine
    | ExternalIdLine
    | AccountLine
    | EndLine
)

NOWHERE: Final = UUID(int=0)
"""Smaller than every id."""
