"""The users table, one row for each verified subject; and the keys that sign our own tokens."""

from datetime import datetime

from sqlalchemy import Boolean, Column, DateTime, Integer, LargeBinary, String, text
from sqlmodel import Field, SQLModel


class User(SQLModel, table=True):
    """One caller, and the counter behind the numbers of their tasks."""

    __tablename__ = "users"

    id: str = Field(sa_column=Column(String(255), primary_key=True))
    last_task: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )


class SigningKey(SQLModel, table=True):
    """One key pair of Ed25519. It is published at once, and signs from `signs_at` on."""

    __tablename__ = "signing_keys"

    id: str = Field(sa_column=Column(String(255), primary_key=True))
    public_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    private_key: bytes = Field(repr=False, sa_column=Column(LargeBinary, nullable=False))
    encrypted: bool = Field(sa_column=Column(Boolean, nullable=False))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    signs_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
