"""Processes that serve one address. They start together or not at all, and end with their parent.

A worker that dies later is replaced. Signals of the terminal are the parent's, who passes them on.
"""

import functools
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Final, NoReturn

import structlog

from taskchat.refusals import CannotStart, refusal_of
from taskchat.serving.memory import put_off_collection
from taskchat.settings import Settings
from taskchat.signals import STOPPED, end_on_signals, exiting_as_told, heeded, ignore_signals

log = structlog.get_logger()

RESTART_PAUSE_S: Final = 1.0
"""Wait between replacing dead workers: one that dies at once must not use up a processor."""

LOOK_S: Final = 0.2
"""The longest delay before a signal is acted upon."""

_spawn = multiprocessing.get_context("spawn")

Serve = Callable[[list[socket.socket], Callable[[], None]], None]
"""Serves until told to stop, and says once that it does; must survive pickling."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process, and the connection on which it reports that it serves."""

    process: SpawnProcess
    ready: Connection


class Workers:
    """The worker processes of one service.

    Args:
        serve: What each of them runs.
        sock: The listening socket.
        count: How many there are.
    """

    def __init__(self, serve: Serve, sock: socket.socket, count: int) -> None:
        self._serve, self._sock, self._count = serve, sock, count
        self._workers: list[Worker] = []
        self._signals: list[int] = []

    def run(self, announce: Callable[[], None]) -> NoReturn:
        """Run until a signal says stop, and every worker has followed it.

        Args:
            announce: Called once all of them serve.

        Raises:
            SystemExit: with the code of the signal.
            CannotStart: one worker could not start.
        """
        before = {number: signal.signal(number, self._received) for number in heeded()}
        try:
            for _ in range(self._count):
                self._workers.append(self._start())
            if self._all_ready():
                announce()
            while not self._signals:
                self._replace_dead()
            sys.exit(STOPPED[signal.Signals(self._signals[0])])
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _received(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _start(self) -> Worker:
        ready, tell = _spawn.Pipe(duplex=False)
        process = _spawn.Process(target=_work, args=(self._serve, self._sock, tell))
        process.start()
        tell.close()
        return Worker(process, ready)

    def _all_ready(self) -> bool:
        """Whether all serve; False if a signal came first."""
        waiting = {worker.ready: worker for worker in self._workers}
        while waiting and not self._signals:
            for ready in wait(list(waiting), LOOK_S):
                assert isinstance(ready, Connection)  # noqa: S101 - what was waited for
                worker = waiting.pop(ready)
                refusal = _refusal(worker)
                if refusal is not None:
                    raise refusal
        return not waiting

    def _replace_dead(self) -> None:
        if not wait([worker.process.sentinel for worker in self._workers], LOOK_S):
            return
        for index, worker in enumerate(self._workers):
            if worker.process.exitcode is not None:
                refusal = _refusal(worker) if worker.ready.poll() else None
                log.warning(
                    "worker.died",
                    pid=worker.process.pid,
                    code=worker.process.exitcode,
                    reason=refusal and str(refusal),
                )
                worker.ready.close()
                self._workers[index] = self._start()
        time.sleep(RESTART_PAUSE_S)

    def _end(self) -> None:
        """Stop them all; each signal that comes meanwhile is passed on as well."""
        passed = 0
        while alive := [worker for worker in self._workers if worker.process.is_alive()]:
            if passed < max(1, len(self._signals)):
                passed += 1
                for worker in alive:
                    worker.process.terminate()
            wait([worker.process.sentinel for worker in alive], LOOK_S)


def _refusal(worker: Worker) -> CannotStart | None:
    """Why a worker does not serve; None if it does."""
    try:
        said: CannotStart | None = worker.ready.recv()
    except EOFError:
        worker.process.join()
        said = CannotStart(f"a worker ended with code {worker.process.exitcode} before it served")
    return said


def _work(serve: Serve, sock: socket.socket, tell: Connection) -> None:
    """What runs in a worker."""
    begin_child()
    try:
        with exiting_as_told():
            serve([sock], functools.partial(tell.send, None))
    except (CannotStart, OSError) as error:
        # The parent hears it and ends all workers, this one too, which is ending by itself.
        ignore_signals()
        tell.send(refusal_of(error))


def serve_in_child(
    settings: Settings, sockets: list[socket.socket], ready: Callable[[], None]
) -> None:
    """What a child runs, once it has begun: only now does it import the app."""
    from taskchat.serving.server import serve
    from taskchat.telemetry.logs import configure_logs

    configure_logs(settings)
    serve(settings, sockets, ready)


def begin_child() -> None:
    """Prepare a process that serves for its parent: it ends with the parent, however that ends."""
    put_off_collection()
    end_on_signals(STOPPED)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this is a child
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
