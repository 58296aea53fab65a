"""Buckets of the rate limits: what is left of each, and since when."""

from datetime import datetime

from sqlalchemy import Column, DateTime, Double, ForeignKeyConstraint, String, text
from sqlmodel import Field, SQLModel


class RateBucket(SQLModel, table=True):
    """One token bucket of one user. It is full where there is no row.

    `level` is what was left at `updated_at`; what has been refilled since is reckoned on reading.
    """

    __tablename__ = "rate_buckets"
    __table_args__ = (ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),)

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    scope: str = Field(sa_column=Column(String(64), primary_key=True))
    per_minute: float = Field(sa_column=Column(Double, nullable=False))
    level: float = Field(sa_column=Column(Double, nullable=False))
    updated_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
