"""Chores, as all processes see them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Integer, String, Uuid, text
from sqlmodel import Field, SQLModel


class ChoreRecord(SQLModel, table=True):
    """One chore: when it is due, who is at it, and how it went the last time."""

    __tablename__ = "chores"

    name: str = Field(sa_column=Column(String(64), primary_key=True))
    due_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    run: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    process: UUID | None = Field(default=None, sa_column=Column(Uuid))
    held_until: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    started_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    finished_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    rows: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    failures: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    error: str | None = Field(default=None, sa_column=Column(String(64)))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
