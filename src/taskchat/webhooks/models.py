"""Hooks, and what is to be sent to them. What is sent holds ids and states, and no text."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

PausedReason = Literal["user", "failing", "gone", "backlog"]
DeliveryStatus = Literal["pending", "delivered", "dead"]


class Webhook(SQLModel, table=True):
    """An address that a user wants told of events of theirs.

    `events` null means all, those of later releases too. The secret is what it is signed with; the
    previous one signs beside it until `previous_until`.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        CheckConstraint(
            "paused_reason IN ('user', 'failing', 'gone', 'backlog')", name="paused_reason"
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    url: str = Field(sa_column=Column(Text, nullable=False))
    events: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    secret: bytes = Field(repr=False, sa_column=Column(LargeBinary, nullable=False))
    previous_secret: bytes | None = Field(default=None, repr=False, sa_column=Column(LargeBinary))
    previous_until: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    paused_reason: str | None = Field(default=None, sa_column=Column(String(16)))
    paused_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    failing_since: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )


class WebhookDelivery(SQLModel, table=True):
    """One event for one hook; without a hook it is for the operator's.

    `id` is the webhook-id of every attempt. Of a lane, only the first by `seq` that is pending is
    ever sent: `is_first`, null until somebody has looked. `due_since` is where its time for retries
    begins.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "webhook_id"], ["webhooks.user_id", "webhooks.id"], ondelete="CASCADE"
        ),
        CheckConstraint("status IN ('pending', 'delivered', 'dead')", name="status"),
        Index("webhook_deliveries_webhook_idx", "user_id", "webhook_id", "id"),
        Index(
            "webhook_deliveries_lane_idx",
            "user_id",
            "lane",
            "seq",
            postgresql_where=text("status = 'pending'"),
        ),
        # What nobody has placed yet.
        Index(
            "webhook_deliveries_new_idx",
            "seq",
            postgresql_where=text("status = 'pending' AND is_first IS NULL"),
        ),
        Index(
            "webhook_deliveries_first_key",
            "user_id",
            "lane",
            unique=True,
            postgresql_where=text("is_first"),
        ),
        Index(
            "webhook_deliveries_first_idx",
            "webhook_id",
            "next_at",
            postgresql_where=text("is_first"),
        ),
        # What is being sent at this moment.
        Index(
            "webhook_deliveries_leased_idx",
            "leased_until",
            postgresql_where=text("leased_until IS NOT NULL"),
        ),
        # For whoever deletes what is over.
        Index(
            "webhook_deliveries_finished_idx",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
    )

    user_id: str = Field(
        sa_column=Column(String(255), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    )
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, Identity(always=True), nullable=False))
    webhook_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    lane: str = Field(sa_column=Column(Text, nullable=False))
    event: str = Field(sa_column=Column(String(64), nullable=False))
    data: str = Field(sa_column=Column(Text, nullable=False))
    status: str = Field(
        sa_column=Column(String(16), nullable=False, server_default=text("'pending'"))
    )
    is_first: bool | None = Field(default=None, sa_column=Column(Boolean))
    attempts: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    next_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    due_since: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    lease: UUID | None = Field(default=None, sa_column=Column(Uuid))
    leased_until: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    last_status: int | None = Field(default=None, sa_column=Column(SmallInteger))
    last_error: str | None = Field(default=None, sa_column=Column(String(200)))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    finished_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class OperatorWebhook(SQLModel, table=True):
    """That an operator's hook is configured: until when events are noted for it."""

    __tablename__ = "operator_webhooks"

    id: str = Field(sa_column=Column(String(16), primary_key=True))
    wanted_until: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
