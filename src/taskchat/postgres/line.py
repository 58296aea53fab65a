"""The line before the database's connections. Busy is not down: work waits for its turn.

Two things end a wait: the line is full, or it has stood still for so long that the database must be
away. Neither ever happens to work that was accepted, nor to work that can wait.
"""

import asyncio
import contextlib
import enum
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Container
from typing import Final, TypeAlias

from taskchat.errors import DatabaseError, Overloaded
from taskchat.telemetry import metrics
from taskchat.telemetry.timing import spend
from taskchat.telemetry.traces import inner_span
from taskchat.time_limits import uncounted

LOOKS: Final = 5
"""How often a wait checks whether the line has moved before it gives up. A process that was starved
or frozen finds its timers expired before it has done anything; it must not mistake that for a line
that stands still."""

PACE_S: Final = 0.1
"""Time from one served request to the next, until it is known: that of a small machine."""

PACE_SAMPLES: Final = 50
"""The pace is averaged over this many requests. The first ones of a rush are quick: the turns that
they begin have not come back yet."""

RETRY_AFTER_S_MAX: Final = 300
"""The longest wait that a client is asked for."""


class Precedence(enum.IntEnum):
    """Who goes first. A turn that ends makes room; one that begins takes it."""

    ACCEPTED = 0
    """Work of a turn whose message is stored: it waits for as long as it takes."""
    ARRIVING = 1
    """A request of which nothing is stored yet: it may be refused."""
    SPARE = 2
    """Work that nobody waits for: it is served if nobody else can be, and leaves one connection
    free for whoever comes next."""


_SECONDS: Final = {
    precedence: metrics.LINE_SECONDS.labels(precedence.name.lower()) for precedence in Precedence
}

Place: TypeAlias = asyncio.Future[None]
"""Done when its turn has come, or with the error that ends the wait."""


class FairQueue:
    """Who waits: a user's places in order, and users in turn; asking more often gains nothing."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Place]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, user: str, place: Place) -> None:
        """Add a place after the user's others, and after one of each other user."""
        self._waiting.setdefault(user, deque()).append(place)
        self._length += 1

    def pop(self, *, but: Container[str]) -> tuple[str, Place] | None:
        """Take the next place, but not one of these users'."""
        user = next((name for name in self._waiting if name not in but), None)
        if user is None:
            return None
        places = self._waiting.pop(user)
        place = places.popleft()
        if places:
            self._waiting[user] = places
        self._length -= 1
        return user, place

    def remove(self, user: str, place: Place) -> None:
        """Remove a place that waits no longer, if it is still there."""
        places = self._waiting.get(user, deque())
        if place in places:
            places.remove(place)
            self._length -= 1
            if not places:
                del self._waiting[user]

    def pop_newest_of_longest(self, user: str) -> Place | None:
        """Take the newest place of whoever has the most, if they have more than this user would."""
        longest = max(self._waiting, key=lambda name: len(self._waiting[name]))
        places = self._waiting[longest]
        if len(places) <= len(self._waiting.get(user, ())) + 1:
            return None
        self._length -= 1
        return places.pop()


