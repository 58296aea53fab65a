"""Events of a turn as a stream of server-sent events.

    id: 7
    event: stream_chunk
    data: {"type":"stream_chunk","turn_id":"…",…}

`id` is the event's seq: a client that reconnects sends the last one it has as `Last-Event-ID`. A
comment every fifteen seconds keeps proxies from closing a silent stream.
"""

import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from taskchat.errors import (
    DatabaseError,
    Detail,
    InvalidRequest,
    NotFound,
    ServiceError,
    ShuttingDown,
)
from taskchat.http.requests import JSON, quality
from taskchat.telemetry import metrics
from taskchat.transports.dependencies import LiveDeps
from taskchat.transports.reading import turn_events
from taskchat.transports.socket.frames import StreamError
from taskchat.turns.events import StoredEvent
from taskchat.turns.states import TurnRef

log = structlog.get_logger()

EVENT_STREAM: Final = "text/event-stream"

RETRY_MS: Final = 1000
"""How long a client waits before it reconnects."""

HEADERS: Final = {
    "Cache-Control": "no-cache, no-store",
    # Keeps nginx from holding events back until it has a bufferful.
    "X-Accel-Buffering": "no",
}

_SEQ: Final = re.compile(r"[0-9]{1,9}")


def stream_content(told: str) -> dict[str, Any]:
    """What OpenAPI says of a stream whose events are no `Event`: what each of them is."""
    described = f"Server-sent events: {told}"
    return {EVENT_STREAM: {"schema": {"type": "string", "description": described}}}


def prefers_stream(accept: str) -> bool:
    """Whether a request prefers events to JSON; JSON wins if both are wanted alike."""
    return quality(accept, EVENT_STREAM) > quality(accept, JSON)


async def last_event_id(request: Request) -> int:
    """The Last-Event-ID header; 0 if there is none.

    Raises:
        InvalidRequest: no event can have such an id.
    """
    given = request.headers.getlist("last-event-id")
    if not given or given == [""]:
        return 0
    if len(given) > 1 or not _SEQ.fullmatch(given[0]):
        problem = "must be the id of an event of this turn"
        raise InvalidRequest(
            f"The Last-Event-ID header {problem}.",
            details=[Detail("header.Last-Event-ID", problem)],
        )
    return int(given[0])


def stream(
    live: LiveDeps,
    turn: TurnRef,
    *,
    after: int,
    is_over: bool,
    request_id: str,
    headers: dict[str, str],
) -> Response:
    """A turn's events from a place on: as they come, or from the log if the turn is over."""
    batches = turn_events(live, turn, after=after, is_over=is_over)
    return streamed(_lines(batches), headers, why=lambda error: _told(error, request_id))


def streamed(
    lines: AsyncGenerator[bytes, None],
    headers: Mapping[str, str] | None = None,
    *,
    why: Callable[[ServiceError], bytes],
    last: bytes = b"",
) -> Response:
    """The answer that carries a stream, in whatever form.

    Args:
        lines: What is told.
        headers: Its own headers, besides those of all streams.
        why: What is told if it can't go on. The turn does.
        last: What ends each of them.
    """
    return StreamingResponse(
        _to_the_end(lines, why, last),
        headers={**HEADERS, **(headers or {})},
        media_type=EVENT_STREAM,
    )


async def _to_the_end(
    lines: AsyncGenerator[bytes, None], why: Callable[[ServiceError], bytes], last: bytes
) -> AsyncIterator[bytes]:
    with metrics.EVENT_STREAMS.track_inprogress():
        try:
            async with contextlib.aclosing(lines):
                async for line in lines:
                    yield line
        except (DatabaseError, NotFound, ShuttingDown) as error:
            last = why(error) + last
        if last:
            yield last


async def _lines(
    batches: AsyncGenerator[Sequence[StoredEvent], None],
) -> AsyncGenerator[bytes, None]:
    yield format_sse_event(retry=RETRY_MS)
    async with contextlib.aclosing(batches):
        async for batch in batches:
            yield encoded(batch) if batch else KEEPALIVE_COMMENT


def encoded(events: Sequence[StoredEvent]) -> bytes:
    """Events as they are sent."""
    return b"".join(
        format_sse_event(data_str=event.data, event=event.type, id=str(event.seq))
        for event in events
    )


def _told(error: ServiceError, request_id: str) -> bytes:
    told = StreamError(error_code=error.code, error=error.message, request_id=request_id)
    return format_sse_event(data_str=told.model_dump_json(), event=told.type)
