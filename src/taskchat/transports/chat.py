"""`POST /api/{user_id}/chat`: a message, answered with JSON or with a stream of events."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, cast, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.datastructures import QueryParams

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import (
    ConversationBusy,
    ConversationEnded,
    Detail,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    ServiceError,
    TooManyActive,
)
from taskchat.http.headers import REPLAYED_HEADER
from taskchat.http.requests import (
    RequestId,
    accept_of,
    body_schema,
    read_body,
    require_json_accepted,
)
from taskchat.limits.buckets import headers_of, tightest
from taskchat.principal import Channel, Principal
from taskchat.transports.dependencies import CurrentLive
from taskchat.transports.hints import read_circumstances
from taskchat.transports.intake import new_message
from taskchat.transports.sse import prefers_stream, stream
from taskchat.turns.deps import TurnDeps
from taskchat.turns.outcome import answer_of
from taskchat.turns.schemas import ChatAnswer, ChatRequest, MessageScope
from taskchat.turns.turn import AcceptedTurn, accept_turn, ended_turn

UNSPENT: Final = (
    NotFound,
    ConversationBusy,
    ConversationEnded,
    TooManyActive,
    IdempotencyMismatch,
)
"""Refusals that spend nothing of the rate limits, and tell what is left of them."""

_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
"""Printable ASCII, as the contract has it."""


async def wanted_channel(request: Request) -> Channel:
    """Whether to answer with a stream of events or with JSON.

    Raises:
        NotAcceptable: neither is accepted.
    """
    if prefers_stream(accept_of(request.scope)):
        return Channel.SSE
    await require_json_accepted(request)
    return Channel.REST


WantedChannel = Annotated[Channel, Depends(wanted_channel)]

router = APIRouter(
    prefix="/api/{user_id}", tags=["chat"], dependencies=[Authenticated, Depends(wanted_channel)]
)


def idempotency_key(request: Request) -> str | None:
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


async def message_scope(
    messages: Annotated[
        str,
        Query(
            description="Whether `messages` holds the conversation or this turn.",
            json_schema_extra={"enum": list(get_args(MessageScope))},
        ),
    ] = "all",
) -> MessageScope:
    """Which messages an answer shows. Checked before a message is taken: later would be too late.

    Raises:
        InvalidRequest: any other value.
    """
    if messages not in get_args(MessageScope):
        raise InvalidRequest(details=[Detail("messages", "must be all or turn")])
    return cast(MessageScope, messages)


Scope = Annotated[MessageScope, Depends(message_scope)]


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A message that was taken, and what its answer carries besides.

    Attributes:
        accepted: The turn that it became.
        headers: Rate limits, and whether the key was used before.
    """

    accepted: AcceptedTurn
    headers: dict[str, str]


async def take_message(
    request: Request,
    turns: TurnDeps,
    principal: Principal,
    channel: Channel,
    scope: MessageScope,
    request_id: str,
) -> TakenMessage:
    """Take the message of a request, before anything of its answer is sent.

    Raises:
        ServiceError: it can't be taken; nothing was stored, or the outcome is unknown.
    """
    circumstances = read_circumstances(
        request.headers, QueryParams(), manner_allowed=turns.settings.offline_header
    )
    key = idempotency_key(request)
    body = await read_body(ChatRequest, request)
    message = new_message(
        body.message,
        channel,
        settings=turns.settings,
        conversation_id=body.conversation_id,
        idempotency_key=key,
        request_id=request_id,
        circumstances=circumstances,
        shows_conversation=scope == "all" and not channel.streams,
    )
    try:
        accepted = await accept_turn(message, principal=principal, deps=turns)
    except UNSPENT as error:
        error.headers = await _rate_headers(turns, principal, body.conversation_id, channel)
        raise
    if not accepted.replayed:
        return TakenMessage(accepted, headers_of(accepted.rate))
    headers = await _rate_headers(turns, principal, accepted.turn.conversation_id, channel)
    return TakenMessage(accepted, {**headers, REPLAYED_HEADER: "true"})


async def _rate_headers(
    turns: TurnDeps, principal: Principal, conversation_id: UUID | None, channel: Channel
) -> dict[str, str]:
    """What is left of the limits, for an answer that spends nothing."""
    async with turns.database.transaction(principal) as connection:
        levels = await turns.limits.levels(
            connection, principal, conversation_id, channels=(channel,)
        )
    return headers_of(tightest(levels))


@router.post("/chat", response_model=ChatAnswer, openapi_extra=body_schema(ChatRequest))
async def chat(
    request: Request,
    principal: CurrentPrincipal,
    live: CurrentLive,
    channel: WantedChannel,
    request_id: RequestId,
    messages: Scope,
) -> Response:
    """Say something, and get the assistant's answer with the tool calls that it made.

    With `Accept: text/event-stream` the answer is a stream of the turn's events.
    """
    taken = await take_message(request, live.turns, principal, channel, messages, request_id)
    if channel.streams:
        return stream(
            live,
            taken.accepted.turn,
            after=0,
            is_over=taken.accepted.state is not None,
            request_id=request_id,
            headers=taken.headers,
        )
    try:
        ended = await ended_turn(taken.accepted, live.turns)
        answer = await answer_of(live.database, ended, messages)
    except ServiceError as error:
        # The message is stored: whatever else is wrong, its sender can ask for it later.
        turn = taken.accepted.turn
        error.conversation_id, error.turn_id = turn.conversation_id, turn.id
        error.headers, error.replayed = taken.headers, taken.accepted.replayed
        raise
    return Response(answer, headers=taken.headers, media_type="application/json")
