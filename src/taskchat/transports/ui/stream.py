"""A turn's events, or those of several turns in order, as one UI message stream.

It ends where the client has something to do: at the end of the turn, or once its user is asked.
"""

import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic_core import to_json
from starlette.responses import Response

from taskchat.errors import ServiceError, ShuttingDown
from taskchat.feedback import repository as feedback
from taskchat.live.reader import read_after
from taskchat.transports.dependencies import LiveDeps
from taskchat.transports.reading import turn_events
from taskchat.transports.sse import streamed
from taskchat.transports.ui.chunks import DONE, Chunk, Encoder
from taskchat.turns.states import TurnRef


def ui_stream(
    lines: AsyncGenerator[bytes, None], headers: Mapping[str, str] | None = None
) -> Response:
    """The answer that carries a stream."""
    return streamed(
        lines,
        # By the last one, tools that watch streams know what this is.
        {**(headers or {}), "x-vercel-ai-ui-message-stream": "v1"},
        # The client knows that it has not seen the turn's end.
        why=lambda error: _encoded([_told(error)]),
        last=DONE,
    )


def _told(error: ServiceError) -> Chunk:
    return {"type": "error", "errorText": error.message}


def _encoded(chunks: Iterable[Chunk]) -> bytes:
    return b"".join(format_sse_event(data_str=to_json(chunk).decode()) for chunk in chunks)


async def turn_lines(
    live: LiveDeps, turn: TurnRef, *, is_over: bool = False, after: int = 0
) -> AsyncGenerator[bytes, None]:
    """One turn as its client is told it.

    Args:
        live: Where its events are told.
        turn: The turn.
        is_over: Whether no more events will come.
        after: The number of the last event that the client has. What came before is read all the
            same, since what follows depends on it.

    Raises:
        NotFound: the turn was deleted.
        DatabaseError: its events can't be read at the moment.
        ShuttingDown: this process tells no more of it.
    """
    encoder = Encoder(turn.id)
    batches = turn_events(live, turn, after=0, is_over=is_over)
    async with contextlib.aclosing(batches):
        async for batch in batches:
            if not batch:
                yield KEEPALIVE_COMMENT
                continue
            asked = []
            if any(event.type == "feedback_response" for event in batch):
                async with live.database.transaction(turn.principal) as connection:
                    asked = await feedback.of_turn(connection, turn.principal, turn.id)
            told: list[Chunk] = []
            for event in batch:
                chunks = encoder.encode(event, asked)
                if event.seq > after or event.type == "turn_started":
                    told += chunks
            last = batch[-1]
            asks = last.type == "feedback_request" and last.seq > after
            if asks and not await read_after(live.database, turn, last.seq):
                told += encoder.pause()
                yield _encoded(told)
                return
            yield _encoded(told)
            if last.ends_turn:
                return
    if not is_over:
        raise ShuttingDown("This process is about to stop; resume the stream.")
