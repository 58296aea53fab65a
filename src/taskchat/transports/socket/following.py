"""One socket's view of its conversation: everything once, in order, from the place it asks for."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Final
from uuid import UUID

from taskchat.errors import DatabaseError
from taskchat.live.feed import Feed, Tail
from taskchat.live.rows import Place, events_since
from taskchat.postgres.database import Database
from taskchat.principal import Principal
from taskchat.transports.socket.connections import Connection
from taskchat.turns.events import StoredEvent
from taskchat.turns.store.events import EVENTS_MAX

SETTLE_S: Final = 1.0
"""How long events of turns that were already under way wait for a client's first frame. A client
that comes back resumes first, however far away it is, and would otherwise get later events before
those that it missed."""

RETRY_S: Final = 0.5
"""Wait between attempts to read missed events while the database is away."""


class Following:
    """What a socket is told about the conversation that it follows.

    Args:
        connection: Where the frames go.
        principal: Whose conversation it is.
        database: Where past events are stored.
        feed: Reports new events.

    Attributes:
        told_at: When something last happened in it, by the loop's clock.
    """

    def __init__(
        self, connection: Connection, principal: Principal, database: Database, feed: Feed
    ) -> None:
        self._connection = connection
        self._principal = principal
        self._database = database
        self._feed = feed
        self._follows = contextlib.ExitStack()
        self._tail: Tail | None = None
        self._place = Place(1)
        self._behind, self._missed = True, False
        self._catching_up = asyncio.Lock()
        self._settled = asyncio.Event()
        self._may_begin = asyncio.Event()
        self._may_begin.set()
        self._jobs: set[asyncio.Task[None]] = set()
        self.told_at = float("-inf")

    @property
    def under_way(self) -> bool:
        """Whether a turn of the conversation is unfinished."""
        return self._tail is not None and self._tail.under_way

    def collect(self, conversation_id: UUID) -> None:
        """Collect everything that happens from now on: see `begin`."""
        self._follow(conversation_id, reads=False)

    def begin(self, place: Place) -> None:
        """Go on from where the conversation stood after `collect`; `tell` sends what came since."""
        assert self._tail is not None  # noqa: S101 - collected
        self._tail.stands_at(place.copy())
        self._place = place

    def tell(self) -> None:
        """Send what was collected and what follows; call it after the socket's first frame."""
        if self._tail is not None:
            self._start(self._settle_in())

    def settle(self) -> None:
        """Note that the client has spoken: if it wanted to go back, it has said so."""
        self._settled.set()

    def hold_new_turns(self) -> None:
        """Tell nothing of turns that are not known yet: one of the client's is being committed.

        A notification may overtake the answer to the commit, and events the acknowledgment.
        """
        self._may_begin.clear()

    def let_new_turns(self) -> None:
        """Tell of new turns again: the client knows its own one, or there is none."""
        self._may_begin.set()

    async def begin_at(self, conversation_id: UUID, turn_number: int) -> None:
        """Follow a conversation from the beginning of one of its turns."""
        self._settled.set()
        await self._follow(conversation_id, reads=True).ready.wait()
        self._place = Place(turn_number)
        await self._catch_up()

    async def go_back(self, turn_number: int, seq: int, only_end: StoredEvent | None) -> None:
        """Send again what followed an event, and go on from there.

        Args:
            turn_number: The number of the event's turn.
            seq: The event's place in that turn.
            only_end: The last event of that turn, if nothing else of it is left to send.
        """
        self._behind = True
        self._settled.set()
        async with self._catching_up:
            self._behind = True
            self._place = self._place.rewound(turn_number, seq)
            if only_end is not None:
                if only_end.seq > seq:
                    self._connection.send_text(only_end.data)
                self._place.note([only_end])
        await self._catch_up()

    async def close(self) -> None:
        """Stop following."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._follows.close()

    def _follow(self, conversation_id: UUID, *, reads: bool) -> Tail:
        self._behind, self._missed = True, False
        self._connection.conversation_id = conversation_id
        self._tail = self._follows.enter_context(
            self._feed.following(
                self._principal, conversation_id, self._told, noted=True, reads=reads
            )
        )
        return self._tail

    def _told(self, events: Sequence[StoredEvent]) -> None:
        self.told_at = asyncio.get_running_loop().time()
        if self._behind:
            self._missed = True
            return
        is_held = not (self._may_begin.is_set() or self._place.knows(events[0].number))
        fresh = None if is_held else self._place.take(events)
        if fresh is None:
            self._behind = True
            self._start(self._catch_up())
            return
        for event in fresh:
            self._connection.send_text(event.data)

    async def _settle_in(self) -> None:
        """Go on from where the conversation stood, unless the client goes back first."""
        if self._place.seen:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_S):
                    await self._settled.wait()
        if self._missed:
            await self._catch_up()
        elif not self._catching_up.locked():
            self._behind = False

    async def _catch_up(self) -> None:
        """Send everything after the place; from there on it is live, without gaps or repetition."""
        conversation_id = self._connection.conversation_id
        assert conversation_id is not None  # noqa: S101 - it is followed
        async with self._catching_up:
            self._missed = True
            while self._missed and not self._connection.gone.is_set():
                self._missed = False
                try:
                    events = await events_since(
                        self._database, self._principal, conversation_id, self._place
                    )
                except DatabaseError:
                    await asyncio.sleep(RETRY_S)
                    self._missed = True
                    continue
                for event in events:
                    if not self._place.knows(event.number):
                        await self._may_begin.wait()
                    await self._connection.room()
                    self._connection.send_text(event.data)
                self._place.note(events)
                self._missed = self._missed or len(events) == EVENTS_MAX
            self._behind = False

    def _start(self, work: Coroutine[None, None, None]) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
