"""A circuit breaker: a model that keeps failing rests for a while, then is tried with one call.

One per model and process, counting what its process saw: a vendor may well fail one machine only.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog

from taskchat.telemetry import metrics

log = structlog.get_logger()

REST_S_MAX: Final = 300
"""The longest rest at a model's own request; a vendor's “come back tomorrow” is tried sooner."""


class CircuitBreaker:
    """Says whether a model may be asked. Nothing awaits in here, so that no lock is needed.

    Args:
        model: The model's name in the chain.
        failures_max: Failures in a row that open it; 0 means that it never opens.
        open_s: How long it stays open before one call is let through.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        model: str,
        *,
        failures_max: int,
        open_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._failures_max = failures_max
        self._open_s = open_s
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None
        self._trying = False
        metrics.MODEL_BREAKER_OPEN.labels(model).set(0)

    @property
    def rests_s(self) -> float:
        """How much longer it lets no call through; 0 if a call has a chance."""
        if self._open_until is None:
            return 0.0
        return max(0.0, self._open_until - self._clock())

    def admits(self) -> bool:
        """Whether a call may be made now. While it is open, only the call that tests the model may.

        Whoever is admitted reports how it went: `succeeded`, `failed` or `left`.
        """
        if self._open_until is None:
            return True
        if self.rests_s > 0 or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """The model answered: it is asked again like any other."""
        if self._open_until is not None:
            log.info("model.breaker_closed", model=self._model)
            metrics.MODEL_BREAKER_OPEN.labels(self._model).set(0)
        self._failures = 0
        self._open_until = None
        self._trying = False

    def failed(self) -> None:
        """The model failed, for reasons of its own."""
        self._failures += 1
        tried_again = self._open_until is not None
        if self._failures_max and (tried_again or self._failures >= self._failures_max):
            self._open(self._open_s)

    def left(self) -> None:
        """The call said nothing about the model: it was cancelled, or was itself at fault."""
        self._trying = False

    def rest(self, seconds: float) -> None:
        """The model asked to be left alone for so long."""
        if self._failures_max:
            self._open(min(seconds, REST_S_MAX))

    def _open(self, seconds: float) -> None:
        if self._open_until is None:
            log.warning("model.breaker_opened", model=self._model, seconds=round(seconds, 3))
            metrics.MODEL_BREAKER_OPEN.labels(self._model).set(1)
        self._open_until = max(self._open_until or 0.0, self._clock() + seconds)
        self._trying = False
