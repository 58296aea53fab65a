"""Another reply to a message, or another wording of it: answered as a new message is."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from taskchat.http.ids import path_id
from taskchat.http.requests import body_schema, read_body
from taskchat.transports.answering import SPEAKING, CurrentExchange
from taskchat.turns.schemas import EditRequest, VersionAnswer
from taskchat.turns.versions import find_original

router = APIRouter(
    prefix="/api/{user_id}/messages/{message_id}", tags=["chat"], dependencies=SPEAKING
)


MessageId = Annotated[UUID, path_id("message_id", "message")]


@router.post("/regenerate", response_model=VersionAnswer)
async def regenerate(exchange: CurrentExchange, message_id: MessageId) -> Response:
    """Get another reply, to a message or in place of a reply. Both stay, each on its own branch.

    Nothing that was done to tasks is undone. With `Accept: text/event-stream` the answer is a
    stream of the turn's events.
    """
    found = await find_original(
        exchange.live.database, exchange.principal, message_id, is_edited=False
    )
    return await exchange.answer(
        found.content, found.conversation_id, version_of=found.first_version
    )


@router.put("", response_model=VersionAnswer, openapi_extra=body_schema(EditRequest))
async def edit(request: Request, exchange: CurrentExchange, message_id: MessageId) -> Response:
    """Say an earlier message in other words. Both wordings stay, each on its own branch.

    Nothing that was done to tasks is undone. With `Accept: text/event-stream` the answer is a
    stream of the turn's events.
    """
    body = await read_body(EditRequest, request)
    found = await find_original(
        exchange.live.database, exchange.principal, message_id, is_edited=True
    )
    return await exchange.answer(
        body.message, found.conversation_id, version_of=found.first_version
    )
