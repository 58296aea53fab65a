"""Changing and deleting conversations, which their sockets are told of; and the turns in them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.conversations import service
from taskchat.conversations.routes import ConversationId, Limit
from taskchat.conversations.schemas import ConversationChange, ConversationOut
from taskchat.http.pages import LIMIT_DEFAULT, Page, decode_cursor, encode_cursor
from taskchat.http.requests import AcceptsJson, body_schema, json_body
from taskchat.transports.dependencies import CurrentLive, CurrentTurns
from taskchat.turns.discard import delete_conversation
from taskchat.turns.reading import list_turns
from taskchat.turns.schemas import ListedTurn, TurnStatus

router = APIRouter(
    prefix="/api/{user_id}/conversations",
    tags=["conversations"],
    dependencies=[Authenticated, AcceptsJson],
)


@router.patch("/{conversation_id}", openapi_extra=body_schema(ConversationChange))
async def change_conversation(
    principal: CurrentPrincipal,
    live: CurrentLive,
    # Before the id: a bad body is reported before a conversation that does not exist.
    change: Annotated[ConversationChange, Depends(json_body(ConversationChange))],
    conversation_id: ConversationId,
) -> ConversationOut:
    """Rename, archive, pause, resume or end a conversation, or go to another branch of it."""
    async with live.database.transaction(principal) as connection:
        changed = await service.change_conversation(
            connection,
            principal,
            conversation_id,
            title=change.title,
            status=change.status,
            archived=change.archived,
            branch=change.branch,
            active_max=live.settings.active_max,
            process=live.turns.process,
        )
    if change.status == "ended":
        live.connections.session_ended(conversation_id)
    return changed


@router.delete("/{conversation_id}", status_code=204)
async def remove_conversation(
    principal: CurrentPrincipal, live: CurrentLive, conversation_id: ConversationId
) -> Response:
    """Delete a conversation with all it holds; what runs or waits in it is lost."""
    await delete_conversation(conversation_id, principal=principal, deps=live.turns)
    live.connections.session_ended(conversation_id, deleted=True)
    return Response(status_code=204)


@router.get("/{conversation_id}/turns")
async def turns_of_conversation(
    principal: CurrentPrincipal,
    turns: CurrentTurns,
    conversation_id: ConversationId,
    status: TurnStatus | None = None,
    limit: Limit = LIMIT_DEFAULT,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
) -> Page[ListedTurn]:
    """The turns of a conversation in order: the queue, with `status=queued`."""
    last = 0 if after is None else int(decode_cursor(after, int, field="after")[0])
    found = await list_turns(
        turns.database, principal, conversation_id, status=status, after=last, limit=limit + 1
    )
    has_more, found = len(found) > limit, found[:limit]
    return Page(
        data=found,
        has_more=has_more,
        next_cursor=encode_cursor(found[-1].number) if has_more else None,
    )
