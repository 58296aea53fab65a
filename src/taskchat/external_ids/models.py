"""What clients call conversations and messages."""

from uuid import UUID

from sqlalchemy import Column, ForeignKeyConstraint, Index, String, Uuid
from sqlmodel import Field, SQLModel

from taskchat.external_ids.ids import TEXT_CHARS_MAX


class ExternalIdRow(SQLModel, table=True):
    """The text of which an id was made, to be shown again. It decides nothing."""

    __tablename__ = "external_ids"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            ondelete="CASCADE",
        ),
        # What goes with a conversation.
        Index("external_ids_conversation_idx", "user_id", "conversation_id"),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    conversation_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    protocol: str = Field(sa_column=Column(String(32), nullable=False))
    text: str = Field(sa_column=Column(String(TEXT_CHARS_MAX), nullable=False))
