"""Waiting for turns that other processes run: by notification, with polling behind it."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final
from uuid import UUID

POLL_S: Final = 1.0
"""How long a waiting turn trusts that nothing has happened, before it looks again."""

Over = Callable[[UUID, int], None]


class Wakeups:
    """Knows who waits in this process for a turn to end, or for its own to begin."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[UUID, int], set[asyncio.Event]] = defaultdict(set)
        self._over: list[Over] = []

    def on_over(self, callback: Over) -> None:
        """Call back with conversation id and number whenever a turn is over."""
        self._over.append(callback)

    @contextlib.contextmanager
    def waiting(self, conversation_id: UUID, number: int) -> Iterator[asyncio.Event]:
        """An event that is set when this turn's time has come, or when it is over."""
        key, event = (conversation_id, number), asyncio.Event()
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def wake(self, conversation_id: UUID, over: int, following: int) -> None:
        """A turn is over; another one's time may have come."""
        for number in (over, following):
            for event in self._waiting.get((conversation_id, number), ()):
                event.set()
        for callback in self._over:
            callback(conversation_id, over)

    def notified(self, payload: str) -> UUID:
        """The same, reported by another process: see `store.settle.WAKE_CHANNEL`.

        Returns:
            The conversation.
        """
        conversation, over, following = payload.split(" ")
        conversation_id = UUID(conversation)
        self.wake(conversation_id, int(over), int(following))
        return conversation_id


async def pause(event: asyncio.Event, *, at_most_s: float = POLL_S) -> None:
    """Wait for the event, or until it is time to look again; jittered to spread the looks."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most_s * random.uniform(0.7, 1.0)):  # noqa: S311
            await event.wait()
    event.clear()
