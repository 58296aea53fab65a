"""The turn's own rows: its state machine, and what the model decided in it."""

from collections.abc import Iterable
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
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE
from sqlmodel import Field, SQLModel

from taskchat.principal import Channel

UNFINISHED: Final = ("queued", "running", "awaiting_feedback")
"""States in which a turn holds up the ones behind it."""

STATUSES: Final = (*UNFINISHED, "completed", "failed", "cancelled")


def one_of(column: str, values: Iterable[str]) -> str:
    """An SQL condition: the column has one of these values."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Turn(SQLModel, table=True):
    """One user message, the run that answers it, and the reply.

    `attempt` is the fencing token: every write of a run names the attempt that it belongs to, and
    finds no row once another process has taken the turn over.

    `path` holds the numbers of the turns that it follows, and is null if those are all before it.
    `version_of` is the number of the first turn that follows the same, of another version of it.
    """

    __tablename__ = "turns"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("user_id", "conversation_id", "number"),
        CheckConstraint(one_of("status", STATUSES), name="status"),
        CheckConstraint(one_of("channel", Channel), name="channel"),
        CheckConstraint("number >= 1", name="number"),
        Index(
            "turns_user_id_idempotency_key_key",
            "user_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index(
            "turns_versions_idx",
            "user_id",
            "conversation_id",
            "version_of",
            postgresql_where=text("version_of IS NOT NULL"),
        ),
        Index(
            "turns_unfinished_idx",
            "user_id",
            "conversation_id",
            "number",
            postgresql_where=text(one_of("status", UNFINISHED)),
        ),
        Index(
            "turns_lease_expires_at_idx",
            "lease_expires_at",
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
        Index(
            "turns_kept_key_idx",
            "finished_at",
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    conversation_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    number: int = Field(sa_column=Column(Integer, nullable=False))
    path: Any = Field(default=None, sa_column=Column(INT4MULTIRANGE))
    version_of: int | None = Field(default=None, sa_column=Column(Integer))
    channel: str = Field(sa_column=Column(String(16), nullable=False))
    status: str = Field(sa_column=Column(String(32), nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    deaths: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    owner: UUID | None = Field(default=None, sa_column=Column(Uuid))
    lease_expires_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True))
    )
    idempotency_key: str | None = Field(default=None, sa_column=Column(String(255)))
    fingerprint: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    model: str | None = Field(default=None, sa_column=Column(String(255)))
    model_calls: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    input_tokens: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    output_tokens: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    result: str | None = Field(default=None, sa_column=Column(Text))
    last_seq: int | None = Field(default=None, sa_column=Column(Integer))
    circumstances: dict[str, str] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True))
    )
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    started_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    finished_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class TurnTakeover(SQLModel, table=True):
    """A turn that ran was taken up by another attempt, and why it was free.

    Whether `left_by` really died is decided when the turn is taken up the next time.
    """

    __tablename__ = "takeovers"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    turn_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    attempt: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    reason: str = Field(sa_column=Column(String(16), nullable=False))
    left_by: UUID | None = Field(default=None, sa_column=Column(Uuid))
    at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )


class TurnEvent(SQLModel, table=True):
    """One thing that happened in a turn, as it is told on every transport.

    `data` is the event's JSON, byte for byte: whoever reads it, wherever, gets the same text.
    """

    __tablename__ = "turn_events"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"
        ),
        # Rows arrive in order of time, so that a few pages of index are enough to prune millions.
        Index("turn_events_created_at_idx", "created_at", postgresql_using="brin"),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    turn_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    type: str = Field(sa_column=Column(String(32), nullable=False))
    data: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )


class ModelAnswer(SQLModel, table=True):
    """What a model answered when it called tools, whole, as its provider wants it back.

    Kept with the first tool commit that follows from it, so that a takeover goes on from this
    decision instead of asking for another. `items` are the SDK's input items, reasoning included.
    """

    __tablename__ = "model_answers"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    turn_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    model: str = Field(sa_column=Column(String(255), nullable=False))
    items: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    input_tokens: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    cached_input_tokens: int = Field(
        sa_column=Column(Integer, nullable=False, server_default=text("0"))
    )
    output_tokens: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    duration_ms: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )


class Steering(SQLModel, table=True):
    """A message that was said to a turn while that was unfinished; its text is among the messages.

    It is read once: by the model call that follows so many answers and executed calls of the turn.
    Until then both are null, and the turn can't be completed.
    """

    __tablename__ = "steering"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "message_id"], ["messages.user_id", "messages.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"
        ),
        Index("steering_turn_idx", "user_id", "turn_id"),
        Index(
            "steering_user_id_idempotency_key_key",
            "user_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    message_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    turn_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    idempotency_key: str | None = Field(default=None, sa_column=Column(String(255)))
    fingerprint: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    read_after_answers: int | None = Field(default=None, sa_column=Column(Integer))
    read_after_calls: int | None = Field(default=None, sa_column=Column(Integer))
