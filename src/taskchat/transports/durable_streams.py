"""`GET …/turns/{turn_id}/stream`: a turn's events as Durable Streams clients read them.

One stream a turn, of JSON, written by the turn alone and closed with it. An offset is the `seq` of
the last event that the client has, with zeros in front, so that offsets sort as they follow.

Source: the Durable Streams protocol, sections 5.5 to 5.8, 6 and 8.
"""

import contextlib
import random
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, cast, get_args

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT
from pydantic_core import to_json

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import (
    Detail,
    InvalidRequest,
    NotAcceptable,
    NotFound,
    ShuttingDown,
)
from taskchat.http.headers import NONE_MATCH_HEADER
from taskchat.http.requests import HEAD_KEY, JSON, accept_of, quality
from taskchat.live.reader import read_after
from taskchat.moments import utc_now
from taskchat.transports.dependencies import CurrentLive, LiveDeps, TurnId
from taskchat.transports.reading import turn_events
from taskchat.transports.sse import EVENT_STREAM, streamed
from taskchat.transports.sse import HEADERS as SSE_HEADERS
from taskchat.turns import store
from taskchat.turns.events import TERMINAL, StoredEvent
from taskchat.turns.states import TurnRef

router = APIRouter(prefix="/api/{user_id}", tags=["chat"], dependencies=[Authenticated])

BEGINNING: Final = "-1"
END: Final = "now"
"""What a client says that has no offset yet; none of ours looks like them."""

Live = Literal["long-poll", "sse"]

EPOCH: Final = datetime(2024, 10, 9, tzinfo=UTC)
INTERVAL_S: Final = 20
JITTER_S: Final = 3600
"""How cursors are counted, and how far one may run ahead: as the protocol has it by default."""

PRIVATE: Final = {"Cross-Origin-Resource-Policy": "same-origin"}
REVALIDATED: Final = {"Cache-Control": "private, no-cache"}
"""One's own browser may keep what it read, and asks each time whether it still may show it."""

