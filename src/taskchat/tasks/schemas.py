"""Tasks as they look on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from taskchat.tasks.models import DESCRIPTION_CHARS_MAX, TITLE_CHARS_MAX

TaskFilter = Literal["all", "pending", "completed"]


class TaskOut(BaseModel):
    """One task."""

    id: int = Field(description="Counted per user from 1, never reused.")
    title: str
    description: str
    completed: bool
    created_at: datetime
    updated_at: datetime


class NewTask(BaseModel):
    """What POST takes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str = Field(description=f"1 to {TITLE_CHARS_MAX} characters after trimming.")
    description: str = Field("", description=f"At most {DESCRIPTION_CHARS_MAX} characters.")


class TaskChange(BaseModel):
    """What PATCH takes: the fields that change, at least one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str | None = None
    description: str | None = None
    completed: bool | None = None
