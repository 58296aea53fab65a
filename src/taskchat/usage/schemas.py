"""Usage and cost as they look on the wire."""

import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PlainSerializer


def plain(dollars: Decimal) -> str:
    """An amount in full, without exponent or trailing zeros: 0.0125."""
    text = f"{dollars:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


Dollars = Annotated[Decimal, PlainSerializer(plain, return_type=str)]
"""US dollars; a string in JSON, where a number would be read as a float."""


class ModelCallOut(BaseModel):
    """One answer of a model, and what it used."""

    model: str
    input_tokens: int
    cached_input_tokens: int = Field(description="Those of the input that the vendor had cached.")
    output_tokens: int
    duration_ms: int
    cost: Dollars | None = Field(
        description="US dollars, by the prices when the turn ended; null where there was none."
    )


class Counts(BaseModel):
    """What was used."""

    turns: int
    model_calls: int
    input_tokens: int
    cached_input_tokens: int = Field(description="Those of the input that the vendor had cached.")
    output_tokens: int
    cost: Dollars | None = Field(
        description="US dollars for the calls that had a price when they were recorded; null where "
        "none of the calls had one."
    )
    unpriced_calls: int = Field(
        description="Model calls that had no price; where it is 0, `cost` is all of it."
    )


class _Model(BaseModel):
    model: str


class ModelUsage(Counts, _Model):
    """What was used of one model. A turn counts for the model that wrote its reply."""


class _Day(BaseModel):
    day: datetime.date = Field(description="By UTC, on which the turns ended.")
    models: list[ModelUsage] = Field(description="By name.")


class DayUsage(Counts, _Day):
    """What was used on one day, model by model and in all."""


class UsageOut(BaseModel):
    """What was used from one day to another."""

    data: list[DayUsage] = Field(description="Newest first; days without use are left out.")
    total: Counts
    currency: Literal["USD"] = "USD"
