"""Reading conversations and what was said in them."""

from dataclasses import astuple
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.conversations import repository
from taskchat.conversations.messages import (
    BEGINNING,
    END,
    Place,
    messages_after,
    messages_before,
)
from taskchat.conversations.schemas import (
    Archived,
    ConversationOut,
    ConversationStatus,
    ListedMessage,
)
from taskchat.conversations.service import find_branch, no_conversation
from taskchat.http.dependencies import CurrentDatabase
from taskchat.http.ids import PlainUUID, path_id
from taskchat.http.pages import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    Page,
    decode_moment,
    encode_cursor,
    encode_moment,
)
from taskchat.http.requests import AcceptsJson
from taskchat.http.windows import CurrentWindow
from taskchat.postgres.database import Connection
from taskchat.principal import Principal

router = APIRouter(
    prefix="/api/{user_id}/conversations",
    tags=["conversations"],
    dependencies=[Authenticated, AcceptsJson],
)


ConversationId = Annotated[UUID, path_id("conversation_id", "conversation")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]


@router.get("")
async def list_conversations(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    limit: Limit = LIMIT_DEFAULT,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
    status: ConversationStatus | None = None,
    archived: Annotated[
        Archived, Query(description="Whether those that are archived are listed instead, or too.")
    ] = "false",
) -> Page[ConversationOut]:
    """The user's conversations, the one with the newest activity first."""
    place = None
    if after is not None:
        place = decode_moment(after, field="after")
    async with database.transaction(principal) as connection:
        found = list(
            await repository.list_conversations(
                connection,
                principal,
                limit=limit + 1,
                after=place,
                status=status,
                archived=None if archived == "all" else archived == "true",
            )
        )
    has_more, found = len(found) > limit, found[:limit]
    cursor = None
    if has_more:
        cursor = encode_moment(found[-1].updated_at, found[-1].id)
    return Page(data=found, has_more=has_more, next_cursor=cursor)


@router.get("/{conversation_id}")
async def read_conversation(
    principal: CurrentPrincipal, database: CurrentDatabase, conversation_id: ConversationId
) -> ConversationOut:
    """One conversation."""
    async with database.transaction(principal) as connection:
        return await _owned(connection, principal, conversation_id)


@router.get("/{conversation_id}/messages")
async def list_messages(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    conversation_id: ConversationId,
    window: CurrentWindow,
    limit: Limit = LIMIT_DEFAULT,
    branch: Annotated[
        PlainUUID | None,
        Query(
            description="A turn: the branch that holds it, up to its newest turn, instead of the "
            "one that the conversation shows."
        ),
    ] = None,
) -> Page[ListedMessage]:
    """What was said on one branch, in order, with the tool calls.

    From the beginning, or from behind `after`; with `before`, the page that ends there, and with
    `before=end` the newest. Of a page that was asked for by `before`, `next_cursor` goes on in that
    direction.
    """
    found = window.place(3)
    place = Place(*found) if found else END if window.backwards else BEGINNING
    read = messages_before if window.backwards else messages_after
    async with database.transaction(principal) as connection:
        await _owned(connection, principal, conversation_id)
        if branch is None:
            numbers = await repository.branch_with(connection, principal, conversation_id, None)
        else:
            numbers = await find_branch(connection, principal, conversation_id, branch)
        shown, further = await read(
            connection, principal, conversation_id, place, branch=numbers, limit=limit
        )
    return Page(
        data=shown,
        has_more=further is not None,
        next_cursor=encode_cursor(*astuple(further)) if further else None,
    )


async def _owned(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> ConversationOut:
    conversation = await repository.find_conversation(connection, principal, conversation_id)
    if conversation is None:
        raise no_conversation(conversation_id)
    return conversation
