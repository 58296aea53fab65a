"""Event streams of turns: of one that is just beginning, and of one that is known."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import NotAcceptable, NotFound
from taskchat.live.deps import LiveDeps
from taskchat.live.sse import EVENT_STREAM, last_event_id, prefers_stream, stream
from taskchat.requests import RequestId, accept_of, quality
from taskchat.turns import event_rows
from taskchat.turns.routes import ChatTurn, TurnId, taken_by


class EventStreamRoute(APIRoute):
    """A route for those who want events where another answers with JSON."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Also asks what is accepted."""
        match, child = super().matches(scope)
        if match is not Match.NONE and not prefers_stream(accept_of(scope)):
            return Match.NONE, {}
        return match, child


streamed = APIRouter(
    prefix="/api/{user_id}",
    tags=["chat"],
    dependencies=[Authenticated],
    route_class=EventStreamRoute,
)
"""In front of the routes that answer with JSON."""

router = APIRouter(prefix="/api/{user_id}", tags=["chat"], dependencies=[Authenticated])

EVENTS_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The turn's events, each with its `seq` as `id` and its `type` as `event`."
    },
    204: {"description": "The turn is over, and Last-Event-ID was its last event."},
}


async def current_live(request: Request) -> LiveDeps:
    """What streams need."""
    return cast(LiveDeps, request.app.state.live)


CurrentLive = Annotated[LiveDeps, Depends(current_live)]


@streamed.post("/chat", include_in_schema=False)
async def chat_stream(
    live: CurrentLive,
    request_id: RequestId,
    taken: Annotated[ChatTurn, Depends(taken_by("sse"))],
) -> Response:
    """Say something, and follow what comes of it."""
    return stream(
        live,
        taken.accepted.turn,
        after=0,
        is_over=taken.accepted.state is not None,
        request_id=request_id,
        headers=taken.headers,
    )


async def require_stream_accepted(request: Request) -> None:
    """Refuse a request that takes no event stream.

    Raises:
        NotAcceptable: it does not.
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
        found = await event_rows.find_turn(connection, principal, turn_id)
    if found is None:
        raise NotFound(f"No turn {turn_id}.")
    turn, row = found
    if row.finished_at is not None and after >= event_rows.last_of(turn, row).seq:
        # What an event source understands as: don't connect again.
        return Response(status_code=204)
    return stream(
        live,
        turn,
        after=after,
        is_over=row.finished_at is not None,
        request_id=request_id,
        headers={},
    )
