"""Hooks and deliveries, as they look on the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from taskchat.webhooks.models import DeliveryStatus, PausedReason

WebhookEvent = Literal[
    "turn.completed",
    "turn.failed",
    "turn.cancelled",
    "turn.awaiting_feedback",
    "task.created",
    "task.updated",
    "task.completed",
    "task.deleted",
]
Events = list[WebhookEvent]


class NewWebhook(BaseModel):
    """A hook that is to be made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(min_length=1, description="Where events are sent, by POST; https.")
    events: Events | None = Field(
        None, min_length=1, max_length=50, description="Which ones; absent or null means all."
    )


class WebhookChange(BaseModel):
    """What is to be different; what is absent stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str | None = Field(None, min_length=1)
    events: Events | None = Field(None, min_length=1, max_length=50, description="Null means all.")
    status: Literal["active", "paused"] | None = Field(
        None, description="Made active, it is sent at once whatever waits."
    )


class WebhookOut(BaseModel):
    """A hook, as its owner sees it."""

    id: UUID
    url: str
    events: Events | None = Field(description="Null means all.")
    status: Literal["active", "paused"]
    paused_reason: PausedReason | None = Field(
        description="user: somebody paused it. failing: nothing got through for too long. gone: it "
        "answered 410. backlog: too much waits, and nothing more is noted."
    )
    paused_at: datetime | None
    failing_since: datetime | None = Field(
        description="Since when every attempt has failed; null if the last one did not."
    )
    pending: int = Field(description="Deliveries that wait.")
    created_at: datetime


class WebhookWithSecret(WebhookOut):
    """A hook with the secret that it was just given."""

    secret: str = Field(
        repr=False, description="What its signatures are checked with. Shown only once."
    )


class DeliveryOut(BaseModel):
    """One event for one hook."""

    id: UUID = Field(description="Its webhook-id, the same in every attempt.")
    event: WebhookEvent
    conversation_id: UUID | None
    turn_id: UUID | None
    task_id: int | None
    status: DeliveryStatus
    attempts: int
    last_status: int | None = Field(description="The HTTP status that came back last.")
    last_error: str | None
    next_at: datetime | None = Field(description="When it is sent next, at the earliest.")
    created_at: datetime
    finished_at: datetime | None
