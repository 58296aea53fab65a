"""Care for the pool's connections: a lost one is noticed, and takes the idle ones with it."""

import time
import weakref
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine

from taskchat.postgres.connect import Connection
from taskchat.postgres.faults import DRIVER_FAULTS, is_lost

LOOK_AFTER_S: Final = 30.0
"""A connection that was idle for longer is checked before it is used; a busy one is not."""

LOOK_TIMEOUT_S: Final = 2.0
"""A round trip takes milliseconds; an answer that takes longer than this is not coming."""

RENEW_AFTER_S: Final = 1.0
"""The shortest time between two renewals of the whole pool, however many statements fail."""


class ConnectionCare:
    """Looks after the connections of one engine's pool, as its events tell of them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._idle: weakref.WeakKeyDictionary[Connection, float] = weakref.WeakKeyDictionary()
        self._renewed_at = float("-inf")
        pool = engine.sync_engine.pool
        event.listen(pool, "checkin", self._checked_in)
        event.listen(pool, "checkout", self._checked_out)
        event.listen(engine.sync_engine, "handle_error", self._failed)

    def _checked_in(self, connection: Any, _record: object) -> None:
        # None if it was found dead while it was out.
        if connection is not None:
            self._idle[connection.driver_connection] = time.monotonic()

    def _checked_out(self, connection: Any, _record: object, _proxy: object) -> None:
        driven: Connection = connection.driver_connection
        idle_since = self._idle.pop(driven, None)
        if driven.is_closed():
            raise DisconnectionError
        if idle_since is None or time.monotonic() - idle_since < LOOK_AFTER_S:
            return
        try:
            connection.run_async(lambda it: it.execute("SELECT 1", timeout=LOOK_TIMEOUT_S))
        except DRIVER_FAULTS as error:
            self._renew(driven)
            raise InvalidatePoolError from error

    def _failed(self, context: ExceptionContext) -> None:
        if context.connection is None or not is_lost(context.original_exception):
            return
        # This makes the pool, too, treat all its connections as stale.
        context.is_disconnect = True
        if not context.connection.invalidated:
            self._renew(context.connection.connection.driver_connection)

    def _renew(self, lost: Any) -> None:
        """Close a lost connection and all idle ones, without a goodbye that nobody reads."""
        lost.terminate()
        if time.monotonic() - self._renewed_at < RENEW_AFTER_S:
            return
        self._renewed_at = time.monotonic()
        for idle in list(self._idle):
            idle.terminate()
        self._idle.clear()
