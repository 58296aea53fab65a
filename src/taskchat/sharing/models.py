"""A link to a conversation. Its token is kept as a hash: who reads the database can't use it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE
from sqlmodel import Field, SQLModel

from taskchat.conversations.models import TITLE_CHARS_MAX


class Share(SQLModel, table=True):
    """One link, good until it expires or its row is deleted.

    It shows the turns of these numbers, all of which were over when it was made, under the title of
    that moment: nothing that comes later changes what it shows.
    """

    __tablename__ = "shares"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            ondelete="CASCADE",
        ),
        # No empty setting is anybody's hash.
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        Index(
            "shares_user_id_conversation_id_id_idx",
            "user_id",
            "conversation_id",
            "id",
        ),
        # Whoever comes with a link says no owner.
        Index("shares_token_hash_idx", "token_hash"),
        # For whoever deletes what has expired.
        Index("shares_expires_at_idx", "expires_at"),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    conversation_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    token_hash: bytes = Field(repr=False, sa_column=Column(LargeBinary, nullable=False))
    title: str | None = Field(default=None, sa_column=Column(String(TITLE_CHARS_MAX)))
    turns: Any = Field(sa_column=Column(INT4MULTIRANGE, nullable=False))
    with_tool_calls: bool = Field(
        sa_column=Column(Boolean, nullable=False, server_default=text("false"))
    )
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
