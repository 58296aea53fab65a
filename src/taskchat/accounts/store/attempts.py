"""SQL of the buckets of attempts. All run in account transactions, but for the last."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import text

from taskchat.postgres.database import Connection

FULL_AGAIN_S: Final = 3600
"""A bucket refills in an hour: one that was untouched for so long says nothing."""

_SPEND: Final = text(
    "INSERT INTO sign_in_buckets AS b (id, level, updated_at)"
    " SELECT w.id, w.per_hour - 1, clock_timestamp()"
    " FROM unnest(CAST(:ids AS bytea[]), CAST(:per_hour AS float8[])) AS w(id, per_hour)"
    # In one order, to avoid deadlocks.
    " ORDER BY w.id"
    " ON CONFLICT (id) DO UPDATE SET"
    " level = least(excluded.level + 1, b.level + (excluded.level + 1) / 3600"
    " * greatest(0, extract(epoch FROM clock_timestamp() - b.updated_at))) - 1,"
    " updated_at = greatest(b.updated_at, clock_timestamp())"
    " RETURNING b.id, b.level"
)
_FILL: Final = text("DELETE FROM sign_in_buckets WHERE id = :id")
_GIVE_BACK: Final = text("UPDATE sign_in_buckets SET level = level + 1 WHERE id = :id")
_FORGET: Final = text(
    "DELETE FROM sign_in_buckets WHERE id IN (SELECT id FROM sign_in_buckets"
    " WHERE updated_at < now() - make_interval(secs => :full_again_s)"
    " LIMIT :rows_max FOR UPDATE SKIP LOCKED)"
)


async def spend(connection: Connection, per_hour: Mapping[bytes, int]) -> dict[bytes, float]:
    """Spend one attempt of each bucket; returns what is left, which may be below zero.

    Args:
        connection: One whose transaction is not to be committed if nothing may be spent.
        per_hour: What each bucket holds and refills in an hour, by its id.
    """
    values = {"ids": list(per_hour), "per_hour": list(per_hour.values())}
    return {row.id: row.level for row in await connection.execute(_SPEND, values)}


async def fill(connection: Connection, bucket: bytes) -> None:
    """Fill a bucket."""
    await connection.change(_FILL, {"id": bucket})


async def give_back(connection: Connection, bucket: bytes) -> None:
    """Give one attempt back."""
    await connection.change(_GIVE_BACK, {"id": bucket})


async def forget_full(connection: Connection, *, rows_max: int) -> int:
    """Delete some buckets that are full anyway; returns how many. A system transaction."""
    return await connection.change(_FORGET, {"full_again_s": FULL_AGAIN_S, "rows_max": rows_max})
