"""`/api/{user_id}/ui/chat`: what `useChat` needs: saying something, history, resuming, stopping."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import astuple
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.conversations.messages import END, Place
from taskchat.errors import Detail, InvalidRequest, NotFound, TurnNotCancellable
from taskchat.external_ids.ids import ChosenIds, ExternalId, external_id, plain_id
from taskchat.external_ids.repository import find_conversation
from taskchat.http.ids import PlainUUID
from taskchat.http.pages import LIMIT_MAX, Page, decode_cursor, encode_cursor
from taskchat.http.requests import AcceptsJson, RequestId, body_schema, read_body
from taskchat.postgres.database import Database
from taskchat.principal import Channel, Principal
from taskchat.transports.answering import CurrentCircumstances, CurrentKey, take
from taskchat.transports.dependencies import CurrentLive, LiveDeps
from taskchat.transports.events import require_stream_accepted
from taskchat.transports.intake import new_message
from taskchat.transports.sse import stream_content
from taskchat.transports.ui.answers import answer
from taskchat.transports.ui.history import PROTOCOL, read_messages
from taskchat.transports.ui.schemas import SendRequest, SentMessage, UIMessage
from taskchat.transports.ui.stream import turn_lines, ui_stream
from taskchat.turns import store
from taskchat.turns.schemas import MessageText
from taskchat.turns.states import TurnRef
from taskchat.turns.turn import cancel_turn
from taskchat.turns.versions import Original, find_original

router = APIRouter(prefix="/api/{user_id}/ui/chat", tags=["AI SDK"], dependencies=[Authenticated])

UI_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Chunks of a UI message stream, version 1.",
        "content": stream_content("`data` is the JSON of a chunk, the last is `[DONE]`."),
    }
}

STREAMED: Final = [Depends(require_stream_accepted)]

_TEXT: Final[TypeAdapter[str]] = TypeAdapter(MessageText)
_CHAT_ID: Final[TypeAdapter[str]] = TypeAdapter(ExternalId)


async def chat_id(chat_id: Annotated[str, Path(description="As in POST.")]) -> str:
    """What a client calls a chat.

    Raises:
        NotFound: nothing can have such an id.
    """
    try:
        return _CHAT_ID.validate_python(chat_id)
    except ValidationError:
        raise NotFound("No such chat.") from None


ChatId = Annotated[str, Depends(chat_id)]


@router.post(
    "",
    responses=UI_STREAM,
    response_class=Response,
    openapi_extra=body_schema(SendRequest),
    dependencies=STREAMED,
)
async def send(
    request: Request,
    principal: CurrentPrincipal,
    live: CurrentLive,
    circumstances: CurrentCircumstances,
    key: CurrentKey,
    request_id: RequestId,
) -> Response:
    """Say something, say it in other words, ask for another reply, or answer what the agent asks.

    Which of these it is, the message says that is read: the user's, or the assistant's with
    decisions on its calls. A message that was taken before is told again.
    """
    body = await read_body(SendRequest, request)
    said = body.said
    if not isinstance(said, SentMessage):
        found = await _found(live.database, principal, body.id)
        turn, after = await answer(
            said, found, principal=principal, live=live, request_id=request_id
        )
        return ui_stream(turn_lines(live, turn, after=after))
    conversation_id, chosen = await _named(live.database, principal, body.id, said.id)
    original = None
    if body.trigger == "regenerate-message" or body.message_id == said.id:
        original = await _original(
            live.database,
            principal,
            conversation_id,
            said.id,
            is_edited=body.trigger != "regenerate-message",
        )
    if original is not None:
        chosen = ChosenIds(PROTOCOL, chosen.conversation)
    message = new_message(
        _text(said),
        Channel.SSE,
        settings=live.settings,
        conversation_id=conversation_id,
        idempotency_key=key,
        request_id=request_id,
        circumstances=circumstances,
        version_of=original.first_version if original else None,
        chosen=chosen,
    )
    accepted, headers = await take(message, live=live, principal=principal)
    over = accepted.state is not None and accepted.state.is_over
    return ui_stream(turn_lines(live, accepted.turn, is_over=over), headers)


def _text(said: SentMessage) -> str:
    try:
        return _TEXT.validate_python(said.text)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"]
        problem = problem[:1].lower() + problem[1:]
        raise InvalidRequest(details=[Detail("messages", problem)]) from None


async def _found(database: Database, principal: Principal, chat: str) -> UUID | None:
    async with database.transaction(principal) as connection:
        return await find_conversation(connection, principal, PROTOCOL, chat)


async def _named(
    database: Database, principal: Principal, chat: str, message: str
) -> tuple[UUID, ChosenIds]:
    """The conversation of a chat, whether it is there or not, and what is chosen of the ids."""
    own = plain_id(chat)
    # Only a text that looks like an id of ours may be one.
    if own is not None and await _found(database, principal, chat) == own:
        return own, ChosenIds(PROTOCOL, message=message)
    return external_id(principal, PROTOCOL, chat), ChosenIds(PROTOCOL, chat, message)


async def _original(
    database: Database,
    principal: Principal,
    conversation_id: UUID,
    message: str,
    *,
    is_edited: bool,
) -> Original | None:
    """The message of that name; None if it never came here, whatever its client believes."""
    ids = [external_id(principal, PROTOCOL, message, within=conversation_id), plain_id(message)]
    for id_ in ids:
        if id_ is not None:
            with contextlib.suppress(NotFound):
                found = await find_original(database, principal, id_, is_edited=is_edited)
                if found.conversation_id == conversation_id:
                    return found
    return None


@router.get(
    "/{chat_id}/stream",
    responses={**UI_STREAM, 204: {"description": "Nothing runs."}},
    response_class=Response,
    dependencies=STREAMED,
)
async def resume(
    principal: CurrentPrincipal,
    live: CurrentLive,
    chat_id: ChatId,
    turn_id: Annotated[
        PlainUUID | None,
        Query(
            description="A turn that was not over when the messages were read: it and those behind "
            "it are told also if they are by now."
        ),
    ] = None,
) -> Response:
    """What runs in a chat, from its beginning, and then what waits behind it."""
    database = live.database
    async with database.transaction(principal) as connection:
        conversation_id = await find_conversation(connection, principal, PROTOCOL, chat_id)
        if conversation_id is None:
            return Response(status_code=204)
        first = _unless_asked(
            await store.find.first_unfinished(connection, principal, conversation_id)
        )
        if turn_id is not None:
            known = await store.find.by_id(connection, principal, turn_id)
            if known is not None and known.turn.conversation_id == conversation_id:
                first = known.turn
    if first is None:
        return Response(status_code=204)
    return ui_stream(_from(live, first))


def _unless_asked(found: tuple[TurnRef, str] | None) -> TurnRef | None:
    """A turn, but if it waits for the user, and with it all behind it."""
    if found is None or found[1] == "awaiting_feedback":
        return None
    return found[0]


async def _from(live: LiveDeps, turn: TurnRef) -> AsyncGenerator[bytes, None]:
    """A turn and those that wait behind it, one after another."""
    following: TurnRef | None = turn
    while following is not None:
        turn = following
        async with contextlib.aclosing(turn_lines(live, turn)) as lines:
            async for line in lines:
                yield line
        async with live.database.transaction(turn.principal) as connection:
            following = _unless_asked(await store.find.next_after(connection, turn))


@router.get("/{chat_id}/messages", dependencies=[AcceptsJson])
async def messages(
    principal: CurrentPrincipal,
    live: CurrentLive,
    chat_id: ChatId,
    before: Annotated[
        str | None, Query(description="next_cursor of the page before: older messages.")
    ] = None,
) -> Page[UIMessage]:
    """What was said in a chat, for `useChat`'s `messages`: the newest, in order, in whole turns."""
    place = END
    if before is not None:
        turn, position, unanswered = decode_cursor(before, int, int, int, field="before")
        place = Place(int(turn), int(position), int(unanswered))
    async with live.database.transaction(principal) as connection:
        conversation_id = await find_conversation(connection, principal, PROTOCOL, chat_id)
        if conversation_id is None:
            raise _no_chat()
        shown, older = await read_messages(
            connection,
            principal,
            conversation_id,
            before=place,
            # Room for one whole turn at least.
            limit=max(LIMIT_MAX, live.settings.steering_max + 3),
        )
    return Page(
        data=shown,
        has_more=older is not None,
        next_cursor=encode_cursor(*astuple(older)) if older else None,
    )


@router.post("/{chat_id}/stop", status_code=204, dependencies=[AcceptsJson])
async def stop(
    principal: CurrentPrincipal, live: CurrentLive, chat_id: ChatId, request_id: RequestId
) -> Response:
    """Stop what runs in a chat, or waits for its user. What was done stays on record.

    `useChat`'s own `stop` only stops reading. If nothing runs any more, nothing is stopped.
    """
    async with live.database.transaction(principal) as connection:
        conversation_id = await find_conversation(connection, principal, PROTOCOL, chat_id)
        if conversation_id is None:
            raise _no_chat()
        found = await store.find.first_unfinished(connection, principal, conversation_id)
    if found is not None:
        with contextlib.suppress(TurnNotCancellable):
            await cancel_turn(
                found[0].id, principal=principal, deps=live.turns, request_id=request_id
            )
    return Response(status_code=204)


def _no_chat() -> NotFound:
    return NotFound("No such chat. The first message begins one.")
