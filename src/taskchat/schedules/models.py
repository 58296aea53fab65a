"""A schedule: a message, when it is said next, and what became of it the last time."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel

from taskchat.schedules.rule import RULE_CHARS_MAX

ScheduleStatus = Literal["active", "paused", "ended"]
EndReason = Literal["done", "missed", "conversation_ended", "conversation_deleted"]

TIME_ZONE_CHARS_MAX: Final = 100
"""As long as a name that `is_time_zone` takes can be."""


class Schedule(SQLModel, table=True):
    """One message that is said at a time, or by a rule.

    `next_at` is the occurrence that is to be said, and names it: whoever says it does so under a
    key made of it, and moves on only from it. `try_at` is when somebody looks at it next; whoever
    looks puts it off first. Its conversation may be gone: then it ends when it is due.
    """

    __tablename__ = "schedules"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'paused', 'ended')", name="status"),
        CheckConstraint("(at IS NULL) <> (rule IS NULL)", name="plan"),
        CheckConstraint("(rule IS NULL) = (starts_at IS NULL)", name="start"),
        CheckConstraint(
            "(status = 'active') = (next_at IS NOT NULL) AND (next_at IS NULL) = (try_at IS NULL)",
            name="next",
        ),
        CheckConstraint("(status = 'ended') = (end_reason IS NOT NULL)", name="end"),
        Index(
            "schedules_try_at_idx",
            "try_at",
            postgresql_where=text("status = 'active'"),
        ),
        # For whoever deletes what has ended.
        Index(
            "schedules_updated_at_idx",
            "updated_at",
            postgresql_where=text("status = 'ended'"),
        ),
    )

    user_id: str = Field(
        sa_column=Column(String(255), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    )
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    conversation_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    message: str = Field(sa_column=Column(Text, nullable=False))
    at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    rule: str | None = Field(default=None, sa_column=Column(String(RULE_CHARS_MAX)))
    time_zone: str = Field(sa_column=Column(String(TIME_ZONE_CHARS_MAX), nullable=False))
    starts_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=False)))
    status: str = Field(
        sa_column=Column(String(16), nullable=False, server_default=text("'active'"))
    )
    end_reason: str | None = Field(default=None, sa_column=Column(String(32)))
    next_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    number: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    try_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    tries: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    last_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    last_turn_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    last_error: str | None = Field(default=None, sa_column=Column(String(64)))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    updated_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
