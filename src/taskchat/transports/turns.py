"""Turns that are known by their id: how far they are, telling them more, and stopping them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from taskchat.assistant.circumstances import Circumstances
from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.http.headers import REPLAYED_HEADER
from taskchat.http.requests import AcceptsJson, RequestId, body_schema, json_body
from taskchat.limits.buckets import headers_of
from taskchat.principal import Channel
from taskchat.transports.answering import idempotency_key
from taskchat.transports.dependencies import CurrentTurns, TurnId
from taskchat.transports.intake import new_message
from taskchat.turns.reading import read_turn
from taskchat.turns.schemas import SteerAnswer, SteerRequest, TurnOut
from taskchat.turns.steering import conversation_of, steer_turn
from taskchat.turns.turn import cancel_turn

router = APIRouter(
    prefix="/api/{user_id}", tags=["chat"], dependencies=[Authenticated, AcceptsJson]
)


@router.get("/turns/{turn_id}")
async def turn(principal: CurrentPrincipal, turns: CurrentTurns, turn_id: TurnId) -> TurnOut:
    """How far a turn is, and what it did."""
    return await read_turn(turns.database, principal, turn_id)


@router.post("/turns/{turn_id}/cancel")
async def cancel(
    principal: CurrentPrincipal, turns: CurrentTurns, turn_id: TurnId, request_id: RequestId
) -> TurnOut:
    """Stop a turn. What was done stays on record."""
    await cancel_turn(turn_id, principal=principal, deps=turns, request_id=request_id)
    return await read_turn(turns.database, principal, turn_id)


@router.post("/turns/{turn_id}/messages", openapi_extra=body_schema(SteerRequest))
async def steer(
    principal: CurrentPrincipal,
    turns: CurrentTurns,
    turn_id: TurnId,
    request_id: RequestId,
    key: Annotated[str | None, Depends(idempotency_key)],
    body: Annotated[SteerRequest, Depends(json_body(SteerRequest))],
    response: Response,
) -> SteerAnswer:
    """Say something to a turn while it is unfinished: its next model call knows it.

    It is answered as soon as that is stored. If the turn ends before it reads it, the reply was no
    reply yet, and the turn goes on; if it has ended already, the message begins a turn of its own.
    """
    message = new_message(
        body.message,
        Channel.REST,
        settings=turns.settings,
        conversation_id=await conversation_of(turn_id, principal, turns),
        idempotency_key=key,
        request_id=request_id,
        circumstances=Circumstances(),
    )
    done = await steer_turn(turn_id, message, principal=principal, deps=turns)
    response.headers.update(headers_of(done.rate))
    if done.replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return SteerAnswer(
        steered=done.steered,
        turn_id=done.turn_id,
        message_id=done.message_id,
        conversation_id=done.conversation_id,
    )
