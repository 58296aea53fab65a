"""What the agent has asked, and what became of it."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel

KINDS: Final = ("approval", "question")
STATUSES: Final = ("open", "approved", "rejected", "answered", "expired", "withdrawn")


class FeedbackRequest(SQLModel, table=True):
    """One thing that a turn waits for. A turn has one open request at most.

    Attributes:
        calls: What is to be approved, or the call that asks: id, call_id, tool_name, arguments and
            subject of each.
        decisions: What was decided on each call, by its call_id; null until there is an answer.
    """

    __tablename__ = "feedback_requests"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"
        ),
        CheckConstraint(f"kind IN {KINDS}", name="kind"),
        CheckConstraint(f"status IN {STATUSES}", name="status"),
        Index(
            "feedback_requests_open_key",
            "user_id",
            "turn_id",
            unique=True,
            postgresql_where=text("status = 'open'"),
        ),
        Index("feedback_requests_turn_idx", "user_id", "turn_id"),
        Index("feedback_requests_asked_idx", "user_id", "asked_at", "id"),
        Index(
            "feedback_requests_expires_at_idx",
            "expires_at",
            postgresql_where=text("status = 'open'"),
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    turn_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    conversation_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    kind: str = Field(sa_column=Column(String(16), nullable=False))
    question: str = Field(sa_column=Column(Text, nullable=False))
    choices: list[str] = Field(sa_column=Column(JSON, nullable=False))
    calls: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    status: str = Field(sa_column=Column(String(16), nullable=False, server_default=text("'open'")))
    answer: str | None = Field(default=None, sa_column=Column(Text))
    comment: str | None = Field(default=None, sa_column=Column(Text))
    decisions: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True))
    )
    channel: str | None = Field(default=None, sa_column=Column(String(16)))
    asked_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    closed_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
