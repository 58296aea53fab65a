"""Making and revoking links; and reading by one, which takes no token of a user's."""

from dataclasses import astuple
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.conversations.routes import ConversationId, Limit
from taskchat.http.dependencies import given
from taskchat.http.ids import path_id
from taskchat.http.pages import (
    LIMIT_DEFAULT,
    Page,
    decode_cursor,
    encode_cursor,
    foreign_cursor,
)
from taskchat.http.requests import AcceptsJson, body_schema, json_body
from taskchat.http.windows import CurrentWindow
from taskchat.sharing.repository import Place
from taskchat.sharing.schemas import MadeShare, NewShare, SharedConversation, ShareOut
from taskchat.sharing.service import BEGINNING, END, UNLISTED, Sharing
from taskchat.texts import uuid_of

SHARES: Final = "/api/{user_id}/conversations/{conversation_id}/shares"

router = APIRouter(tags=["sharing"])
owners = APIRouter(prefix=SHARES, dependencies=[Authenticated, AcceptsJson])

ShareId = Annotated[UUID, path_id("share_id", "link")]

CurrentSharing = Annotated[Sharing, Depends(given(Sharing))]


@owners.post("", status_code=201, openapi_extra=body_schema(NewShare))
async def make_share(
    principal: CurrentPrincipal,
    sharing: CurrentSharing,
    # Before the id: a bad body is reported before a conversation that does not exist.
    wanted: Annotated[NewShare, Depends(json_body(NewShare))],
    conversation_id: ConversationId,
) -> MadeShare:
    """Make a link by which anybody may read the conversation as it is now."""
    return await sharing.make(principal, conversation_id, wanted)


@owners.get("")
async def list_shares(
    principal: CurrentPrincipal,
    sharing: CurrentSharing,
    conversation_id: ConversationId,
    limit: Limit = LIMIT_DEFAULT,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
) -> Page[ShareOut]:
    """The conversation's links that are good, the newest first; their tokens are not kept."""
    place = None if after is None else _share_place(after)
    found = await sharing.links(principal, conversation_id, after=place, limit=limit + 1)
    has_more, found = len(found) > limit, found[:limit]
    return Page(
        data=found,
        has_more=has_more,
        next_cursor=encode_cursor(str(found[-1].id)) if has_more else None,
    )


def _share_place(cursor: str) -> UUID:
    place = uuid_of(str(decode_cursor(cursor, str, field="after")[0]))
    if place is None:
        raise foreign_cursor("after")
    return place


@owners.delete("", status_code=204)
async def revoke_shares(
    principal: CurrentPrincipal, sharing: CurrentSharing, conversation_id: ConversationId
) -> Response:
    """Revoke all links of the conversation, at once and for good."""
    await sharing.revoke_all(principal, conversation_id)
    return Response(status_code=204)


@owners.delete("/{share_id}", status_code=204)
async def revoke_share(
    principal: CurrentPrincipal,
    sharing: CurrentSharing,
    conversation_id: ConversationId,
    share_id: ShareId,
) -> Response:
    """Revoke a link, at once and for good."""
    await sharing.revoke(principal, conversation_id, share_id)
    return Response(status_code=204)


@router.get("/share/{token}", dependencies=[AcceptsJson])
async def read_shared(
    sharing: CurrentSharing,
    response: Response,
    token: str,
    window: CurrentWindow,
    limit: Limit = LIMIT_DEFAULT,
) -> SharedConversation:
    """What was said in a conversation, up to when the link was made.

    From the beginning, or from behind `after`; with `before`, the page that ends there, and with
    `before=end` the newest. Of a page that was asked for by `before`, `next_cursor` goes on in that
    direction.
    """
    found = window.place(2)
    place = Place(*found) if found else END if window.backwards else BEGINNING
    share, shown, further = await sharing.read(
        token, place, backwards=window.backwards, limit=limit
    )
    response.headers.update(UNLISTED)
    return SharedConversation(
        title=share.title,
        with_tool_calls=share.with_tool_calls,
        shared_at=share.created_at,
        expires_at=share.expires_at,
        data=shown,
        has_more=further is not None,
        next_cursor=encode_cursor(*astuple(further)) if further else None,
    )


router.include_router(owners)
