"""LISTEN on one connection per process, for everybody here who waits for a notification.

A notification is a hint. If one is lost, or a pooler carries none, those who wait lose a moment:
all of them also poll.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

import structlog

from taskchat.postgres.connect import Connection, connect
from taskchat.postgres.faults import FAULTS
from taskchat.telemetry import metrics

log = structlog.get_logger()

RECONNECT_S: Final = 2.0
"""Wait between attempts to listen again; polling serves in the meantime."""

CHECK_S: Final = 10.0
"""How often an idle listener checks that its connection still lives; a dead peer says nothing."""

TIMEOUT_S: Final = 5.0
"""Time limit of what is asked over the connection; a peer that is gone says nothing."""


class Listener:
    """One connection that listens, for as long as the app lives.

    Args:
        direct_url: A database address without a transaction pooler.

    Attributes:
        listening: Set while notifications arrive.
    """

    def __init__(self, direct_url: str) -> None:
        self._url = direct_url
        self._channels: dict[str, Callable[[str], None]] = {}
        self._reconnected: list[Callable[[], None]] = []
        self._job: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    def on(self, channel: str, callback: Callable[[str], None]) -> None:
        """Call back with the payload of every notification on a channel; use before `start`."""
        self._channels[channel] = callback

    def on_listening(self, callback: Callable[[], None]) -> None:
        """Register a callback for whenever listening begins: what came before was not heard."""
        self._reconnected.append(callback)

    def start(self) -> None:
        """Begin to listen, in a job of its own."""
        self._job = asyncio.create_task(self._listen(), name="listener")

    async def close(self) -> None:
        """Stop listening."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                connection = await connect(self._url, command_timeout_s=TIMEOUT_S)
            except FAULTS as error:
                log.warning("listener.unreachable", error=type(error).__name__)
            else:
                await self._serve(connection)
            await asyncio.sleep(RECONNECT_S * random.uniform(0.5, 1.5))  # noqa: S311

    async def _serve(self, connection: Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        try:
            for channel in self._channels:
                await connection.add_listener(channel, self._notified)
            self.listening.set()
            metrics.LISTENING.set(1)
            for callback in self._reconnected:
                callback()
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_S):
                        await lost.wait()
                if not lost.is_set():
                    await connection.execute("SELECT 1")
        except FAULTS as error:
            log.warning("listener.lost", error=type(error).__name__)
        finally:
            self.listening.clear()
            metrics.LISTENING.set(0)
            connection.terminate()

    def _notified(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._channels[channel](str(payload))
