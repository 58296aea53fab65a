"""The tasks table. A number is counted per user and never given twice."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import BOOLEAN
from sqlmodel import Field, SQLModel

TITLE_CHARS_MAX: Final = 200
"""As in the contract of the tools; a title is something a person says in one breath."""

DESCRIPTION_CHARS_MAX: Final = 2000
"""As in the contract of the tools."""


class Task(SQLModel, table=True):
    """One to-do of one user. `origin` identifies where one that was imported came from."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint("char_length(title) >= 1", name="title_not_empty"),
        Index(
            "tasks_user_id_origin_key",
            "user_id",
            "origin",
            unique=True,
            postgresql_where=text("origin IS NOT NULL"),
        ),
    )

    user_id: str = Field(
        sa_column=Column(String(255), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    )
    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    title: str = Field(sa_column=Column(String(TITLE_CHARS_MAX), nullable=False))
    description: str = Field(
        sa_column=Column(String(DESCRIPTION_CHARS_MAX), nullable=False, server_default="")
    )
    completed: bool = Field(sa_column=Column(BOOLEAN, nullable=False, server_default=text("false")))
    origin: UUID | None = Field(default=None, sa_column=Column(Uuid))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    updated_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
