"""Turns that are known by their id: how far they are, and stopping them."""

from fastapi import APIRouter

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.http.requests import AcceptsJson, RequestId
from taskchat.transports.dependencies import CurrentTurns, TurnId
from taskchat.turns.reading import read_turn
from taskchat.turns.schemas import TurnOut
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
