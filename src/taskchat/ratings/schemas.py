"""Ratings as they look on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from taskchat.texts import is_storable, is_visible

RatingValue = Literal["up", "down"]


def _comment(value: str) -> str | None:
    value = value.strip()
    if not is_storable(value):
        raise PydanticCustomError("text", "must not contain NUL or unpaired surrogates")
    return value if is_visible(value) else None


class NewRating(BaseModel):
    """What PUT takes."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"value": "up", "comment": "Just what I meant."}]},
    )

    value: RatingValue
    comment: Annotated[str, AfterValidator(_comment)] | None = Field(
        None, description="Up to 2,000 characters after trimming."
    )


class RatingOut(BaseModel):
    """What the user thinks of a reply."""

    value: RatingValue
    comment: str | None
    rated_at: datetime
