"""Following conversations: one reader per conversation and process, however many follow it.

Events committed in this process are passed on as they are. Events committed by others are read when
they notify, with polling as a fallback. Either way everybody gets every event of a turn once, in
order, without gaps.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from uuid import UUID

from taskchat.errors import DatabaseError
from taskchat.live.rows import Place, events_since, place_now
from taskchat.postgres.database import Database
from taskchat.principal import Principal
from taskchat.turns.events import StoredEvent
from taskchat.turns.states import TurnRef
from taskchat.turns.store.events import EVENTS_MAX

TICK_S: Final = 0.5
"""How often to check which conversations are due for a look."""

SOON_S: Final = 1.0
"""First look after following begins: a turn that began at that moment may not have known of it."""

ACTIVE_S: Final = (5.0, 1.0)
"""Time between looks while a turn is under way: with notifications, and without."""

IDLE_S: Final = (60.0, 5.0)
"""The same while no turn is under way."""

RETRY_S: Final = 0.5
"""Wait between attempts to read while the database is away."""

Follower = Callable[[Sequence[StoredEvent]], None]
"""Called with new events; it must not wait."""


class Feed:
    """What happens in conversations, for those who follow them in this process.

    Args:
        database: Where events are stored.
        listening: Whether notifications arrive.
    """

    def __init__(self, database: Database, listening: Callable[[], bool]) -> None:
        self._database = database
        self._listening = listening
        self._tails: dict[UUID, dict[str, Tail]] = {}
        self._job: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()

    def start(self) -> None:
        """Start to look from time to time, in a job of its own."""
        self._job = asyncio.create_task(self._look(), name="feed")

    async def close(self) -> None:
        """Pass nothing more on; followers find `closed` set."""
        self.closed.set()
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)
        for tail in list(self._all()):
            await tail.close()

    @contextlib.contextmanager
    def following(
        self,
        principal: Principal,
        conversation_id: UUID,
        follower: Follower,
        *,
        noted: bool,
        reads: bool = True,
    ) -> Iterator["Tail"]:
        """Follow a conversation of the principal's while the block lasts.

        What happens after the tail is `ready` is passed on; what happened before can be read.

        Args:
            principal: The conversation's owner.
            conversation_id: The conversation to follow.
            follower: Called with new events.
            noted: Whether other processes know that it is followed here, and so notify.
            reads: Whether the tail has to find out where the conversation stands; if not, it is
                told by `stands_at`.
        """
        of_conversation = self._tails.setdefault(conversation_id, {})
        tail = of_conversation.get(principal.user_id)
        if tail is None:
            tail = Tail(self._database, principal, conversation_id, self._listening)
            of_conversation[principal.user_id] = tail
        tail.followers.append(follower)
        tail.noted += noted
        if reads:
            tail.start()
        try:
            yield tail
        finally:
            tail.followers.remove(follower)
            tail.noted -= noted
            if not tail.followers:
                tail.stop()
                del of_conversation[principal.user_id]
                if not of_conversation:
                    self._tails.pop(conversation_id, None)

    def published(self, turn: TurnRef, events: Sequence[StoredEvent]) -> None:
        """This process has committed events of a turn."""
        tail = self._tails.get(turn.conversation_id, {}).get(turn.principal.user_id)
        if tail is not None and events:
            tail.offer(events)

    def notified(self, conversation_id: str) -> None:
        """Another process has committed events: see `presence.repository.EVENTS_CHANNEL`."""
        self.look_at(UUID(conversation_id))

    def look_at(self, conversation_id: UUID) -> None:
        """Something has happened in a conversation, in whatever process."""
        for tail in self._tails.get(conversation_id, {}).values():
            tail.look()

    def look_at_all(self) -> None:
        """Look at all conversations: notifications may have been lost."""
        for tail in self._all():
            tail.look()

    def _all(self) -> Iterator["Tail"]:
        for of_conversation in self._tails.values():
            yield from of_conversation.values()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = asyncio.get_running_loop().time()
            for tail in list(self._all()):
                if tail.look_at <= now:
                    tail.look()


class Tail:
    """The end of one conversation, as it grows.

    Attributes:
        followers: Called with new events.
        noted: How many of them are known to other processes.
        ready: Set once everything that happens is passed on.
        look_at: When to look without having been notified, by the loop's clock.
        place: How far events have been passed on.
    """

    def __init__(
        self,
        database: Database,
        principal: Principal,
        conversation_id: UUID,
        listening: Callable[[], bool],
    ) -> None:
        self.followers: list[Follower] = []
        self.noted = 0
        self.ready = asyncio.Event()
        self.place = Place(1)
        self.look_at = asyncio.get_running_loop().time() + SOON_S
        self._database = database
        self._principal = principal
        self._conversation_id = conversation_id
        self._listening = listening
        self._early: list[Sequence[StoredEvent]] = []
        self._again = False
        self._reading: asyncio.Task[None] | None = None

    @property
    def under_way(self) -> bool:
        """Whether a turn of the conversation is unfinished."""
        return bool(self.place.seen)

    def start(self) -> None:
        """Find out where the conversation stands, if that is not known."""
        if self._reading is None and not self.ready.is_set():
            self._reading = asyncio.create_task(self._begin())

    def stands_at(self, place: Place) -> None:
        """Go on from this place, if none is known: all that came since is offered, or will be."""
        if self.ready.is_set():
            return
        self.place = place
        self.ready.set()
        for events in self._early:
            self.offer(events)
        self._early.clear()
        if self._again:
            self.look()

    def offer(self, events: Sequence[StoredEvent]) -> None:
        """Take events of one turn that were just committed in this process."""
        if not self.ready.is_set():
            self._early.append(events)
            return
        fresh = self.place.take(events)
        if fresh is None:
            # The ones in between were committed by another process.
            self.look()
        elif fresh:
            self._tell(fresh)

    def look(self) -> None:
        """Read what is new, now or as soon as the current read is done."""
        self._again = True
        if self.ready.is_set() and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read())

    def stop(self) -> None:
        """Stop reading: nobody follows any more."""
        if self._reading is not None:
            self._reading.cancel()

    async def close(self) -> None:
        """Stop reading, and wait until it has ended."""
        self.stop()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _begin(self) -> None:
        while not self.ready.is_set():
            try:
                place = await place_now(self._database, self._principal, self._conversation_id)
            except DatabaseError:
                await asyncio.sleep(RETRY_S)
            else:
                self.stands_at(place)
        if self._again:
            await self._read()

    async def _read(self) -> None:
        while self._again:
            self._again = False
            try:
                events = await events_since(
                    self._database, self._principal, self._conversation_id, self.place
                )
            except DatabaseError:
                await asyncio.sleep(RETRY_S)
                self._again = True
                continue
            self._again = self._again or len(events) == EVENTS_MAX
            self._take(events)
        self._plan()

    def _take(self, events: Sequence[StoredEvent]) -> None:
        start = 0
        for end in range(1, len(events) + 1):
            if end == len(events) or events[end].turn_id != events[start].turn_id:
                fresh = self.place.take(events[start:end])
                if fresh:
                    self._tell(fresh)
                start = end

    def _tell(self, events: Sequence[StoredEvent]) -> None:
        self._plan()
        for follower in tuple(self.followers):
            follower(events)

    def _plan(self) -> None:
        notified, alone = ACTIVE_S if self.under_way else IDLE_S
        wait_s = notified if self.noted and self._listening() else alone
        self.look_at = asyncio.get_running_loop().time() + wait_s
