"""Time limits on work that may have to wait for others. Waiting in line is not counted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Final


class TimeLimit:
    """A running limit that can be paused.

    Args:
        timeout: The timeout of the work, already entered.
    """

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._pauses = 0
        self._left_s = 0.0
        self.over = False

    def pause(self) -> None:
        """Stop counting until `resume` has been called as often."""
        self._pauses += 1
        ends_at = self._timeout.when()
        if self._pauses == 1 and ends_at is not None and not self._ended:
            self._left_s = ends_at - self._loop.time()
            self._timeout.reschedule(None)

    def resume(self) -> None:
        """Continue counting where it was paused."""
        self._pauses -= 1
        if self._pauses == 0 and not self._ended:
            self._timeout.reschedule(self._loop.time() + self._left_s)

    @property
    def _ended(self) -> bool:
        return self.over or self._timeout.expired()


_running: Final[ContextVar[tuple[TimeLimit, ...]]] = ContextVar("time limits", default=())


@contextlib.asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[None]:
    """Limit the time of what happens inside, like `asyncio.timeout`, except what is `uncounted`.

    Raises:
        TimeoutError: it took too long.
    """
    async with asyncio.timeout(seconds) as timeout:
        limit = TimeLimit(timeout)
        outer = _running.set((*_running.get(), limit))
        try:
            yield
        finally:
            # A job that was begun inside may outlive the limit and still know of it.
            limit.over = True
            _running.reset(outer)


@contextlib.contextmanager
def uncounted() -> Iterator[None]:
    """What happens inside does not count against the limits around it."""
    limits = _running.get()
    for limit in limits:
        limit.pause()
    try:
        yield
    finally:
        for limit in limits:
            limit.resume()
