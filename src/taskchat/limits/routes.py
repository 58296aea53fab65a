"""Reading the rate limits."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.dependencies import CurrentDatabase
from taskchat.errors import Detail, InvalidRequest
from taskchat.limits.buckets import RateLimits
from taskchat.limits.schemas import LimitsOut, shown
from taskchat.requests import AcceptsJson
from taskchat.texts import uuid_of

router = APIRouter(
    prefix="/api/{user_id}/limits", tags=["limits"], dependencies=[Authenticated, AcceptsJson]
)


async def current_limits(request: Request) -> RateLimits:
    """The service's limits."""
    return cast(RateLimits, request.app.state.limits)


@router.get("")
async def read_limits(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    limits: Annotated[RateLimits, Depends(current_limits)],
    conversation_id: Annotated[
        str | None, Query(description="Tells what is left in this conversation, too.")
    ] = None,
) -> LimitsOut:
    """What is left of each rate limit. Asking costs nothing."""
    conversation = None
    if conversation_id is not None:
        conversation = uuid_of(conversation_id)
        if conversation is None:
            raise InvalidRequest(details=[Detail("conversation_id", "must be a UUID")])
    async with database.transaction(principal) as connection:
        levels = await limits.levels(connection, principal, conversation)
    return LimitsOut(limits=[shown(level) for level in levels])
