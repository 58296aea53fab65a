"""`GET /api/{user_id}/turns/{turn_id}/events`: what happens in a turn, as a stream."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import NotAcceptable, NotFound
from taskchat.http.requests import RequestId, accept_of, quality
from taskchat.transports.dependencies import CurrentLive, TurnId
from taskchat.transports.sse import EVENT_STREAM, last_event_id, stream
from taskchat.turns import store

router = APIRouter(prefix="/api/{user_id}", tags=["chat"], dependencies=[Authenticated])

EVENTS_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The turn's events, each with its `seq` as `id` and its `type` as `event`."
    },
    204: {"description": "The turn is over, and Last-Event-ID was its last event."},
}


async def require_stream_accepted(request: Request) -> None:
    """Refuse a request that does not accept an event stream.

    Raises:
        NotAcceptable: it does not accept one.
    """
    if not quality(accept_of(request.scope), EVENT_STREAM):
        raise NotAcceptable(f"This address answers {EVENT_STREAM}; accept that.")


@router.get(
    "/turns/{turn_id}/events",
    responses=EVENTS_ANSWER,
    response_class=Response,
    dependencies=[Depends(require_stream_accepted)],
)
async def turn_events(
    principal: CurrentPrincipal,
    live: CurrentLive,
    request_id: RequestId,
    turn_id: TurnId,
    after: Annotated[int, Depends(last_event_id)],
) -> Response:
    """What happens in a turn, from its beginning or from behind `Last-Event-ID`, to its end."""
    async with live.database.transaction(principal) as connection:
        found = await store.events.find_turn(connection, principal, turn_id)
    if found is None:
        raise NotFound(f"No turn {turn_id}.")
    turn, row = found
    if row.finished_at is not None and after >= store.events.last_of(turn, row).seq:
        # To an event source this means: don't connect again.
        return Response(status_code=204)
    return stream(
        live,
        turn,
        after=after,
        is_over=row.finished_at is not None,
        request_id=request_id,
        headers={},
    )
