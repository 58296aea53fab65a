"""Whether a repeat may mend what a model call met, by the SDK's judgement, and after what wait."""

import random
from dataclasses import dataclass
from typing import Final

from agents.retry import RetryDecision, RetryPolicyContext, retry_policies

from taskchat.assistant.models.wire import BrokeOff

BACKOFF_S: Final = 0.25
"""Before the first repeat at a model that the vendor gave no time for; each further one waits twice
as long. A person is waiting: long waits are worse than the next model."""

BACKOFF_S_MAX: Final = 2.0
"""The longest of these waits, give or take their jitter."""

QUOTA_USED_UP: Final = "insufficient_quota"
"""OpenAI's code for an account without money: a 429 that no repeat mends."""

_MENDABLE: Final = retry_policies.any(
    retry_policies.provider_suggested(),
    retry_policies.http_status([408, 409, 429, 500, 502, 503, 504]),
    retry_policies.network_error(),
)
"""What a repeat may mend, by the SDK's own judgement; a vendor's `x-should-retry` overrules."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What to wait for before a repeat.

    Attributes:
        seconds: So long.
        asked_for: Whether the vendor said so.
    """

    seconds: float
    asked_for: bool


async def wait_before_repeat(context: RetryPolicyContext, repeats: int) -> Wait | None:
    """The wait before asking the same model again; None where that mends nothing.

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
    """The wait after so many repeats; those of many turns are spread.

    The SDK's own would go on growing from one model to the next.
    """
    wait_s = min(BACKOFF_S * 2.0**repeats, BACKOFF_S_MAX)
    return wait_s * random.uniform(0.75, 1.25)  # noqa: S311
