"""Writing a turn's events as they happen, without a transaction for each of them.

Events that come with a commit of the turn are written with it. The others wait for a moment, text a
little longer, and are then written for all turns of this process in one statement. Readers are told
of an event only once it is committed, so that whatever was read can be read again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from taskchat.errors import DatabaseError
from taskchat.moments import utc_now
from taskchat.postgres.database import Database
from taskchat.texts import scrubbed
from taskchat.time_limits import uncounted
from taskchat.turns import store
from taskchat.turns.events import (
    STREAMING,
    AgentState,
    AgentStatus,
    EventBase,
    Reasoning,
    StoredEvent,
    StreamChunk,
    StreamEnd,
    StreamStart,
    stored,
)
from taskchat.turns.states import Claim, TurnRef

log = structlog.get_logger()

SOON_S: Final = 0.03
"""How long an event waits for others: all events of that time are written in one statement, or with
the turn's next commit. Nobody sees the difference."""

RETRY_S: Final = 0.25
"""Wait between attempts to write while the database is away."""

WRITERS_AT_ONCE: Final = 200
"""Turns whose events go into one statement; the next statement takes the rest."""

Publish = Callable[[TurnRef, Sequence[StoredEvent]], None]
"""Called, in this process, with what has just been committed."""


class EventLog:
    """The log of one process: collects the events of its turns and writes them.

    Args:
        database: Where events are stored.
        process: This process, which need not be notified of its own events.
        interval_s: The shortest time between two writes of a turn's text.
    """

    def __init__(self, database: Database, process: UUID, *, interval_s: float) -> None:
        self.database = database
        self.process = process
        self.interval_s = interval_s
        self._due: dict[EventWriter, float] = {}
        self._changed = asyncio.Event()
        self._followers: list[Publish] = []
        self._job: asyncio.Task[None] | None = None

    def on_events(self, publish: Publish) -> None:
        """Call back with whatever is committed here."""
        self._followers.append(publish)

    def publish(self, turn: TurnRef, events: Sequence[StoredEvent]) -> None:
        """Pass committed events on to this process's followers."""
        for follower in self._followers:
            follower(turn, events)

    def start(self) -> None:
        """Begin to write, in a job of its own."""
        self._job = asyncio.create_task(self._write(), name="event log")

    async def close(self) -> None:
        """Stop writing, once every turn of this process is over or handed over."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)

    def write_by(self, writer: "EventWriter", moment: float) -> None:
        """Write the writer's pending events by that moment of the loop's clock."""
        if moment < self._due.get(writer, float("inf")):
            self._due[writer] = moment
            self._changed.set()

    def forget(self, writer: "EventWriter") -> None:
        """Write nothing more from this writer."""
        self._due.pop(writer, None)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            wait_s = min(self._due.values(), default=float("inf")) - loop.time()
            if wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if wait_s == float("inf") else wait_s):
                        await self._changed.wait()
                continue
            now = loop.time()
            ripe = [writer for writer, moment in self._due.items() if moment <= now]
            try:
                await self._write_all(ripe[:WRITERS_AT_ONCE])
            except Exception:
                # Otherwise nobody would notice that this process no longer reports anything.
                log.exception("events.crashed")
                await asyncio.sleep(RETRY_S)

    async def _write_all(self, writers: Sequence["EventWriter"]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            batches = []
            for writer in writers:
                self._due.pop(writer, None)
                # Whoever holds the lock writes the events with a commit of the turn's own.
                if not writer.lock.locked():
                    await stack.enter_async_context(writer.lock)
                    events = writer.pending()
                    if events:
                        batches.append((writer, events))
            if not batches:
                return
            written: set[UUID] = set()
            again_s = self.interval_s
            try:
                written = await store.events.append(
                    self.database,
                    [(writer.held, events) for writer, events in batches],
                    process=self.process,
                )
            except DatabaseError:
                # Whatever the statement reported, its commit is in doubt.
                written, again_s = set(), RETRY_S
            for writer, events in batches:
                if writer.held.turn.id in written:
                    writer.wrote(events)
                elif not writer.closed:
                    self.write_by(writer, asyncio.get_running_loop().time() + again_s)


class EventWriter:
    """The events of one attempt at a turn.

    Args:
        log: The log that writes them.
        held: The attempt.
        last_seq: How many events the turn has so far.
        open_stream: Whether the last of them left a text open, because its process died.
        status: The agent status that they last reported, if it is known.
    """

    def __init__(
        self,
        log: EventLog,
        held: Claim,
        *,
        last_seq: int,
        open_stream: bool = False,
        status: AgentState | None = None,
    ) -> None:
        self.held = held
        self.lock = asyncio.Lock()
        self.closed = False
        self.process = log.process
        self._log = log
        self._seq = last_seq
        self._pending: list[StoredEvent] = []
        self._text: list[str] = []
        self._thought: list[str] = []
        self._text_written_at = float("-inf")
        self._streaming = open_stream
        self._status = status
        if open_stream:
            self.end_stream(dropped=True)

    def tell(self, event: type[EventBase], **fields: Any) -> None:
        """Add an event, to be written in a moment; ignored after `close`."""
        if self.closed:
            return
        self.add(event, **fields)
        self._log.write_by(self, asyncio.get_running_loop().time() + SOON_S)

    def status(self, status: AgentState) -> None:
        """Report what the agent does now, if that has changed."""
        if status != self._status:
            self._status = status
            self.tell(AgentStatus, status=status)

    def say(self, delta: str) -> None:
        """Add a piece of a model's text."""
        if self.closed or not delta:
            return
        if not self._streaming:
            self.status("responding")
            self.tell(StreamStart)
            self._streaming = True
        self._text.append(delta)
        self._log.write_by(self, self._text_written_at + self._log.interval_s)

    def think(self, delta: str) -> None:
        """Add a piece of what a model thinks aloud.

        It is held back while a text is open: the last event in the log has to show whether one is.
        """
        if self.closed or not delta:
            return
        self._thought.append(delta)
        if not self._streaming:
            self._log.write_by(self, self._text_written_at + self._log.interval_s)

    def end_stream(self, *, dropped: bool = False) -> None:
        """End the open text, if there is one: it is complete, or dropped."""
        if self._streaming:
            if dropped:
                self._text.clear()
            self.tell(StreamEnd, dropped=dropped)
            self._streaming = False
            if self._thought:
                self._log.write_by(self, asyncio.get_running_loop().time() + SOON_S)

    def add(self, event: type[EventBase], **fields: Any) -> None:
        """Add an event to a commit that is about to happen; see `carried`."""
        self.add_made(lambda turn, seq, now: stored(event, turn, seq, now, **fields))

    def add_made(self, make: Callable[[TurnRef, int, datetime], StoredEvent]) -> None:
        """Add an event that is made from the turn, its number in the turn, and the time."""
        self._take_text()
        self._seq += 1
        self._pending.append(make(self.held.turn, self._seq, utc_now()))

    def mark(self) -> tuple[int, int, list[str], bool, AgentState | None]:
        """Where the events stand, for `undo`; inside `carried`."""
        return self._seq, len(self._pending), list(self._thought), self._streaming, self._status

    def undo(self, mark: tuple[int, int, list[str], bool, AgentState | None]) -> None:
        """Take back the events since a mark: the commit that was to carry them did not happen."""
        self._seq, kept, self._thought, self._streaming, self._status = mark
        del self._pending[kept:]

    def next(self, event: type[EventBase], **fields: Any) -> StoredEvent:
        """The event that would come next, for a commit that will know more of it.

        It is no event before `add_stored`.
        """
        self._take_text()
        return stored(event, self.held.turn, self._seq + 1, utc_now(), **fields)

    def add_stored(self, event: StoredEvent) -> None:
        """Add the event that comes next, which has just been stored; see `carried`."""
        self._seq = event.seq
        self._pending.append(event)

    def _take_text(self) -> None:
        if self._thought and not self._streaming:
            self._take(Reasoning, self._thought)
        if self._text:
            self._take(StreamChunk, self._text)

    def _take(self, event: type[EventBase], pieces: list[str]) -> None:
        # Half a surrogate pair at the edge of a piece can't be kept alone.
        delta = scrubbed("".join(pieces))
        pieces.clear()
        self._text_written_at = asyncio.get_running_loop().time()
        self.add(event, delta=delta)

    def pending(self) -> list[StoredEvent]:
        """The events that are still to be written, text included."""
        self._take_text()
        return list(self._pending)

    def wrote(self, events: Sequence[StoredEvent]) -> None:
        """Note that these events are committed, and publish them."""
        del self._pending[: len(events)]
        self._log.publish(self.held.turn, events)

    @contextlib.asynccontextmanager
    async def carried(self) -> AsyncIterator["EventWriter"]:
        """Hold the log back while a transaction of the turn's own carries the pending events.

        Inside the block, once the last event is added, `pending()` is what to write. After the
        block it is committed and published. If the block raises, what was written is in doubt and
        the rest is lost: an attempt that still has something to tell begins `anew`.
        """
        with uncounted():
            # The lock's holder may itself be waiting in line, with events of this turn.
            await self.lock.acquire()
        try:
            self._log.forget(self)
            self._take_text()
            try:
                yield self
            except BaseException:
                self.close()
                raise
            self.wrote(list(self._pending))
        finally:
            self.lock.release()

    def anew(self, last_seq: int, last_type: str) -> None:
        """Continue after the last event in the log.

        Args:
            last_seq: Its number; nobody else writes more events.
            last_type: Its type.
        """
        self._pending.clear()
        self._text.clear()
        self._thought.clear()
        self._seq, self._streaming, self.closed = last_seq, last_type in STREAMING, False
        self.end_stream(dropped=True)

    def close(self) -> None:
        """Write nothing more: the turn is over here."""
        self.closed = True
        self._pending.clear()
        self._text.clear()
        self._thought.clear()
        self._log.forget(self)
