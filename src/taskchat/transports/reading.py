"""One reader of one turn, whatever form it is told in: each event once, in order, to the end."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from taskchat.live.reader import TurnReader, read_after
from taskchat.transports.dependencies import LiveDeps
from taskchat.turns.events import StoredEvent
from taskchat.turns.states import TurnRef


def turn_events(
    live: LiveDeps, turn: TurnRef, *, after: int, is_over: bool, silence_s: float | None = None
) -> AsyncGenerator[Sequence[StoredEvent], None]:
    """A turn's events from a place on: as they come, or from the log if the turn is over.

    Args:
        live: Where they are told.
        turn: The turn.
        after: The number of the last event that the reader has.
        is_over: Whether no more will come.
        silence_s: How long nothing may come before an empty sequence does; as often as a stream is
            kept alive, unless it is given.

    Raises:
        NotFound: the turn was deleted.
        DatabaseError: they can't be read at the moment.
    """
    if is_over:
        return _kept(live, turn, after)
    return _coming(live, turn, after, silence_s or live.settings.sse_ping_s)


async def _kept(
    live: LiveDeps, turn: TurnRef, after: int
) -> AsyncGenerator[Sequence[StoredEvent], None]:
    while events := await read_after(live.database, turn, after):
        yield events
        after = events[-1].seq


async def _coming(
    live: LiveDeps, turn: TurnRef, after: int, silence_s: float
) -> AsyncGenerator[Sequence[StoredEvent], None]:
    reader = TurnReader(live.database, live.feed, turn, after=after)
    async with _noted(live, turn) as noted:
        events = reader.events(silence_s=silence_s, noted=noted)
        async with contextlib.aclosing(events):
            async for batch in events:
                yield batch


@contextlib.asynccontextmanager
async def _noted(live: LiveDeps, turn: TurnRef) -> AsyncIterator[bool]:
    """Let other processes know of this reader, if one of them may run the turn.

    Yields:
        Whether they know.
    """
    job = live.turns.jobs.get(turn.id)
    if job is not None and job.attempt is not None:
        yield False
        return
    joined = await live.presence.join(turn.principal, "sse", turn.conversation_id)
    try:
        yield True
    finally:
        if joined is not None:
            await live.presence.leave(turn.principal, joined.id)