_OFFSET: Final = re.compile(r"[0-9]{12}")
_CURSOR: Final = re.compile(r"[0-9]{1,15}")

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The events behind the offset, as many as are read at once."},
    204: {"description": "Of `live=long-poll`: there is none, or none came in time."},
    304: {"description": "The client has this answer already, as If-None-Match says."},
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a request reads.

    Attributes:
        after: The number of the last event that the client has; None if it wants only new ones.
        live: How it waits for more; None if it doesn't.
        cursor: The number that it sent back; 0 if it sent none.
    """

    after: int | None
    live: Live | None
    cursor: int


async def reading(
    request: Request,
    offset: Annotated[
        str | None,
        Query(
            description="`Stream-Next-Offset` of the answer before; `-1` is the beginning, `now` "
            "the end. Must be there if `live` is."
        ),
    ] = None,
    live: Annotated[
        str | None,
        Query(
            description="How to wait for more events.",
            json_schema_extra={"enum": list(get_args(Live))},
        ),
    ] = None,
    cursor: Annotated[
        str | None, Query(description="`Stream-Cursor` of the answer before.")
    ] = None,
) -> Reading:
    """What the query asks for. Names that the protocol does not know are passed over.

    Raises:
        InvalidRequest: no stream ever gave such an offset, or there is no such way to wait.
        NotAcceptable: the answer would have a form that is not accepted.
    """
    if live is not None and live not in get_args(Live):
        raise InvalidRequest(details=[Detail("live", "must be long-poll or sse")])
    form = EVENT_STREAM if live == "sse" else JSON
    if not quality(accept_of(request.scope), form):
        raise NotAcceptable(f"This address answers {form}; accept that.")
    if len(request.query_params.getlist("offset")) > 1:
        raise InvalidRequest(details=[Detail("offset", "must be one value")])
    if offset is None and live is not None:
        raise InvalidRequest(details=[Detail("offset", "must be there if live is")])
    known = cursor is not None and _CURSOR.fullmatch(cursor)
    return Reading(_after(offset), cast(Live | None, live), int(cursor or 0) if known else 0)


def _after(offset: str | None) -> int | None:
    if offset in (None, BEGINNING):
        return 0
    if offset == END:
        return None
    if not _OFFSET.fullmatch(offset or ""):
        raise _no_such_offset()
    return int(offset or 0)


def _no_such_offset() -> InvalidRequest:
    return InvalidRequest(details=[Detail("offset", "must be an offset of this stream, -1 or now")])


def offset_of(seq: int) -> str:
    """The offset of a client that has the event of this number, and all before it."""
    return f"{seq:012}"


def next_cursor(given: int) -> str:
    """The number of this interval; beyond the client's, lest a cache answer it for ever."""
    now = int((utc_now() - EPOCH).total_seconds()) // INTERVAL_S
    if given >= now:
        return str(given + max(1, random.randint(1, JITTER_S) // INTERVAL_S))  # noqa: S311 - no secret
    return str(now)


@router.get(
    "/turns/{turn_id}/stream",
    responses=ANSWERS,
    response_class=Response,
)
async def turn_stream(
    request: Request,
    principal: CurrentPrincipal,
    live: CurrentLive,
    asked: Annotated[Reading, Depends(reading)],
    turn_id: TurnId,
) -> Response:
    """What happens in a turn, for Durable Streams clients: from any place on, live or not.

    HEAD answers with the end of the stream, and whether it is closed.
    """
    async with live.database.transaction(principal) as connection:
        found = await store.events.find_turn(connection, principal, turn_id)
        if found is None:
            raise NotFound(f"No turn {turn_id}.")
        turn, row = found
        # It may end between the two.
        end, last_type = await store.events.last_event(connection, turn)
    is_over = row.finished_at is not None or last_type in TERMINAL
    if row.finished_at is not None:
        # The events of a turn may be forgotten by now, and its end never is.
        end = store.events.last_of(turn, row).seq
    after = end if asked.after is None else asked.after
    if after > end:
        raise _no_such_offset()
    if request.scope.get(HEAD_KEY):
        return Response(headers=_headers(end, True, is_over), media_type=JSON)
    events: Sequence[StoredEvent] = ()
    if asked.after is not None or asked.live is not None:
        events = await read_after(live.database, turn, after)
    batch = await _batch(live, turn, after, events, is_over=is_over and after == end)
    if asked.live == "sse":
        return streamed(
            _lines(live, batch, asked.cursor),
            # As a header, it is not told its charset: the protocol has it bare.
            {**PRIVATE, **SSE_HEADERS, "Content-Type": EVENT_STREAM},
            # Its reader connects again, and is answered why if it can't be.
            why=lambda _error: b"",
        )
    if asked.live == "long-poll":
        return await _long_polled(request, live, batch, asked.cursor)
    headers = batch.headers()
    if asked.after is None:
        # Where the end is changes: this answer is of no use later.
        return Response(b"[]", headers=headers, media_type=JSON)
    return _answered(request, batch, headers)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that are answered at once.

    Attributes:
        turn: Their turn.
        after: The number of the event before them.
        events: In order; may be none.
        is_all: Whether there were no more of them at that time.
        is_closed: Whether there never will be.
    """

    turn: TurnRef
    after: int
    events: Sequence[StoredEvent]
    is_all: bool
    is_closed: bool

    @property
    def end(self) -> int:
        """The number of the last event; of the one before, if it is empty."""
        return self.events[-1].seq if self.events else self.after

    @property
    def json(self) -> str:
        """The events as a JSON array."""
        return f"[{','.join(event.data for event in self.events)}]"

    @property
    def etag(self) -> str:
        """Names the answer: an open stream's end is not that of the closed one."""
        closed = ":closed" if self.is_closed else ""
        return f'"{self.turn.id}:{offset_of(self.after)}:{offset_of(self.end)}{closed}"'

    def headers(self) -> dict[str, str]:
        """What is said of them."""
        return _headers(self.end, self.is_all, self.is_closed)


def _headers(end: int, is_all: bool, is_closed: bool) -> dict[str, str]:
    headers = {**PRIVATE, "Stream-Next-Offset": offset_of(end)}
    if is_all:
        headers["Stream-Up-To-Date"] = "true"
    if is_closed:
        headers["Stream-Closed"] = "true"
    return headers


async def _batch(
    live: LiveDeps,
    turn: TurnRef,
    after: int,
    events: Sequence[StoredEvent],
    *,
    is_over: bool = False,
) -> Batch:
    """Events that were read or heard, and whether there are more."""
    is_closed = events[-1].ends_turn if events else is_over
    is_all = is_closed or len(events) < store.events.EVENTS_MAX
    if not is_all:
        is_all = not await read_after(live.database, turn, events[-1].seq)
    return Batch(turn, after, events, is_all, is_closed)


def _answered(request: Request, batch: Batch, headers: dict[str, str]) -> Response:
    headers = {**headers, **REVALIDATED, "ETag": batch.etag}
    known = request.headers.get(NONE_MATCH_HEADER, "").split(",")
    if batch.etag in [tag.strip().removeprefix("W/") for tag in known]:
        return Response(status_code=304, headers=headers)
    return Response(batch.json, headers=headers, media_type=JSON)


async def _long_polled(request: Request, live: LiveDeps, batch: Batch, cursor: int) -> Response:
    if not batch.events and not batch.is_closed:
        waiting = turn_events(
            live,
            batch.turn,
            after=batch.after,
            is_over=False,
            silence_s=live.settings.long_poll_s,
        )
        async with contextlib.aclosing(waiting):
            heard = await anext(waiting, None)
        if heard is None:
            raise ShuttingDown(retry_after_s=1)
        batch = await _batch(live, batch.turn, batch.after, heard)
    headers = batch.headers() | {"Stream-Cursor": next_cursor(cursor)}
    if not batch.events:
        return Response(status_code=204, headers=headers)
    return _answered(request, batch, headers)


async def _lines(live: LiveDeps, batch: Batch, cursor: int) -> AsyncGenerator[bytes, None]:
    """Events as they come, each time with where that is."""
    yield _told(batch, cursor)
    if batch.is_closed:
        return
    coming = turn_events(live, batch.turn, after=batch.end, is_over=False)
    async with contextlib.aclosing(coming):
        async for events in coming:
            if not events:
                yield KEEPALIVE_COMMENT
                continue
            batch = await _batch(live, batch.turn, batch.end, events)
            yield _told(batch, cursor)


def _told(batch: Batch, cursor: int) -> bytes:
    data = f"event: data\ndata:{batch.json}\n\n" if batch.events else ""
    control: dict[str, Any] = {"streamNextOffset": offset_of(batch.end)}
    if batch.is_closed:
        control["streamClosed"] = True
    else:
        control["streamCursor"] = next_cursor(cursor)
    if batch.is_all:
        control["upToDate"] = True
    return f"{data}event: control\ndata:{to_json(control).decode()}\n\n".encode()
