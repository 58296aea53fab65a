"""Schedules as they look on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from taskchat.http.ids import PlainUUID
from taskchat.schedules.models import TIME_ZONE_CHARS_MAX, EndReason, ScheduleStatus
from taskchat.schedules.rule import RULE_CHARS_MAX
from taskchat.turns.schemas import MessageText

ClockTime = Annotated[
    datetime,
    WithJsonSchema(
        {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?$"}
    ),
]
"""What a clock shows; what JSON Schema calls a date-time has an offset."""


class ScheduleOut(BaseModel):
    """One schedule."""

    id: UUID
    conversation_id: UUID | None = Field(
        description="Where it is said; null for one of its own that nothing was said in yet."
    )
    message: str
    at: datetime | None = Field(description="When it is said, if it is said once.")
    rule: str | None = Field(description="RFC 5545, if it is said again and again.")
    time_zone: str = Field(description="Whose clock the rule is followed by.")
    start: ClockTime | None = Field(
        description="When the rule begins, by the clock of its time zone: without an offset."
    )
    status: ScheduleStatus
    end_reason: EndReason | None = Field(
        description="Why it has ended: done, all missed, or its conversation ended or was deleted."
    )
    next_at: datetime | None = Field(description="When it is said next; null if it is not active.")
    last_at: datetime | None = Field(description="The occurrence that was said last.")
    last_turn_id: UUID | None = Field(description="The turn in which it was said.")
    last_error: str | None = Field(
        description="The error_code for which it could not be said; it is tried again."
    )
    created_at: datetime
    updated_at: datetime


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    at: AwareDatetime | None = Field(
        None, description="When it is said, once: RFC 3339, with an offset. Or else rule."
    )
    rule: str | None = Field(
        None,
        max_length=RULE_CHARS_MAX,
        description="An RRULE of RFC 5545, such as FREQ=WEEKLY;BYDAY=MO;BYHOUR=8;BYMINUTE=0.",
    )
    time_zone: str | None = Field(
        None,
        max_length=TIME_ZONE_CHARS_MAX,
        description="An IANA name, by whose clock the rule is followed; UTC if it is left out.",
    )
    start: datetime | None = Field(
        None,
        description="When the rule begins, by that clock, or with an offset; now if it is left "
        "out.",
    )


class NewSchedule(_Plan):
    """What POST takes: at or rule."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"message": "What is due today?", "rule": "FREQ=DAILY;BYHOUR=8"}]
        }
    )

    message: MessageText = Field(description="1 to 5,000 characters after trimming.")
    conversation_id: PlainUUID | None = Field(
        None, description="Where it is said; absent or null for a conversation of its own."
    )


class ScheduleChange(_Plan):
    """What PATCH takes: the fields that change, at least one."""

    message: MessageText | None = None
    status: Literal["active", "paused"] | None = Field(
        None, description="A paused one says nothing; what it misses meanwhile is not made up for."
    )
