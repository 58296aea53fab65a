"""What models used: call by call for as long as there is the turn, and day by day for good."""

import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    Numeric,
    String,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel


class ModelCall(SQLModel, table=True):
    """One answer of a model, with what it used. Written once, when its turn ends.

    `cost` is what it cost by the prices of that moment, in US dollars; null where there was none.
    """

    __tablename__ = "model_calls"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "turn_id"], ["turns.user_id", "turns.id"], ondelete="CASCADE"
        ),
    )

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    turn_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    model: str = Field(sa_column=Column(String(255), nullable=False))
    input_tokens: int = Field(sa_column=Column(Integer, nullable=False))
    cached_input_tokens: int = Field(sa_column=Column(Integer, nullable=False))
    output_tokens: int = Field(sa_column=Column(Integer, nullable=False))
    duration_ms: int = Field(sa_column=Column(Integer, nullable=False))
    cost: Decimal | None = Field(default=None, sa_column=Column(Numeric))
    created_at: datetime.datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )


def _counter() -> Column[int]:
    return Column(BigInteger, nullable=False)


class UsageDay(SQLModel, table=True):
    """What one user used of one model on one day, by UTC. It refers to no turn and outlives all.

    `cost` sums the calls that had a price, `unpriced_calls` counts the others.
    """

    __tablename__ = "usage_days"
    __table_args__ = (ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),)

    user_id: str = Field(sa_column=Column(String(255), primary_key=True))
    day: datetime.date = Field(sa_column=Column(Date, primary_key=True))
    model: str = Field(sa_column=Column(String(255), primary_key=True))
    turns: int = Field(sa_column=_counter())
    model_calls: int = Field(sa_column=_counter())
    input_tokens: int = Field(sa_column=_counter())
    cached_input_tokens: int = Field(sa_column=_counter())
    output_tokens: int = Field(sa_column=_counter())
    cost: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    unpriced_calls: int = Field(sa_column=_counter())
