"""How long to go on with a service that is away: waits that grow, and a bound on all of them."""

import random
from asyncio import sleep
from collections.abc import Callable
from time import monotonic
from typing import Final

from taskchat_client.errors import Refused, TaskchatError

WAIT_FIRST_S: Final = 0.25
WAIT_MAX_S: Final = 8.0
"""Waits double from the first to this. A service that starts anew is seldom away for longer."""

OnRetry = Callable[[TaskchatError, float], None]


class Patience:
    """That of one call.

    Args:
        seconds: How long it may get nowhere before it is given up.
        on_retry: Is told of each wait: what went wrong, and for how many seconds.
    """

    def __init__(self, seconds: float, on_retry: OnRetry | None) -> None:
        self._seconds, self._on_retry = seconds, on_retry
        self.renew()

    def renew(self) -> None:
        """It got somewhere."""
        self._failures = 0
        self._failing_since: float | None = None

    async def wait(self, error: TaskchatError) -> None:
        """Wait until the next attempt.

        Raises:
            TaskchatError: this error, if it does not pass, or there is no patience left.
        """
        if not error.passes:
            raise error
        now = monotonic()
        if self._failing_since is None:
            self._failing_since = now
        wait_s = min(WAIT_FIRST_S * 2**self._failures, WAIT_MAX_S)
        # Not all clients of a service that starts anew should come in the same moment.
        wait_s *= random.uniform(0.5, 1)  # noqa: S311 - no secret
        if isinstance(error, Refused) and error.retry_after_s is not None:
            wait_s = max(wait_s, error.retry_after_s)
        if now + wait_s > self._failing_since + self._seconds:
            raise error
        self._failures += 1
        if self._on_retry is not None:
            self._on_retry(error, wait_s)
        await sleep(wait_s)
