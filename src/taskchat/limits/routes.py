"""Reading the rate limits."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import Detail, InvalidRequest
from taskchat.http.dependencies import CurrentDatabase, given
from taskchat.http.requests import AcceptsJson
from taskchat.limits.buckets import RateLimits
from taskchat.limits.schemas import LimitsOut, shown
from taskchat.texts import uuid_of

router = APIRouter(
    prefix="/api/{user_id}/limits", tags=["limits"], dependencies=[Authenticated, AcceptsJson]
)


@router.get("")
async def read_limits(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    limits: Annotated[RateLimits, Depends(given(RateLimits))],
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
