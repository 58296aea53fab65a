"""SQL of the token buckets. Every statement of a user's names the owner."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from taskchat.postgres.database import Connection
from taskchat.principal import Principal

TOKENS: Final = "tokens"
"""The bucket of model tokens; all others hold turns."""

IDLE_S: Final = 600
"""A bucket that was untouched for so long has been full for nine minutes: its row says nothing."""

# Each row's own moment counts, not the transaction's: a statement that waited for the row's lock
# must not count from before its last change. Rows are taken in one order, to avoid deadlocks.
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


class LimiterFailed(Exception):
    """The limits could not be checked; whether anything else works is another question."""


async def change(
    connection: Connection,
    principal: Principal,
    limits: Mapping[str, int],
    costs: Mapping[str, int],
) -> dict[str, float]:
    """Spend from buckets; returns what is left in each, which may be below zero.

    Args:
        connection: A connection of the principal's.
        principal: The owner of the buckets.
        limits: A minute's worth, by scope.
        costs: How much to spend, by scope.

    Raises:
        LimiterFailed: the limits could not be checked; the transaction is broken.
    """
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


async def levels_of(
    connection: Connection, principal: Principal, scopes: Sequence[str]
) -> dict[str, float]:
    """What is in buckets that are not full, by scope."""
    rows = await connection.execute(_PEEK, {"owner": principal.user_id, "scopes": scopes})
    return {row.scope: row.level for row in rows}


async def forget_idle(connection: Connection, *, rows_max: int) -> int:
    """Forget buckets that are full anyway; returns how many. A system transaction."""
    forgotten = await connection.execute(
        _FORGET, {"idle_s": IDLE_S, "tokens": TOKENS, "rows_max": rows_max}
    )
    return forgotten.rowcount
