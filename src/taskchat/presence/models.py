"""Connections that follow what happens, of all processes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    String,
    Uuid,
)
from sqlmodel import Field, SQLModel


class LiveConnection(SQLModel, table=True):
    """One WebSocket, or one event stream of a turn that runs elsewhere.

    Its process renews `expires_at` while it lives; behind it the row means nothing any more.
    """

    __tablename__ = "live_connections"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        CheckConstraint("kind IN ('websocket', 'sse')", name="kind"),
        Index("live_connections_user_id_conversation_id_idx", "user_id", "conversation_id"),
        Index("live_connections_process_idx", "process"),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    kind: str = Field(sa_column=Column(String(16), nullable=False))
    conversation_id: UUID | None = Field(default=None, sa_column=Column(Uuid))
    process: UUID = Field(sa_column=Column(Uuid, nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
