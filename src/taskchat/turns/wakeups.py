"""Waiting for turns that other processes run: by notification, with polling behind it.

A notification is a hint. One that is lost, or a pooler that carries none, costs a moment of
waiting and never a turn.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from taskchat.db import dsn_of
from taskchat.turns.repository import WAKE_CHANNEL

log = structlog.get_logger()

POLL_S: Final = 1.0
"""How long a waiting turn believes that nothing happened."""

RECONNECT_S: Final = 2.0
"""Between attempts to listen again; polling serves in the meantime."""

CHECK_S: Final = 10.0
"""How often an idle listener asks whether its connection still lives; a dead peer says nothing."""

LOST: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # What the driver raises when it is cut in the middle of a message.
    asyncpg.InternalClientError,
)
"""How a connection ends."""

Over = Callable[[UUID, int], None]


class Wakeups:
    """One listener a process, and who waits in it.

    Args:
        direct_url: A database address that is no transaction pooler.
    """

    def __init__(self, direct_url: str) -> None:
        self._url = direct_url
        self._waiting: dict[tuple[UUID, int], set[asyncio.Event]] = defaultdict(set)
        self._over: list[Over] = []
        self._job: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    def on_over(self, callback: Over) -> None:
        """Call back with conversation id and number whenever a turn is over."""
        self._over.append(callback)

    def start(self) -> None:
        """Begin to listen, in a job of its own."""
        self._job = asyncio.create_task(self._listen(), name="wakeups")

    async def close(self) -> None:
        """Stop listening."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)

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

    async def _listen(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(dsn_of(self._url), timeout=5, command_timeout=5)
            except LOST as error:
                log.warning("wakeups.unreachable", error=type(error).__name__)
            else:
                await self._serve(connection)
            await asyncio.sleep(RECONNECT_S * random.uniform(0.5, 1.5))  # noqa: S311

    async def _serve(self, connection: asyncpg.Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        try:
            await connection.add_listener(WAKE_CHANNEL, self._notified)
            self.listening.set()
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_S):
                        await lost.wait()
                if not lost.is_set():
                    await connection.execute("SELECT 1")
        except LOST as error:
            log.warning("wakeups.lost", error=type(error).__name__)
        finally:
            self.listening.clear()
            connection.terminate()

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        conversation_id, over, following = str(payload).split(" ")
        self.wake(UUID(conversation_id), int(over), int(following))


async def pause(event: asyncio.Event, *, at_most_s: float = POLL_S) -> None:
    """Wait for the event, or until it is time to look again; jittered, lest all look at once."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most_s * random.uniform(0.7, 1.0)):  # noqa: S311
            await event.wait()
    event.clear()
