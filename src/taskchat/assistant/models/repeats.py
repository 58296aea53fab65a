"""Whether repeating a model call may help, by the SDK's judgement, and how long to wait first."""

import random
from dataclasses import dataclass
from typing import Final

from agents.retry import RetryDecision, RetryPolicyContext, retry_policies

from taskchat.assistant.models.wire import BrokeOff

BACKOFF_S: Final = 0.25
"""The wait before the first repeat if the vendor named none; each further one is twice as long. A
person is waiting: long waits are worse than the next model."""

BACKOFF_S_MAX: Final = 2.0
"""The longest of these waits, apart from jitter."""

QUOTA_USED_UP: Final = "insufficient_quota"
"""OpenAI's code for an account without money: a 429 that no repeat fixes."""

_MENDABLE: Final = retry_policies.any(
    retry_policies.provider_suggested(),
    retry_policies.http_status([408, 409, 429, 500, 502, 503, 504]),
    retry_policies.network_error(),
)
"""What a repeat may fix, by the SDK's own judgement; a vendor's `x-should-retry` overrules it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait before a repeat.

    Attributes:
        seconds: How long to wait.
        asked_for: Whether the vendor asked for it.
    """

    seconds: float
    asked_for: bool


async def wait_before_repeat(context: RetryPolicyContext, repeats: int) -> Wait | None:
    """The wait before asking the same model again; None if that would not help.

    Args:
        context: What the SDK knows of the failure.
        repeats: How often it has been asked again already.
    """
    judged = isinstance(context.error.__cause__, BrokeOff) or _MENDABLE(context)
    decision = judged if isinstance(judged, bool | RetryDecision) else await judged
    if isinstance(decision, bool):
        decision = RetryDecision(retry=decision)
    if not decision.retry or context.normalized.error_code == QUOTA_USED_UP:
        return None
    asked_for_s = context.normalized.retry_after if decision.delay is None else decision.delay
    if asked_for_s is not None:
        return Wait(asked_for_s, asked_for=True)
    return Wait(backoff_s(repeats), asked_for=False)


def backoff_s(repeats: int) -> float:
    """The wait after so many repeats; jitter spreads those of many turns.

    The SDK's own backoff would keep growing from one model to the next.
    """
    wait_s = min(BACKOFF_S * 2.0**repeats, BACKOFF_S_MAX)
    return wait_s * random.uniform(0.75, 1.25)  # noqa: S311
