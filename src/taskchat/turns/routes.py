"""`POST /api/{user_id}/chat`, and the turns that come of it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, cast, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.datastructures import QueryParams

from taskchat.assistant.circumstances import Circumstances, read_circumstances
from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import (
    ConversationBusy,
    ConversationEnded,
    Detail,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    ServiceError,
)
from taskchat.limits.buckets import headers_of, tightest
from taskchat.principal import Principal
from taskchat.problems import REPLAYED_HEADER
from taskchat.requests import AcceptsJson, RequestId, body_schema, json_body
from taskchat.texts import uuid_of
from taskchat.turns.begin import NewMessage
from taskchat.turns.deps import TurnDeps
from taskchat.turns.outcome import answer_of
from taskchat.turns.reading import read_turn
from taskchat.turns.schemas import ChatAnswer, ChatRequest, MessageScope, TurnOut
from taskchat.turns.turn import AcceptedTurn, accept_turn, cancel_turn, ended_turn

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


async def request_circumstances(request: Request, deps: CurrentDeps) -> Circumstances:
    """What the headers say of the sender.

    Raises:
        InvalidRequest: no such manner of the offline model.
    """
    return read_circumstances(
        request.headers, QueryParams(), manner_allowed=deps.settings.offline_header
    )


RequestCircumstances = Annotated[Circumstances, Depends(request_circumstances)]


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


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """A message that was taken, and what its answer says of it besides.

    Attributes:
        accepted: The turn.
        headers: Rate limits, and whether the key was used before.
    """

    accepted: AcceptedTurn
    headers: dict[str, str]


async def message_scope(
    messages: Annotated[
        str,
        Query(
            description="Whether `messages` holds the conversation or this turn.",
            json_schema_extra={"enum": list(get_args(MessageScope))},
        ),
    ] = "all",
) -> MessageScope:
    """Which messages an answer shows. Asked before a message is taken, for then it is too late.

    Raises:
        InvalidRequest: something else.
    """
    if messages not in get_args(MessageScope):
        raise InvalidRequest(details=[Detail("messages", "must be all or turn")])
    return cast(MessageScope, messages)


Scope = Annotated[MessageScope, Depends(message_scope)]


def taken_by(channel: str) -> Callable[..., Awaitable[ChatTurn]]:
    """A dependency that takes the message of a request, so that its answer may be a stream."""

    async def take(
        principal: CurrentPrincipal,
        deps: CurrentDeps,
        request_id: RequestId,
        _scope: Scope,
        circumstances: RequestCircumstances,
        key: Annotated[str | None, Depends(idempotency_key)],
        body: Annotated[ChatRequest, Depends(json_body(ChatRequest))],
    ) -> ChatTurn:
        limit = deps.settings.message_chars_max
        if len(body.message) > limit:
            problem = f"must have at most {limit} characters"
            raise InvalidRequest(f"The message {problem}.", details=[Detail("message", problem)])
        message = NewMessage(
            content=body.message,
            conversation_id=body.conversation_id,
            channel=channel,
            idempotency_key=key,
            request_id=request_id,
            circumstances=circumstances,
        )
        try:
            accepted = await accept_turn(message, principal=principal, deps=deps)
        except (NotFound, ConversationBusy, ConversationEnded, IdempotencyMismatch) as error:
            error.headers = await _rate_headers(deps, principal, body.conversation_id, channel)
            raise
        if not accepted.replayed:
            return ChatTurn(accepted, headers_of(accepted.rate))
        conversation_id = accepted.turn.conversation_id
        headers = await _rate_headers(deps, principal, conversation_id, channel)
        return ChatTurn(accepted, {**headers, REPLAYED_HEADER: "true"})

    return take


async def _rate_headers(
    deps: TurnDeps, principal: Principal, conversation_id: UUID | None, channel: str
) -> dict[str, str]:
    """What is left of the limits, for an answer that costs nothing."""
    async with deps.database.transaction(principal) as connection:
        levels = await deps.limits.levels(
            connection, principal, conversation_id, channels=(channel,)
        )
    return headers_of(tightest(levels))


@router.post(
    "/chat",
    response_model=ChatAnswer,
    openapi_extra=body_schema(ChatRequest),
)
async def chat(
    deps: CurrentDeps,
    taken: Annotated[ChatTurn, Depends(taken_by("rest"))],
    messages: Scope,
) -> Response:
    """Say something, and get the assistant's answer with the tool calls that it made.

    With `Accept: text/event-stream` the answer is a stream of the turn's events.
    """
    try:
        ended = await ended_turn(taken.accepted, deps)
        answer = await answer_of(deps.database, ended, messages)
    except ServiceError as error:
        # The message is stored: whatever else is wrong, its sender can ask after it.
        turn = taken.accepted.turn
        error.conversation_id, error.turn_id = turn.conversation_id, turn.id
        error.headers, error.replayed = taken.headers, taken.accepted.replayed
        raise
    return Response(answer, headers=taken.headers, media_type="application/json")


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
