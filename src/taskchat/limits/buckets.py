"""Token buckets in Postgres: a turn is counted once, whichever process it comes in on.

A turn spends from three buckets at once, in the transaction that accepts it: if one of them is
empty, nothing is spent.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from taskchat.errors import RateLimited
from taskchat.limits import repository
from taskchat.limits.repository import MCP, TOKENS
from taskchat.postgres.database import Connection
from taskchat.principal import Channel, Principal
from taskchat.settings import Settings
from taskchat.telemetry import metrics

log = structlog.get_logger()


EPSILON: Final = 1e-6
"""Floating-point error: a level this little below zero counts as zero."""


@dataclass(frozen=True, slots=True)
class RateLevel:
    """What is left of one limit.

    Attributes:
        scope: user, conversation:<id>, channel:<name>, tokens or mcp.
        limit: A minute's worth, which is also what a full bucket holds.
        remaining: How many whole tokens are left.
        reset_at: When it is full again, in seconds since 1970.
        retry_after_s: Seconds until there is one; 0 if there already is.
    """

    scope: str
    limit: int
    remaining: int
    reset_at: int
    retry_after_s: int


def limiter_failed(what: str) -> None:
    """Note that the limits could not be checked, and that the turn went on all the same.

    Args:
        what: turns or tokens.
    """
    metrics.LIMITER_FAILURES.labels(what).inc()
    log.warning("limits.failed_open", what=what)


class RateLimits:
    """The limits of one service.

    Args:
        settings: The limits; 0 means no limit.
    """

    def __init__(self, settings: Settings) -> None:
        self._user = settings.rate_user_per_minute
        self._conversation = settings.rate_conversation_per_minute
        self._channel = settings.rate_channel_per_minute
        self._tokens = settings.rate_tokens_per_minute
        self._mcp = settings.rate_mcp_per_minute

    @property
    def tokens_per_minute(self) -> int | None:
        """How many model tokens a user may spend in a minute; None if they are not limited."""
        return self._tokens or None

    def of_turn(self, conversation_id: UUID | None, channel: Channel) -> dict[str, int]:
        """The limits that a turn counts against, by scope."""
        limits = {"user": self._user, f"channel:{channel}": self._channel}
        if conversation_id is not None:
            limits[f"conversation:{conversation_id}"] = self._conversation
        return {scope: limit for scope, limit in limits.items() if limit}

    def to_spend(
        self, conversation_id: UUID, channel: Channel
    ) -> tuple[dict[str, int], dict[str, int]]:
        """The limits that a turn counts against, and how much it spends of each, by scope.

        It spends no model tokens, but one has to be left.
        """
        limits = self.of_turn(conversation_id, channel)
        costs = dict.fromkeys(limits, 1)
        if self._tokens:
            limits[TOKENS], costs[TOKENS] = self._tokens, 0
        return limits, costs

    async def debit_tokens(self, connection: Connection, principal: Principal, tokens: int) -> None:
        """Count what was used apart from a turn; the bucket may go below zero."""
        if self._tokens and tokens:
            await repository.spend(
                connection, principal, TOKENS, per_minute=self._tokens, cost=tokens
            )

    async def spend_call(self, connection: Connection, principal: Principal) -> RateLevel | None:
        """Count one tool call of an MCP client; None if those are not limited.

        Raises:
            RateLimited: they are used up. Nothing is spent once the transaction is rolled back.
        """
        if not self._mcp:
            return None
        left = await repository.spend(connection, principal, MCP, per_minute=self._mcp, cost=1)
        if left < -EPSILON:
            raise refusal({MCP: left}, {MCP: self._mcp}, {MCP: 1})
        return level_of(MCP, self._mcp, left)

    async def levels(
        self,
        connection: Connection,
        principal: Principal,
        conversation_id: UUID | None,
        channels: Iterable[Channel] = tuple(Channel),
        *,
        with_calls: bool = False,
    ) -> Sequence[RateLevel]:
        """What is left of each limit, spending nothing.

        Args:
            connection: A connection of the principal's.
            principal: The owner of the buckets.
            conversation_id: The conversation whose limit to include.
            channels: The channels whose limits to include.
            with_calls: Whether to include that of MCP clients' tool calls.
        """
        limits: dict[str, int] = {}
        for channel in channels:
            limits |= self.of_turn(conversation_id, channel)
        if self._tokens:
            limits[TOKENS] = self._tokens
        if self._mcp and with_calls:
            limits[MCP] = self._mcp
        found = await repository.levels_of(connection, principal, list(limits))
        return [
            level_of(scope, limit, min(limit, found.get(scope, limit)))
            for scope, limit in limits.items()
        ]


def spent(
    levels: Mapping[str, float], limits: Mapping[str, int], costs: Mapping[str, int]
) -> RateLevel | None:
    """The tightest of the levels that a turn has spent from; None if nothing is limited.

    Args:
        levels: What is left, by scope.
        limits: A minute's worth, by scope.
        costs: How much the turn has spent of each, by scope.
    """
    return tightest(
        level_of(scope, limits[scope], level) for scope, level in levels.items() if costs[scope]
    )


def refusal(
    levels: Mapping[str, float], limits: Mapping[str, int], costs: Mapping[str, int]
) -> RateLimited:
    """The error of a turn that one of its limits has refused; as for `spent`."""
    return _refused(
        max(
            (level_of(scope, limits[scope], left + costs[scope]) for scope, left in levels.items()),
            key=lambda level: level.retry_after_s,
        )
    )


def level_of(scope: str, limit: int, level: float) -> RateLevel:
    """A bucket's level, as it is reported."""
    per_second = limit / 60
    return RateLevel(
        scope=scope,
        limit=limit,
        remaining=max(0, math.floor(level + EPSILON)),
        reset_at=math.ceil(time.time() + max(0.0, limit - level) / per_second),
        retry_after_s=0 if level >= 1 - EPSILON else math.ceil((1 - level) / per_second),
    )


def tightest(levels: Iterable[RateLevel]) -> RateLevel | None:
    """The level that will be used up first."""
    return min(levels, key=lambda level: level.remaining, default=None)


def headers_of(level: RateLevel | None) -> dict[str, str]:
    """The headers that report a level; none if nothing is limited."""
    if level is None:
        return {}
    return {
        "X-RateLimit-Limit": str(level.limit),
        "X-RateLimit-Remaining": str(level.remaining),
        "X-RateLimit-Reset": str(level.reset_at),
    }


_ALLOWED: Final = {
    "user": "{} messages a minute are allowed",
    "conversation": "{} messages a minute are allowed in one conversation",
    "channel": "{} messages a minute are allowed over one channel",
    TOKENS: "{} model tokens a minute are allowed",
    MCP: "{} tool calls a minute are allowed",
}


def _refused(level: RateLevel) -> RateLimited:
    """The error of a limit that is used up."""
    allowed = _ALLOWED[level.scope.partition(":")[0]].format(level.limit)
    error = RateLimited(
        f"{allowed}; send this one again in {level.retry_after_s} seconds.",
        retry_after_s=level.retry_after_s,
    )
    error.headers = headers_of(level)
    return error
