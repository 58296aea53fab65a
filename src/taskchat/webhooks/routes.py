"""`/api/{user_id}/webhooks`: a user's hooks, and what became of each event."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.http.dependencies import given
from taskchat.http.ids import path_id
from taskchat.http.pages import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    Page,
    decode_cursor,
    encode_cursor,
    foreign_cursor,
)
from taskchat.http.requests import AcceptsJson, body_schema, json_body
from taskchat.texts import uuid_of
from taskchat.webhooks.models import DeliveryStatus
from taskchat.webhooks.schemas import (
    DeliveryOut,
    NewWebhook,
    WebhookChange,
    WebhookOut,
    WebhookWithSecret,
)
from taskchat.webhooks.service import Webhooks

router = APIRouter(
    prefix="/api/{user_id}/webhooks", tags=["webhooks"], dependencies=[Authenticated, AcceptsJson]
)

WebhookId = Annotated[UUID, path_id("webhook_id", "webhook")]
DeliveryId = Annotated[UUID, path_id("delivery_id", "delivery")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
After = Annotated[str | None, Query(description="next_cursor of the page before.")]

CurrentWebhooks = Annotated[Webhooks, Depends(given(Webhooks))]


def _place(cursor: str | None) -> UUID | None:
    if cursor is None:
        return None
    place = uuid_of(str(decode_cursor(cursor, str, field="after")[0]))
    if place is None:
        raise foreign_cursor("after")
    return place


@router.post("", status_code=201, openapi_extra=body_schema(NewWebhook))
async def make_webhook(
    principal: CurrentPrincipal,
    webhooks: CurrentWebhooks,
    wanted: Annotated[NewWebhook, Depends(json_body(NewWebhook))],
) -> WebhookWithSecret:
    """Have events sent to an address; the answer alone shows the secret that signs them."""
    return await webhooks.make(principal, wanted)


@router.get("")
async def list_webhooks(
    principal: CurrentPrincipal,
    webhooks: CurrentWebhooks,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> Page[WebhookOut]:
    """The user's webhooks, the newest first."""
    found = await webhooks.listed(principal, after=_place(after), limit=limit + 1)
    has_more, found = len(found) > limit, found[:limit]
    return Page(
        data=found,
        has_more=has_more,
        next_cursor=encode_cursor(str(found[-1].id)) if has_more else None,
    )


@router.get("/{webhook_id}")
async def read_webhook(
    principal: CurrentPrincipal, webhooks: CurrentWebhooks, webhook_id: WebhookId
) -> WebhookOut:
    """One webhook."""
    return await webhooks.read(principal, webhook_id)


@router.patch("/{webhook_id}", openapi_extra=body_schema(WebhookChange))
async def change_webhook(
    principal: CurrentPrincipal,
    webhooks: CurrentWebhooks,
    # Before the id: a bad body is reported before a webhook that does not exist.
    wanted: Annotated[WebhookChange, Depends(json_body(WebhookChange))],
    webhook_id: WebhookId,
) -> WebhookOut:
    """Change its address or its events, pause it, or make it active again."""
    return await webhooks.change(principal, webhook_id, wanted)


@router.delete("/{webhook_id}", status_code=204)
async def delete_webhook(
    principal: CurrentPrincipal, webhooks: CurrentWebhooks, webhook_id: WebhookId
) -> Response:
    """Delete a webhook; what waits for it is never sent."""
    await webhooks.delete(principal, webhook_id)
    return Response(status_code=204)


@router.post("/{webhook_id}/secret")
async def rotate_secret(
    principal: CurrentPrincipal, webhooks: CurrentWebhooks, webhook_id: WebhookId
) -> WebhookWithSecret:
    """Give it another secret. For a while each event is signed with the one before, too."""
    return await webhooks.rotate(principal, webhook_id)


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(
    principal: CurrentPrincipal,
    webhooks: CurrentWebhooks,
    webhook_id: WebhookId,
    status: Annotated[DeliveryStatus | None, Query(description="Which deliveries.")] = None,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> Page[DeliveryOut]:
    """Its deliveries, the newest first: what waits, what arrived, and what is dead."""
    found = await webhooks.deliveries(
        principal, webhook_id, status=status, after=_place(after), limit=limit + 1
    )
    has_more, found = len(found) > limit, found[:limit]
    return Page(
        data=found,
        has_more=has_more,
        next_cursor=encode_cursor(str(found[-1].id)) if has_more else None,
    )


@router.post("/{webhook_id}/deliveries/{delivery_id}/replay")
async def replay_delivery(
    principal: CurrentPrincipal,
    webhooks: CurrentWebhooks,
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
) -> DeliveryOut:
    """Send a delivery again, under its old id, whether it arrived or is dead."""
    return await webhooks.replay(principal, webhook_id, delivery_id)
