"""What a conversation consists of. Order is by turn number and position, never by time."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE
from sqlmodel import Field, SQLModel

TITLE_CHARS_MAX: Final = 200
"""A line of a list, however long a name somebody finds."""


def _now_column() -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))


class Conversation(SQLModel, table=True):
    """One chat thread. `last_turn` counts and, by its update, locks.

    `branch` holds the numbers of the turns that it shows, and is null while those are all.
    `summary` is what was said up to turn `summary_turn`, in short, where that is kept. `origin` is
    the first id of one that was imported.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        CheckConstraint("status IN ('active', 'paused', 'ended')", name="status"),
        Index("conversations_user_id_updated_at_id_idx", "user_id", "updated_at", "id"),
        # For whoever pauses what is idle.
        Index(
            "conversations_active_idx",
            "updated_at",
            postgresql_where=text("status = 'active'"),
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    title: str | None = Field(default=None, sa_column=Column(String(TITLE_CHARS_MAX)))
    status: str = Field(sa_column=Column(String(16), nullable=False, server_default="active"))
    last_turn: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    branch: Any = Field(default=None, sa_column=Column(INT4MULTIRANGE))
    summary: str | None = Field(default=None, sa_column=Column(Text))
    summary_turn: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    archived: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    origin: UUID | None = Field(default=None, sa_column=Column(Uuid))
    created_at: datetime = Field(sa_column=_now_column())
    updated_at: datetime = Field(sa_column=_now_column())


class Message(SQLModel, table=True):
    """What was said: position 0 of a turn is the message that began it.

    What its user said while it ran stands at 2, 3 …, and the reply behind the last of these; at 1
    if there are none. So messages are in order by turn number and position.

    A reply that was interrupted is what its readers had seen of it when its turn was cancelled.
    """

    __tablename__ = "messages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("user_id", "conversation_id", "turn_number", "position"),
        UniqueConstraint("user_id", "turn_id", "position"),
        CheckConstraint(
            "(position = 0 AND role = 'user') OR (position = 1 AND role = 'assistant')"
            " OR (position >= 2 AND role IN ('user', 'assistant'))",
            name="role",
        ),
        # For searching; its words stand behind their owner's key.
        Index(
            "messages_words_idx",
            text("search_words_1(user_id, content)"),
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": "256"},
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    conversation_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    turn_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    turn_number: int = Field(sa_column=Column(Integer, nullable=False))
    position: int = Field(sa_column=Column(SmallInteger, nullable=False))
    role: str = Field(sa_column=Column(String(16), nullable=False))
    content: str = Field(sa_column=Column(Text, nullable=False))
    interrupted: bool = Field(
        sa_column=Column(Boolean, nullable=False, server_default=text("false"))
    )
    created_at: datetime = Field(sa_column=_now_column())


class ToolCall(SQLModel, table=True):
    """A tool call that happened: committed with its effect, keyed by turn and call id.

    `parameters` and `result` are of type json, not jsonb: they are shown as they were written,
    keys in order, and jsonb refuses strings that a model may well produce.
    """

    __tablename__ = "tool_calls"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("user_id", "turn_id", "call_id"),
        UniqueConstraint("user_id", "turn_id", "position"),
        CheckConstraint("status IN ('completed', 'failed', 'interrupted')", name="status"),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    turn_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    call_id: str = Field(sa_column=Column(String(255), nullable=False))
    position: int = Field(sa_column=Column(Integer, nullable=False))
    tool_name: str = Field(sa_column=Column(String(128), nullable=False))
    parameters: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    result: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    status: str = Field(sa_column=Column(String(16), nullable=False))
    duration_ms: int = Field(sa_column=Column(Integer, nullable=False))
    executed_at: datetime = Field(sa_column=_now_column())
