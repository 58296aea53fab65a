"""SIGTERM means drain first, then stop: whatever ASGI server runs the app, in every worker.

The server's own handling closes its sockets at once. Before that, new turns are to be told to go
elsewhere and running ones to be finished.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any

import structlog

log = structlog.get_logger()

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def drained_on_signals(drain: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Inside the block, the first signal drains and only then reaches the server.

    A second signal reaches it at once.

    Args:
        drain: Returns in bounded time.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals belong to the main thread; an app in another one is stopped by its test.
        yield
        return
    loop = asyncio.get_running_loop()
    servers: dict[int, Any] = {}
    jobs: list[asyncio.Future[None]] = []

    def pass_on(number: int) -> None:
        handler = servers[number]
        if callable(handler):
            handler(number, None)

    async def drain_then_pass_on(number: int) -> None:
        log.info("app.draining", signal=signal.Signals(number).name)
        await drain()
        pass_on(number)

    def begin(number: int) -> None:
        if jobs:
            pass_on(number)
        else:
            jobs.append(asyncio.ensure_future(drain_then_pass_on(number)))

    def received(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin, number)

    for caught in SIGNALS:
        servers[caught] = signal.signal(caught, received)
    try:
        yield
    finally:
        for number, handler in servers.items():
            signal.signal(number, handler)
