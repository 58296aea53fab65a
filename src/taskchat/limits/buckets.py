"""Token buckets in Postgres: whatever process a turn comes in on, it is counted once.

A turn spends from three buckets at once, in the transaction that accepts it: where one of them is
empty, the transaction is rolled back and none of them has been spent from.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from taskchat.errors import RateLimited
from taskchat.principal import Principal
from taskchat.settings import Settings
from taskchat.telemetry import metrics

log = structlog.get_logger()

TOKENS: Final = "tokens"
"""The bucket of model tokens; all others hold turns."""

CHANNELS: Final = ("rest", "sse", "websocket")

EPSILON: Final = 1e-6
"""Floating-point dust: a level this little below nothing is nothing."""

IDLE_S: Final = 600
"""A bucket nobody touched for so long has been full for nine minutes: its row says nothing."""

# The clock of each row's own moment, not the transaction's: who waited for the row's lock must not
# reckon from before its last change. Rows are taken in one order, so that no two wait in a circle.
_SPEND = text(
    "INSERT INTO rate_buckets AS b (user_id, scope, per_minute, level, updated_at)"
    " SELECT :owner, w.scope, w.per_minute, w.per_minute - w.cost, clock_timestamp()"
    " FROM unnest(CAST(:scopes AS text[]), CAST(:per_minute AS float8[]), CAST(:costs AS float8[]))"
    " AS w(scope, per_minute, cost) ORDER BY w.scope"
    " ON CONFLICT (user_id, scope) DO UPDATE SET per_minute = excluded.per_minute,"
    " level = least(excluded.per_minute, b.level + excluded.per_minute / 60"
    " * greatest(0, extract(epoch FROM clock_timestamp() - b.updated_at)))"
    " - (excluded.per_minute - excluded.level),"
    " updated_at = greatest(b.updated_at, clock_timestamp())"
    " RETURNING b.scope, b.level"
)
_PEEK = text(
    "SELECT scope, level + per_minute / 60"
    " * greatest(0, extract(epoch FROM clock_timestamp() - updated_at)) AS level"
    " FROM rate_buckets WHERE user_id = :owner AND scope = ANY (CAST(:scopes AS text[]))"
)
_FORGET = text(
    "DELETE FROM rate_buckets WHERE (user_id, scope) IN (SELECT user_id, scope FROM rate_buckets"
    " WHERE updated_at < now() - make_interval(secs => :idle_s) AND scope <> :tokens"
    " LIMIT :rows_max FOR UPDATE SKIP LOCKED)"
)


@dataclass(frozen=True, slots=True)
class RateLevel:
    """What is left of one limit.

    Attributes:
        scope: user, conversation:<id>, channel:<name> or tokens.
        limit: A minute's worth, which is also what a full bucket holds.
        remaining: Whole ones that are left.
        reset_at: When it is full again, in seconds since 1970.
        retry_after_s: Seconds until there is one; 0 where there is.
    """

    scope: str
    limit: int
    remaining: int
    reset_at: int
    retry_after_s: int


class LimiterFailed(Exception):
    """The limits could not be asked; whether anything else works is another question."""


def limiter_failed(what: str) -> None:
    """Note that the limits could not be asked, and that the turn went on all the same.

    Args:
        what: turns or tokens.
    """
    metrics.LIMITER_FAILURES.labels(what).inc()
    log.warning("limits.failed_open", what=what)


class RateLimits:
    """The limits of one service.

    Args:
        settings: For how many; 0 is no limit.
    """

    def __init__(self, settings: Settings) -> None:
        self._user = settings.rate_user_per_minute
        self._conversation = settings.rate_conversation_per_minute
        self._channel = settings.rate_channel_per_minute
        self._tokens = settings.rate_tokens_per_minute

    @property
    def counts_tokens(self) -> bool:
        """Whether model tokens are limited at all."""
        return self._tokens > 0

    def of_turn(self, conversation_id: UUID | None, channel: str) -> dict[str, int]:
        """The limits that a turn counts against, by scope."""
        limits = {"user": self._user, f"channel:{channel}": self._channel}
        if conversation_id is not None:
            limits[f"conversation:{conversation_id}"] = self._conversation
        return {scope: limit for scope, limit in limits.items() if limit}

    async def spend(
        self,
        connection: AsyncConnection,
        principal: Principal,
        conversation_id: UUID,
        channel: str,
    ) -> RateLevel | None:
        """Count one turn, in the transaction that accepts it.

        Returns:
            The tightest level of those with a limit; None where nothing is limited.

        Raises:
            RateLimited: one of them is used up; roll the transaction back.
            LimiterFailed: they could not be asked; the transaction is broken.
        """
        limits = self.of_turn(conversation_id, channel)
        costs = dict.fromkeys(limits, 1)
        if self._tokens:
            limits[TOKENS], costs[TOKENS] = self._tokens, 0
        if not limits:
            return None
        levels = await self._change(connection, principal, limits, costs)
        before = [
            level_of(scope, limits[scope], level + costs[scope]) for scope, level in levels.items()
        ]
        if any(level.retry_after_s for level in before):
            raise _refused(max(before, key=lambda level: level.retry_after_s))
        return tightest(
            level_of(scope, limits[scope], level)
            for scope, level in levels.items()
            if scope != TOKENS
        )

    async def debit_tokens(
        self, connection: AsyncConnection, principal: Principal, tokens: int
    ) -> None:
        """Count what a turn has used; the bucket may go below nothing."""
        if self._tokens and tokens:
            await self._change(connection, principal, {TOKENS: self._tokens}, {TOKENS: tokens})

    async def levels(
        self,
        connection: AsyncConnection,
        principal: Principal,
        conversation_id: UUID | None,
        channels: Iterable[str] = CHANNELS,
    ) -> Sequence[RateLevel]:
        """What is left of each limit, spending nothing.

        Args:
            connection: The principal's.
            principal: Whose.
            conversation_id: Whose limit to tell as well.
            channels: Whose limits to tell.
        """
        limits: dict[str, int] = {}
        for channel in channels:
            limits |= self.of_turn(conversation_id, channel)
        if self._tokens:
            limits[TOKENS] = self._tokens
        rows = await connection.execute(
            _PEEK,
            {"owner": principal.user_id, "scopes": list(limits)},
        )
        found: dict[str, float] = {row.scope: row.level for row in rows}
        return [
            level_of(scope, limit, min(limit, found.get(scope, limit)))
            for scope, limit in limits.items()
        ]

    async def _change(
        self,
        connection: AsyncConnection,
        principal: Principal,
        limits: dict[str, int],
        costs: dict[str, int],
    ) -> dict[str, float]:
        try:
            rows = await connection.execute(
                _SPEND,
                {
                    "owner": principal.user_id,
                    "scopes": list(limits),
                    "per_minute": [float(limit) for limit in limits.values()],
                    "costs": [float(costs[scope]) for scope in limits],
                },
            )
            return {row.scope: row.level for row in rows}
        except DBAPIError as error:
            raise LimiterFailed from error


def level_of(scope: str, limit: int, level: float) -> RateLevel:
    """A bucket's level, as it is told."""
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
    """The headers that tell a level; none where nothing is limited."""
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


async def forget_idle(connection: AsyncConnection, *, rows_max: int) -> int:
    """Forget buckets that are full anyway; returns how many. A system transaction."""
    forgotten = await connection.execute(
        _FORGET, {"idle_s": IDLE_S, "tokens": TOKENS, "rows_max": rows_max}
    )
    return forgotten.rowcount
