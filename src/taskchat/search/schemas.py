"""What is found, as it looks on the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from taskchat.conversations.schemas import Role
from taskchat.http.pages import Page

HitKind = Literal["message", "conversation", "task"]


class ExcerptPart(BaseModel):
    """A piece of an excerpt. It is plain text: escape it like any other to show it in a page."""

    text: str
    match: bool = Field(description="Whether it is a word that was looked for.")


class Hit(BaseModel):
    """One thing that was found. The ids that its kind does not have are null."""

    kind: HitKind
    conversation_id: UUID | None
    turn_id: UUID | None
    message_id: UUID | None
    task_id: int | None
    role: Role | None = Field(description="Who said it, of a message.")
    title: str | None = Field(description="The conversation's, or the task's.")
    excerpt: list[ExcerptPart] = Field(
        description="In order; joined, they are the excerpt, with “…” where the text goes on."
    )
    score: float = Field(description="Comparable in one ranking only; the best comes first.")
    created_at: datetime


class HitPage(Page[Hit]):
    """One page of what was found, the best first."""

    semantic: bool = Field(
        description="Whether meaning was compared besides words. False if no embedding model is "
        "set, if it could not be asked in time, and for a search with a phrase or a minus."
    )
    corrected: str | None = Field(
        description="The words that were looked for in place of those of `q`, if nothing has those "
        "and some of the user's look much alike."
    )
