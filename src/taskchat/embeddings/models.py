"""Vectors, and the queue of those that are to be made: rows that have none."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    REAL,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    String,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


class EmbeddingModel(SQLModel, table=True):
    """A model in use: new messages are queued for it until then."""

    __tablename__ = "embedding_models"

    id: str = Field(sa_column=Column(String(255), primary_key=True))
    wanted_until: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class MessageEmbedding(SQLModel, table=True):
    """A message's vector by one model, or its place in the queue while `made_at` is null.

    A plain array: the table needs no extension.
    """

    __tablename__ = "message_embeddings"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "message_id"], ["messages.user_id", "messages.id"], ondelete="CASCADE"
        ),
        Index(
            "message_embeddings_queue_idx",
            "model",
            "queued_at",
            "message_id",
            postgresql_where=text("made_at IS NULL AND attempts < 5"),
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    message_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    model: str = Field(sa_column=Column(String(255), primary_key=True))
    queued_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    attempts: int = Field(sa_column=Column(SmallInteger, nullable=False, server_default=text("0")))
    claimed_until: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    made_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    embedding: Sequence[float] | None = Field(default=None, sa_column=Column(ARRAY(REAL)))
