"""Signs of life of this process, which do not wait for its event loop.

A thread with a connection of its own reports that the process lives, however busy the loop is. It
also asks the loop for an answer: a process whose loop no longer answers has no use for its turns,
and stops renewing their lease.
"""

import asyncio
import contextlib
import math
import secrets
import threading
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

import structlog

from taskchat.postgres.connect import Connection, connect
from taskchat.postgres.faults import FAULTS
from taskchat.processes import repository
from taskchat.processes.repository import Lease
from taskchat.telemetry import metrics

log = structlog.get_logger()

PATIENCE_S_MIN: Final = 2.0
"""The least time that the database may take over one sign of life; a long lease allows more."""

STOP_S: Final = 5.0
"""How long a stopping app waits for the last word of its heartbeat."""


class Heartbeat:
    """The heartbeat of one process.

    Args:
        urls: Addresses of the database, the direct one first; the next one serves while it is out
            of reach.
        process: This process.
        lease: How long each sign is valid.

    Attributes:
        beats: How many signs of life the database has received.
    """

    def __init__(self, urls: Sequence[str], process: UUID, *, lease: Lease) -> None:
        self._urls = list(dict.fromkeys(urls))
        self._process = process
        self._lease = lease
        self._patience_s = max(lease.seconds / 3, PATIENCE_S_MIN)
        self._answered = True
        self._unanswered_s = 0.0
        self._heard_at = time.monotonic()
        self._app: asyncio.AbstractEventLoop
        self._own: asyncio.AbstractEventLoop
        self._life: asyncio.Task[None]
        self._thread: threading.Thread | None = None
        self._left: Connection | None = None
        self.beats = 0

    def start(self) -> None:
        """Start the thread; call it on the loop that has to answer."""
        self._app = asyncio.get_running_loop()
        self._own = asyncio.new_event_loop()
        self._life = self._own.create_task(self._live())
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        metrics.HEARTBEAT_AGE.set_function(lambda: time.monotonic() - self._heard_at)
        self._thread.start()

    async def close(self) -> None:
        """Say that the process ends, and stop. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._own.call_soon_threadsafe(self._life.cancel)
            await asyncio.to_thread(thread.join, STOP_S)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._own.run_until_complete(self._life)
        self._own.close()

    async def _live(self) -> None:
        try:
            while True:
                for url in self._urls:
                    if await self._served(url):
                        break
                await asyncio.sleep(self._lease.beat_s / 2)
        finally:
            self._hang_up(None)
            # A connection is closed by the loop, and this loop runs no longer than this.
            await asyncio.sleep(0)

    async def _served(self, url: str) -> bool:
        """Beat over one address until the connection is lost; False if there was none."""
        connected = False
        try:
            async with self._connection(url) as (connection, session):
                connected = True
                await self._beat(connection, session, url)
        except FAULTS as error:
            log.warning("heartbeat.lost", error=type(error).__name__)
        except Exception:
            # Otherwise nobody would notice that this process is about to be taken for dead.
            log.exception("heartbeat.crashed")
        return connected

    @contextlib.asynccontextmanager
    async def _connection(self, url: str) -> AsyncIterator[tuple[Connection, int | None]]:
        """A connection, and the lock that its session holds for as long as it is open."""
        async with asyncio.timeout(self._patience_s):
            connection = await connect(url, command_timeout_s=self._patience_s)
        try:
            session = secrets.randbits(62)
            held = await connection.execute(
                repository.hold_session(
                    session, server_pid=connection.get_server_pid(), lease=self._lease
                )
            )
            yield connection, session if held == "SELECT 1" else None
        finally:
            self._hang_up(connection)

    def _hang_up(self, connection: Connection | None) -> None:
        """Close the connection before this one; this one is closed once the next is heard.

        The network may be silent without the server knowing: for as long as the old session is
        open, this process counts as connected.
        """
        if self._left is not None:
            self._left.terminate()
        self._left = connection

    async def _beat(self, connection: Connection, session: int | None, url: str) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        # The direct address may be reachable again.
        back_at = math.inf if url == self._urls[0] else time.monotonic() + self._lease.seconds
        try:
            while time.monotonic() < back_at:
                await connection.execute(
                    repository.beat(
                        self._process,
                        lease=self._lease,
                        session=session,
                        stuck=self._is_stuck(),
                        timeout_s=self._patience_s,
                    )
                )
                self._heard()
                self._hang_up(None)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._lease.beat_s):
                        await lost.wait()
                    raise ConnectionResetError
        except asyncio.CancelledError:
            with contextlib.suppress(*FAULTS):
                await connection.execute(
                    repository.leave(self._process, timeout_s=self._patience_s)
                )
            raise

    def _heard(self) -> None:
        silent_s = time.monotonic() - self._heard_at
        if silent_s > self._lease.seconds:
            metrics.LEASES_LAPSED.inc()
            log.warning("heartbeat.late", seconds=round(silent_s, 1))
        self._heard_at = time.monotonic()
        self.beats += 1

    def _is_stuck(self) -> bool:
        """Whether the app's loop has not answered for longer than the grace.

        It is counted in beats of this thread: what freezes the process, or starves it, stops both.
        """
        if self._answered:
            self._answered, self._unanswered_s = False, 0.0
            # A closed loop answers nobody, and has no turns.
            with contextlib.suppress(RuntimeError):
                self._app.call_soon_threadsafe(self._answer)
        else:
            self._unanswered_s += self._lease.beat_s
        return self._unanswered_s > self._lease.grace_s

    def _answer(self) -> None:
        self._answered = True
