"""Processes that serve, as the others see them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Uuid, text
from sqlmodel import Field, SQLModel


class Process(SQLModel, table=True):
    """One process, for as long as it lives; its heartbeat renews the row."""

    __tablename__ = "processes"

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    session: int | None = Field(default=None, sa_column=Column(BigInteger))
    since: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    seen_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    stuck: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    ended: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