class Line:
    """Serves so many at once; the others wait in line.

    Args:
        size: How many may be served at once.
        waiting_max: How many arriving requests may wait.
        still_s: How long an arriving request waits in a line that does not move.
    """

    def __init__(self, *, size: int, waiting_max: int, still_s: float) -> None:
        self._free = size
        # Where there is only one, leaving it free would mean never.
        self._kept_free = min(1, size - 1)
        # One request of a user at a time: they lock the same rows, and would wait for each other
        # while holding a connection that others could use.
        self._arrived: set[str] = set()
        self._waiting_max = waiting_max
        self._still_s = still_s
        self._queues = {precedence: FairQueue() for precedence in Precedence}
        self._moved_at = time.monotonic()
        self._pace_s = PACE_S
        self._paced_at = self._promised_at = self._moved_at

    @contextlib.asynccontextmanager
    async def place(self, user: str, precedence: Precedence) -> AsyncIterator[None]:
        """Wait in line, then be served inside the block.

        Args:
            user: Who waits, so that users are served in turn; empty for the service itself.
            precedence: Who goes first.

        Raises:
            Overloaded: the line is full.
            DatabaseError: the line stands still.
        """
        began = time.monotonic()
        await self._wait(user, precedence)
        waited_s = time.monotonic() - began
        _SECONDS[precedence].observe(waited_s)
        spend("line", waited_s)
        served = False
        metrics.LINE_SERVED.inc()
        try:
            yield
            served = True
        except DatabaseError:
            raise
        except BaseException:
            # The database did its part.
            served = True
            raise
        finally:
            metrics.LINE_SERVED.dec()
            if served:
                self._moved_at = time.monotonic()
            self._leave(user, precedence)

    async def _wait(self, user: str, precedence: Precedence) -> None:
        if self._can_serve(precedence) and user not in self._taken(precedence):
            self._take(user, precedence)
            return
        queue = self._queues[precedence]
        if precedence is Precedence.ARRIVING and len(queue) >= self._waiting_max:
            self._make_room(queue, user)
        if precedence is Precedence.ARRIVING and not queue:
            self._paced_at = time.monotonic()
        place: Place = asyncio.get_running_loop().create_future()
        queue.push(user, place)
        with (
            metrics.LINE_WAITING.labels(precedence.name.lower()).track_inprogress(),
            inner_span("wait in line"),
            uncounted(),
        ):
            try:
                if precedence is Precedence.ARRIVING:
                    await self._while_it_moves(place)
                await place
            except BaseException:
                queue.remove(user, place)
                if place.done() and not place.cancelled() and place.exception() is None:
                    # Its turn had come, and it is gone.
                    self._leave(user, precedence)
                raise
        if precedence is Precedence.ARRIVING:
            now = time.monotonic()
            self._pace_s += (now - self._paced_at - self._pace_s) / PACE_SAMPLES
            self._paced_at = now

    async def _while_it_moves(self, place: Place) -> None:
        since, looks = time.monotonic(), 0
        while looks < LOOKS:
            await asyncio.wait({place}, timeout=self._still_s / LOOKS)
            if place.done():
                return
            moved_at = max(since, self._moved_at)
            looks = looks + 1 if moved_at == since else 1
            since = moved_at
        raise DatabaseError(retry_after_s=self._retry_after_s())

    def _make_room(self, queue: FairQueue, user: str) -> None:
        """Make room for one more of this user's places, unless nobody has more waiting.

        Raises:
            Overloaded: nobody has more.
        """
        metrics.LINE_REFUSED.inc()
        refused = queue.pop_newest_of_longest(user) if self._waiting_max else None
        error = Overloaded(retry_after_s=self._retry_after_s())
        if refused is None:
            raise error
        refused.set_exception(error)

    def _retry_after_s(self) -> int:
        """The time until those who wait now have been served, at the recent pace.

        Whoever is refused next is told to come after that: if all came back at once, most of them
        would be refused again.
        """
        now = time.monotonic()
        served_at = now + len(self._queues[Precedence.ARRIVING]) * self._pace_s
        self._promised_at = max(served_at, self._promised_at + self._pace_s)
        return max(1, min(RETRY_AFTER_S_MAX, math.ceil(self._promised_at - now)))

    def _can_serve(self, precedence: Precedence) -> bool:
        return self._free > (self._kept_free if precedence is Precedence.SPARE else 0)

    def _taken(self, precedence: Precedence) -> Container[str]:
        return self._arrived if precedence is Precedence.ARRIVING else ()

    def _take(self, user: str, precedence: Precedence) -> None:
        self._free -= 1
        if precedence is Precedence.ARRIVING:
            self._arrived.add(user)

    def _leave(self, user: str, precedence: Precedence) -> None:
        self._free += 1
        if precedence is Precedence.ARRIVING:
            self._arrived.discard(user)
        for waits, queue in self._queues.items():
            while self._can_serve(waits) and (found := queue.pop(but=self._taken(waits))):
                if not found[1].done():
                    self._take(found[0], waits)
                    found[1].set_result(None)
