"""`POST /api/{user_id}/chat`, and the turns that come of it."""

import re
from typing import Annotated, Final, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import Detail, InvalidRequest, NotFound, ServiceError
from taskchat.problems import REPLAYED_HEADER
from taskchat.requests import AcceptsJson, RequestId, body_schema, json_body
from taskchat.texts import uuid_of
from taskchat.turns.begin import NewMessage
from taskchat.turns.deps import TurnDeps
from taskchat.turns.outcome import answer_of
from taskchat.turns.reading import read_turn
from taskchat.turns.schemas import ChatAnswer, ChatRequest, MessageScope, TurnOut
from taskchat.turns.turn import cancel_turn, take_turn

router = APIRouter(
    prefix="/api/{user_id}", tags=["chat"], dependencies=[Authenticated, AcceptsJson]
)

_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
"""Printable ASCII, as the contract has it."""


async def current_deps(request: Request) -> TurnDeps:
    """What a turn needs."""
    return cast(TurnDeps, request.app.state.turns)


CurrentDeps = Annotated[TurnDeps, Depends(current_deps)]


async def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key header.

    Raises:
        InvalidRequest: several, empty, too long, or not printable ASCII.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        problem = "must be one value of 1 to 255 printable ASCII characters"
        raise InvalidRequest(
            f"The Idempotency-Key header {problem}.",
            details=[Detail("header.Idempotency-Key", problem)],
        )
    return keys[0]


async def path_turn_id(turn_id: str) -> UUID:
    """The id in a path, in the one spelling that it has.

    Raises:
        NotFound: nothing that a turn could be called.
    """
    parsed = uuid_of(turn_id)
    if parsed is None:
        raise NotFound("No such turn.")
    return parsed


TurnId = Annotated[UUID, Depends(path_turn_id)]


@router.post("/chat", response_model=ChatAnswer, openapi_extra=body_schema(ChatRequest))
async def chat(
    principal: CurrentPrincipal,
    deps: CurrentDeps,
    request_id: RequestId,
    key: Annotated[str | None, Depends(idempotency_key)],
    body: Annotated[ChatRequest, Depends(json_body(ChatRequest))],
    messages: Annotated[
        MessageScope, Query(description="Whether `messages` holds the conversation or this turn.")
    ] = "all",
) -> Response:
    """Say something, and get the assistant's answer with the tool calls that it made."""
    limit = deps.settings.message_chars_max
    if len(body.message) > limit:
        problem = f"must have at most {limit} characters"
        raise InvalidRequest(f"The message {problem}.", details=[Detail("message", problem)])
    ended = await take_turn(
        NewMessage(
            content=body.message,
            conversation_id=body.conversation_id,
            channel="rest",
            idempotency_key=key,
            request_id=request_id,
        ),
        principal=principal,
        deps=deps,
    )
    try:
        answer = await answer_of(deps.database, ended.state, messages)
    except ServiceError as error:
        error.replayed = ended.replayed
        raise
    headers = {REPLAYED_HEADER: "true"} if ended.replayed else {}
    return Response(answer, headers=headers, media_type="application/json")


@router.get("/turns/{turn_id}")
async def turn(principal: CurrentPrincipal, deps: CurrentDeps, turn_id: TurnId) -> TurnOut:
    """How far a turn is, and what it did."""
    return await read_turn(deps.database, principal, turn_id)


@router.post("/turns/{turn_id}/cancel")
async def cancel(
    principal: CurrentPrincipal, deps: CurrentDeps, turn_id: TurnId, request_id: RequestId
) -> TurnOut:
    """Stop a turn. What was done stays on record."""
    await cancel_turn(turn_id, principal=principal, deps=deps, request_id=request_id)
    return await read_turn(deps.database, principal, turn_id)
