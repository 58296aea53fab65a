"""What a user thinks of a reply."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    String,
    Text,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel


class Rating(SQLModel, table=True):
    """A reply, rated by the user to whom it was given. The newest word counts."""

    __tablename__ = "ratings"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "message_id"], ["messages.user_id", "messages.id"], ondelete="CASCADE"
        ),
        CheckConstraint("value IN ('up', 'down')", name="value"),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    message_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    value: str = Field(sa_column=Column(String(4), nullable=False))
    comment: str | None = Field(default=None, sa_column=Column(Text))
    rated_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
