"""Writing what happens in a turn, while it happens, without a transaction for each thing.

Events that come with a commit of the turn go in with it. The others wait a few milliseconds, text
a little longer, and are then written for all turns of this process in one statement. A reader is
told of an event only once it is committed: what was read can be read again.
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

SOON_S: Final = 0.01
"""How long an event waits for company: what happens within it is written in one statement, or with
the turn's next commit. Nobody sees the difference."""

RETRY_S: Final = 0.25
"""Between attempts to write while the database is away."""

WRITERS_AT_ONCE: Final = 200
"""Turns whose events go into one statement; the next one takes the others."""

Publish = Callable[[TurnRef, Sequence[StoredEvent]], None]
"""Told, in this process, what has just been committed."""


class EventLog:
    """The log of one process: collects what its turns have to tell, and writes it.

    Args:
        database: Where all of it is kept.
        process: This process, which need not be notified of what it does itself.
        interval_s: How often at most a turn's text is written.
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
        """Tell this process of events that are committed."""
        for follower in self._followers:
            follower(turn, events)

    def start(self) -> None:
        """Begin to write, in a job of its own."""
        self._job = asyncio.create_task(self._write(), name="event log")

    async def close(self) -> None:
        """Stop writing; every turn of this process is over or handed over."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)

    def write_by(self, writer: "EventWriter", moment: float) -> None:
        """Write what the writer has to tell, by that moment of the loop's clock."""
        if moment < self._due.get(writer, float("inf")):
            self._due[writer] = moment
            self._changed.set()

    def forget(self, writer: "EventWriter") -> None:
        """Write nothing more of it."""
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
                # Nobody would notice that this process tells nothing any more.
                log.exception("events.crashed")
                await asyncio.sleep(RETRY_S)

    async def _write_all(self, writers: Sequence["EventWriter"]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            batches = []
            for writer in writers:
                self._due.pop(writer, None)
                # Whoever holds it writes its events with a commit of the turn's own.
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
                async with self.database.system_transaction() as connection:
                    written = await store.events.append(
                        connection,
                        [(writer.held, events) for writer, events in batches],
                        process=self.process,
                    )
            except DatabaseError:
                # Whatever the statement said: its commit is in doubt.
                written, again_s = set(), RETRY_S
            for writer, events in batches:
                if writer.held.turn.id in written:
                    writer.wrote(events)
                elif not writer.closed:
                    self.write_by(writer, asyncio.get_running_loop().time() + again_s)


class EventWriter:
    """What one attempt at a turn has to tell.

    Args:
        log: Where it goes.
        held: The attempt.
        last_seq: How many events the turn has so far.
        open_stream: Whether the last of them left a text open, because its process died.
        status: What they last said of what the agent does, where that is known.
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
        """An event, to be written within milliseconds; none after `close`."""
        if self.closed:
            return
        self.add(event, **fields)
        self._log.write_by(self, asyncio.get_running_loop().time() + SOON_S)

    def status(self, status: AgentState) -> None:
        """What the agent does now, where that is news."""
        if status != self._status:
            self._status = status
            self.tell(AgentStatus, status=status)

    def say(self, delta: str) -> None:
        """A piece of a model's text."""
        if self.closed or not delta:
            return
        if not self._streaming:
            self.status("responding")
            self.tell(StreamStart)
            self._streaming = True
        self._text.append(delta)
        self._log.write_by(self, self._text_written_at + self._log.interval_s)

    def think(self, delta: str) -> None:
        """A piece of what a model thinks aloud.

        It waits while a text is open: what stands last in the log says whether one was.
        """
        if self.closed or not delta:
            return
        self._thought.append(delta)
        if not self._streaming:
            self._log.write_by(self, self._text_written_at + self._log.interval_s)

    def end_stream(self, *, dropped: bool = False) -> None:
        """The text that is open, if one is, is complete, or to be forgotten."""
        if self._streaming:
            if dropped:
                self._text.clear()
            self.tell(StreamEnd, dropped=dropped)
            self._streaming = False
            if self._thought:
                self._log.write_by(self, asyncio.get_running_loop().time() + SOON_S)

    def add(self, event: type[EventBase], **fields: Any) -> None:
        """An event for a commit that is about to happen; see `carried`."""
        self.add_made(lambda turn, seq, now: stored(event, turn, seq, now, **fields))

    def add_made(self, make: Callable[[TurnRef, int, datetime], StoredEvent]) -> None:
        """The same, made from the turn, its number in it, and the moment."""
        self._take_text()
        self._seq += 1
        self._pending.append(make(self.held.turn, self._seq, utc_now()))

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
        """What is to be written, text included."""
        self._take_text()
        return list(self._pending)

    def wrote(self, events: Sequence[StoredEvent]) -> None:
        """These are committed."""
        del self._pending[: len(events)]
        self._log.publish(self.held.turn, events)

    @contextlib.asynccontextmanager
    async def carried(self) -> AsyncIterator["EventWriter"]:
        """Hold the log back while a transaction of the turn's own carries what is pending.

        Inside, after the last event was added, `pending()` is what to write. Behind the block it is
        committed, and told. Where the block raises, what is written is in doubt, and what is not is
        lost: an attempt that still has something to tell begins `anew`.
        """
        with uncounted():
            # Whoever has it may be waiting in line with what this turn has told.
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
        """Go on from what is written: the last event, as it stands in the log.

        Args:
            last_seq: Its number; nobody else writes more.
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
