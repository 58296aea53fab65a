"""Reading the rate limits."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.http.dependencies import CurrentDatabase, given
from taskchat.http.ids import PlainUUID
from taskchat.http.requests import AcceptsJson
from taskchat.limits.buckets import RateLimits
from taskchat.limits.schemas import LimitsOut, shown

router = APIRouter(
    prefix="/api/{user_id}/limits", tags=["limits"], dependencies=[Authenticated, AcceptsJson]
)


@router.get("")
async def read_limits(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    limits: Annotated[RateLimits, Depends(given(RateLimits))],
    conversation_id: Annotated[
        PlainUUID | None, Query(description="Tells what is left in this conversation, too.")
    ] = None,
) -> LimitsOut:
    """What is left of each rate limit. Asking costs nothing."""
    async with database.transaction(principal) as connection:
        levels = await limits.levels(connection, principal, conversation_id, with_calls=True)
    return LimitsOut(limits=[shown(level) for level in levels])
