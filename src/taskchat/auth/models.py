"""The users table: one row for each verified subject."""

from datetime import datetime

from sqlalchemy import Column, DateTime, Integer, String, text
from sqlmodel import Field, SQLModel


class User(SQLModel, table=True):
    """One caller, and the counter behind the numbers of their tasks."""

    __tablename__ = "users"

    id: str = Field(sa_column=Column(String(255), primary_key=True))
    last_task: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
