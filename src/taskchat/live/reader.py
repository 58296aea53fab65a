"""Reading one turn's events from a place on: every one, once, in order, until the last."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from taskchat.errors import DatabaseError, NotFound
from taskchat.live.feed import Feed
from taskchat.postgres.database import Database
from taskchat.postgres.line import Precedence
from taskchat.turns import store
from taskchat.turns.events import StoredEvent
from taskchat.turns.states import TurnRef
from taskchat.turns.store.events import EVENTS_MAX

BUFFER_MAX: Final = 1000
"""Events that wait for a reader. A slower one reads them from the log once it gets there."""


class TurnReader:
    """One reader of one turn.

    Args:
        database: Where the events are stored.
        feed: Reports new events.
        turn: The turn to read.
        after: The number of the last event that the reader has.
    """

    def __init__(self, database: Database, feed: Feed, turn: TurnRef, *, after: int) -> None:
        self._database = database
        self._feed = feed
        self._turn = turn
        self._after = after
        self._heard: list[StoredEvent] = []
        self._news = asyncio.Event()
        self._behind = False

    async def events(
        self, *, silence_s: float, noted: bool
    ) -> AsyncGenerator[Sequence[StoredEvent], None]:
        """Events as they come; an empty sequence after each silence.

        Ends after the turn's last event, or when this process stops passing events on.

        Args:
            silence_s: The longest between two.
            noted: Whether other processes know of this reader.

        Raises:
            NotFound: the turn was deleted.
            DatabaseError: the log can't be read at the moment.
        """
        turn = self._turn
        with self._feed.following(
            turn.principal, turn.conversation_id, self._hear, noted=noted
        ) as tail:
            await tail.ready.wait()
            self._behind = True
            while not self._feed.closed.is_set():
                events = await self._next()
                if events:
                    self._after = events[-1].seq
                    yield events
                    if events[-1].ends_turn:
                        return
                elif not await self._wait(silence_s):
                    yield ()
                    await self._look_behind()

    def _hear(self, events: Sequence[StoredEvent]) -> None:
        if events[0].turn_id != self._turn.id:
            return
        if len(self._heard) < BUFFER_MAX:
            self._heard.extend(events)
        else:
            self._heard.clear()
            self._behind = True
        self._news.set()

    async def _next(self) -> Sequence[StoredEvent]:
        self._news.clear()
        heard = [event for event in self._heard if event.seq > self._after]
        self._heard.clear()
        if not self._behind and (not heard or heard[0].seq == self._after + 1):
            return heard
        events = await read_after(self._database, self._turn, self._after)
        self._behind = len(events) == EVENTS_MAX
        return events

    async def _look_behind(self) -> None:
        """After a silence: whoever deletes a turn tells nothing of it to its readers."""
        with contextlib.suppress(DatabaseError):
            if await read_after(self._database, self._turn, self._after):
                self._behind = True

    async def _wait(self, silence_s: float) -> bool:
        """Wait until there is news; False if there is none for too long."""
        waits = [
            asyncio.ensure_future(self._news.wait()),
            asyncio.ensure_future(self._feed.closed.wait()),
        ]
        try:
            done, _ = await asyncio.wait(
                waits, timeout=silence_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*waits, return_exceptions=True)
        return bool(done)


async def read_after(database: Database, turn: TurnRef, after: int) -> Sequence[StoredEvent]:
    """The events of a turn after a given one, as many as are read at once.

    If the turn's events are pruned, the last one is rebuilt from the turn itself.

    Raises:
        NotFound: the principal has no such turn.
        DatabaseError: they can't be read at the moment.
    """
    async with database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
        # First: a turn that ends before the events are read has them all by then.
        found = await store.events.find_turn(connection, turn.principal, turn.id)
        events = await store.events.read_after(connection, turn, after)
    if found is None:
        raise NotFound("The turn was deleted.", turn_id=turn.id)
    if events:
        return events
    _, row = found
    if row.finished_at is None:
        return ()
    last = store.events.last_of(turn, row)
    return (last,) if last.seq > after else ()
