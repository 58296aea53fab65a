"""SIGTERM means drain first, then stop: whatever ASGI server runs the app, in every worker.

The server's own handling closes its sockets at once. Before that, new turns have to be sent
elsewhere, and running ones finished. SIGHUP, which a closed terminal sends, means the same.
"""

import asyncio
import atexit
import contextlib
import multiprocessing
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Final, NoReturn

import structlog

log = structlog.get_logger()

SIGNALS: Final = tuple(
    signal.Signals[name]
    for name in ("SIGTERM", "SIGINT", "SIGHUP")
    # Windows has no SIGHUP.
    if name in signal.Signals.__members__
)

STOPPED: Final = {number: 130 if number == signal.SIGINT else 0 for number in SIGNALS}
"""Exit codes of a running service: it ends by being stopped. Ctrl-C has its usual code."""

BROKEN_OFF: Final = {number: 128 + number for number in SIGNALS}
"""Exit codes of work that has not finished, or not begun; the shell uses the same."""

_ended_with: list[int] = []


def heeded() -> list[signal.Signals]:
    """The signals that end this process.

    `nohup` ignores one; a worker leaves two to its parent, which gets them from the same terminal.
    """
    if multiprocessing.parent_process() is not None:
        return [signal.SIGTERM]
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def end_on_signals(codes: Mapping[signal.Signals, int]) -> None:
    """From now on a signal ends this process in order: what has to be undone at exit is undone.

    Args:
        codes: The exit code for each signal.
    """

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        _ended_with.append(codes[signal.Signals(number)])
        sys.exit(_ended_with[0])

    caught = heeded()
    for number in SIGNALS:
        signal.signal(number, end if number in caught else signal.SIG_IGN)
    # Registered last, and so the first thing at exit: nobody is left who could take an exception.
    atexit.register(ignore_signals)


def ignore_signals() -> None:
    """From now on no signal interrupts what this process still has to do at its end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def exit_code() -> int | None:
    """The exit code that a signal has set for this process; None if there was no signal.

    The exit may have been raised within a library that made another exception of it.
    """
    return _ended_with[0] if _ended_with else None


@contextlib.contextmanager
def exiting_as_told() -> Iterator[None]:
    """Inside the block, an error that a library makes of a signal's exit is that exit again.

    A signal that comes while a loop closes breaks the closing off, for instance.
    """
    try:
        yield
    except Exception:
        if _ended_with:
            sys.exit(_ended_with[0])
        raise


@contextlib.contextmanager
def drained_on_signals(
    drain: Callable[[], Awaitable[None]], hurry: Callable[[], None]
) -> Iterator[None]:
    """Inside the block, the first signal drains and only then reaches the server.

    A second signal skips the drain.

    Args:
        drain: Returns in bounded time.
        hurry: Makes a drain that is under way return at once.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals belong to the main thread; an app in another one is stopped by its test.
        yield
        return
    loop = asyncio.get_running_loop()
    servers: dict[int, Any] = {}
    jobs: list[asyncio.Future[None]] = []

    def pass_on(number: int) -> None:
        # No server takes SIGHUP as a request to stop.
        known = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        handler = servers[known]
        if callable(handler):
            handler(known, None)

    async def drain_then_pass_on(number: int) -> None:
        log.info("app.draining", signal=signal.Signals(number).name)
        await drain()
        pass_on(number)

    def begin(number: int) -> None:
        if jobs:
            hurry()
            pass_on(number)
        else:
            jobs.append(asyncio.ensure_future(drain_then_pass_on(number)))

    def received(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin, number)

    caught = heeded()
    for sign in SIGNALS:
        servers[sign] = signal.signal(sign, received if sign in caught else signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in servers.items():
            signal.signal(number, handler)
