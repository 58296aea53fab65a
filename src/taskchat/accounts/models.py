"""Accounts, their sessions, the refresh tokens of those, and who tries too often."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel

EMAIL_CHARS_MAX = 254
"""The longest address that fits into a mail's path (RFC 5321)."""

USER_AGENT_CHARS_MAX = 255
"""What is kept of it is for people to tell their devices apart."""


class Account(SQLModel, table=True):
    """A user who signs in here. `email` is normalised, and so unique whatever its spelling."""

    __tablename__ = "accounts"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        Index("accounts_email_key", "email", unique=True),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    email: str = Field(sa_column=Column(String(EMAIL_CHARS_MAX), nullable=False))
    password_hash: str = Field(repr=False, sa_column=Column(String(255), nullable=False))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    password_changed_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )


class AccountSession(SQLModel, table=True):
    """One device that is signed in: a family of refresh tokens."""

    __tablename__ = "account_sessions"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        Index("account_sessions_expires_at_idx", "expires_at"),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    user_agent: str = Field(
        sa_column=Column(String(USER_AGENT_CHARS_MAX), nullable=False, server_default=text("''"))
    )
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    used_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    ends_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class RefreshToken(SQLModel, table=True):
    """A refresh token, by its hash. Spent ones are kept, because who brings one has stolen it."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "session_id"],
            ["account_sessions.user_id", "account_sessions.id"],
            ondelete="CASCADE",
        ),
        Index("refresh_tokens_user_id_session_id_idx", "user_id", "session_id"),
        Index("refresh_tokens_hash_idx", "hash"),
        Index("refresh_tokens_expires_at_idx", "expires_at"),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    session_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    hash: bytes = Field(repr=False, sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    spent_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True), nullable=True))


class SignInBucket(SQLModel, table=True):
    """What is left to one address of mail, client or account; full where there is no row.

    Its id is a hash: what was tried may be no account's at all, and is nobody's to read.
    """

    __tablename__ = "sign_in_buckets"
    __table_args__ = (Index("sign_in_buckets_updated_at_idx", "updated_at"),)

    id: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    level: float = Field(sa_column=Column(Double, nullable=False))
    updated_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
