"""SQL of the token buckets. Every statement of a user's names the owner.

A turn spends in the function that begins it, and its model tokens in the one that ends it.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text

from taskchat.postgres.database import Connection
from taskchat.principal import Principal

TOKENS: Final = "tokens"
"""The bucket of model tokens."""

MCP: Final = "mcp"
"""The bucket of tool calls of MCP clients. All others hold turns."""

IDLE_S: Final = 600
"""A bucket is looked at only when it was untouched for so long: one of turns has been full for nine
minutes then, and one of model tokens unless it was deep in debt."""

_SPEND = text(
    "SELECT * FROM spend_1(:owner, CAST(:scopes AS text[]), CAST(:per_minute AS float8[]),"
    " CAST(:costs AS float8[]))"
)
_PEEK = text(
    "SELECT scope, level + per_minute / 60"
    " * greatest(0, extract(epoch FROM clock_timestamp() - updated_at)) AS level"
    " FROM rate_buckets WHERE user_id = :owner AND scope = ANY (CAST(:scopes AS text[]))"
)
_FORGET = text(
    "WITH full_ones AS MATERIALIZED (SELECT user_id, scope FROM rate_buckets"
    " WHERE updated_at < now() - make_interval(secs => :idle_s)"
    # One that is full is as one that is not there. By the limit when it was last spent from.
    " AND level + per_minute / 60 * extract(epoch FROM now() - updated_at) >= per_minute"
    # Whoever spends from it meanwhile holds it; who comes later finds none, which is full.
    " LIMIT :rows_max FOR UPDATE SKIP LOCKED)"
    # An array, so that they are found by their key: a join would read the table once more.
    " DELETE FROM rate_buckets WHERE user_id = ANY (ARRAY(SELECT user_id FROM full_ones))"
    " AND (user_id, scope) IN (SELECT user_id, scope FROM full_ones)"
)


async def spend(
    connection: Connection, principal: Principal, scope: str, *, per_minute: int, cost: int
) -> float:
    """Spend from one bucket, and return what is left in it, which may be below zero.

    Args:
        connection: A connection of the principal's.
        principal: The owner of the bucket.
        scope: Which one.
        per_minute: A minute's worth.
        cost: How much to spend.
    """
    result = await connection.execute(
        _SPEND,
        {
            "owner": principal.user_id,
            "scopes": [scope],
            "per_minute": [per_minute],
            "costs": [cost],
        },
    )
    return float(result.one().levels[0])


async def levels_of(
    connection: Connection, principal: Principal, scopes: Sequence[str]
) -> dict[str, float]:
    """What is in buckets that are not full, by scope."""
    rows = await connection.execute(_PEEK, {"owner": principal.user_id, "scopes": scopes})
    return {row.scope: row.level for row in rows}


async def forget_idle(connection: Connection, *, rows_max: int) -> int:
    """Forget buckets that are full anyway; returns how many. A system transaction."""
    return await connection.change(_FORGET, {"idle_s": IDLE_S, "rows_max": rows_max})
