"""What the page is told when it is signed in without being asked."""

from typing import Literal

from pydantic import BaseModel, Field


class PageSession(BaseModel):
    """As signing in to an account answers, without anything to refresh by."""

    user_id: str
    access_token: str = Field(repr=False)
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - its kind
    expires_in: int
