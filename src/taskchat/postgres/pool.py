"""The pool of connections: asyncpg's, with care for connections that were lost without a word."""

import asyncio
import contextlib
import select
import time
import weakref
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from taskchat.postgres.connect import Connection, Connector
from taskchat.postgres.faults import FAULTS, is_lost
from taskchat.postgres.statements import Row
from taskchat.telemetry import metrics

LOOK_AFTER_S: Final = 30.0
"""A connection that was idle for longer is checked before it is used; a busy one is not."""

LOOK_TIMEOUT_S: Final = 2.0
"""A round trip takes milliseconds; an answer that takes longer than this is not coming."""

RENEW_AFTER_S: Final = 1.0
"""The shortest time between two renewals of the whole pool, however many statements fail."""

AGE_S_MAX: Final = 1800.0
"""An older connection is replaced, and with it what it has gathered on the server's side."""


class PooledConnection(Connection):
    """A connection of the pool, which knows how long it has been idle."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.made_at = self.idle_since = time.monotonic()
        self.is_idle = False
        self._peer = select.poll()
        self._peer.register(self.socket.fileno(), select.POLLIN)

    @property
    def driven(self) -> "PooledConnection":
        """This connection itself, for those who hold the pool's stand-in for it."""
        return self

    async def reset(self, *, timeout: float | None = None) -> None:
        """Roll back what somebody left open; nothing else of ours outlives a transaction.

        Whoever is cancelled can't wait for their own ROLLBACK: a client has left, which the
        driver's reset reports as an error of the program. With none open it is no round trip.
        """
        if self.is_in_transaction():
            await self.execute("ROLLBACK", timeout=timeout)

    async def _cancel(
        self, waiter: asyncio.Future[None], cancel_waiter: asyncio.Future[None] | None = None
    ) -> None:
        """In place of the driver's: a statement that nobody waits for any more comes to its end.

        A request to cancel it would end a commit's wait for a synchronous standby, too: everybody
        would see what is lost if the standby takes over. The server's own limit ends a statement.
        """
        if not waiter.done():
            waiter.set_result(None)
        try:
            if cancel_waiter is not None:
                async with asyncio.timeout(self._config.command_timeout):
                    await asyncio.shield(cancel_waiter)
        except TimeoutError:
            self.terminate()
        finally:
            self._cancellations.discard(asyncio.current_task())

    def was_left(self) -> bool:
        """Whether the server has closed it, or is about to: it says something unasked."""
        return self.is_closed() or bool(self._peer.poll(0))


class Pool:
    """Connections to one database.

    It is waited for in `line`, never here: whoever is served finds one free.

    Args:
        connector: Makes them.
        size: How many at most.
    """

    def __init__(self, connector: Connector, *, size: int) -> None:
        self._connector = connector
        self._size = size
        metrics.CONNECTIONS_MAX.set(size)
        self._made: weakref.WeakSet[PooledConnection] = weakref.WeakSet()
        self._renewed_at = float("-inf")
        self._pool: asyncpg.Pool | None = None

    @contextlib.asynccontextmanager
    async def connection(self, begin: str | None = None) -> AsyncIterator[PooledConnection]:
        """A connection for the block.

        Args:
            begin: What to run first. This statement may be the one that finds the connection dead,
                after the network was cut. Nothing has happened yet at that point, so it is tried
                once more on a new one.

        Raises:
            One of `FAULTS`: there is none to be had, or it is lost.
        """
        held, driven = await self._acquire()
        try:
            if begin is not None:
                try:
                    await driven.execute(begin)
                except FAULTS as error:
                    if not is_lost(error):
                        raise
                    self._lose(driven)
                    held, driven = await self._acquire()
                    await driven.execute(begin)
            try:
                yield driven
            except FAULTS as error:
                if is_lost(error):
                    self._lose(driven)
                raise
        finally:
            await self._release(held, driven)

    async def _acquire(self) -> tuple[PoolConnectionProxy, PooledConnection]:
        """A connection, and the pool's stand-in for it, which forgets it once it is closed."""
        pool = self._pool
        if pool is None:
            pool = self._pool = asyncpg.create_pool(
                min_size=0,
                max_size=self._size,
                connection_class=PooledConnection,
                record_class=Row,
                connect=self._connect,
            )
            await pool
        while True:
            held = await pool.acquire()
            driven: PooledConnection = held.driven
            driven.is_idle = False
            try:
                if await self._is_fit(driven):
                    return held, driven
            except BaseException:
                await self._release(held, driven)
                raise

    async def _release(self, held: PoolConnectionProxy, driven: PooledConnection) -> None:
        driven.is_idle, driven.idle_since = True, time.monotonic()
        assert self._pool is not None  # noqa: S101 - it is from there
        # It knows of one that was closed meanwhile, and finds a place for the next.
        await self._pool.release(held)

    def _lose(self, driven: PooledConnection) -> None:
        """Close a connection that is of no further use, and all idle ones.

        Nobody reads a goodbye: what cut this one off has cut off the others.
        """
        driven.terminate()
        if time.monotonic() - self._renewed_at < RENEW_AFTER_S:
            return
        self._renewed_at = time.monotonic()
        for made in list(self._made):
            if made.is_idle:
                made.terminate()

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            await self._pool.close()

    async def _connect(self, *_args: Any, **_options: Any) -> PooledConnection:
        made = await self._connector.connect(PooledConnection)
        self._made.add(made)
        metrics.CONNECTIONS_OPEN.inc()
        made.add_termination_listener(lambda _connection: metrics.CONNECTIONS_OPEN.dec())
        return made

    async def _is_fit(self, driven: PooledConnection) -> bool:
        now = time.monotonic()
        if driven.was_left() or now - driven.made_at > AGE_S_MAX:
            driven.terminate()
            return False
        if now - driven.idle_since < LOOK_AFTER_S:
            return True
        try:
            await driven.execute("SELECT 1", timeout=LOOK_TIMEOUT_S)
        except FAULTS:
            self._lose(driven)
            return False
        return True
