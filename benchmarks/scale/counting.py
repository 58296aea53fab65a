"""What Postgres counts while something is asked of it: which indexes, how many rows and pages.

Most statements stand inside functions, whose plans EXPLAIN does not show; the counters tell what
was read, and by which way, wherever the statement stands. Of those that stand by themselves the
plan is asked for as well.
"""

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

import asyncpg
import psutil
from sqlalchemy import text

from benchmarks.clocks import cpu_s
from benchmarks.scale.looks import Ask
from taskchat.postgres.database import Database
from taskchat.postgres.statements import Connection

BIG: Final = 1000
"""Rows of a table that is not to be read from end to end."""

_COUNTERS: Final = (
    "SELECT 'seq ' || relname, seq_scan FROM pg_stat_user_tables"
    " UNION ALL SELECT 'rows ' || relname, seq_tup_read + coalesce(idx_tup_fetch, 0)"
    " FROM pg_stat_user_tables"
    " UNION ALL SELECT 'index ' || indexrelname, idx_scan FROM pg_stat_user_indexes"
    " UNION ALL SELECT 'pages ' || relname, heap_blks_read + heap_blks_hit"
    " + coalesce(idx_blks_read + idx_blks_hit, 0) FROM pg_statio_user_tables"
)
_BACKEND: Final = text("SELECT pg_backend_pid()")
_FLUSH: Final = text("SELECT pg_stat_force_next_flush()")


@dataclass(frozen=True)
class Seen:
    """What became of one look, asked again and again.

    Attributes:
        count: How often.
        p50_ms: The median, as the client sees it.
        p99_ms: The 99th percentile, or the most of fewer than a hundred.
        cpu_ms: Of the server process that answers, on average.
        pages: That each read, on average, in memory or not.
        rows: The same for rows of big tables.
        indexes: How often each index was entered, on average.
        read_through: How often each big table was read from end to end, on average.
        plans: Of the statements that stand by themselves.
    """

    count: int
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    pages: float
    rows: float
    indexes: Mapping[str, float]
    read_through: Mapping[str, float]
    plans: Iterable[str]


async def seen(
    database: Database, direct: asyncpg.Connection, asks: Iterable[Ask], *, plans: bool = True
) -> Seen:
    """Ask, and see what Postgres counts.

    Args:
        database: Which the asks use; nobody else may use its server.
        direct: A superuser's connection to the same one.
        asks: One after the other. The first warms up, and gives the plans.
        plans: Whether these are asked for.
    """
    asking = iter(asks)
    found: list[str] = []
    if plans:
        with _explaining(found):
            await next(asking)()
    before = await _counters(database, direct)
    async with database.login_transaction() as connection:
        backend = psutil.Process(await connection.scalar(_BACKEND))
    used = cpu_s(backend)
    took = []
    for ask in asking:
        began = time.perf_counter()
        await ask()
        took.append(time.perf_counter() - began)
    used = cpu_s(backend) - used
    counted = await _counters(database, direct)
    counted.subtract(before)
    took.sort()
    big = {
        row[0]
        for row in await direct.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= $1", BIG
        )
    }

    def each(kind: str) -> dict[str, float]:
        return {
            name.removeprefix(f"{kind} "): round(much / len(took), 2)
            for name, much in counted.items()
            if much and name.startswith(f"{kind} ")
        }

    return Seen(
        len(took),
        statistics.median(took) * 1000,
        took[min(len(took) - 1, len(took) * 99 // 100)] * 1000,
        used / len(took) * 1000,
        sum(each("pages").values()),
        sum(much for name, much in each("rows").items() if name in big),
        each("index"),
        {name: much for name, much in each("seq").items() if name in big},
        found,
    )


async def _counters(database: Database, direct: asyncpg.Connection) -> Counter[str]:
    async with database.login_transaction() as connection:
        await connection.execute(_FLUSH)
    return Counter(dict(await direct.fetch(_COUNTERS)))


def _explaining(found: list[str]) -> Any:
    """While this lasts, each statement that stands by itself is explained before it is run."""

    def made(connection: Any, driven: Any) -> None:
        connection._driven = _Explaining(driven, found)

    return mock.patch.object(Connection, "__init__", made)


class _Explaining:
    """The driver's connection, which asks for plans."""

    def __init__(self, driven: Any, found: list[str]) -> None:
        self._driven, self._found = driven, found

    def __getattr__(self, name: str) -> Any:
        run = getattr(self._driven, name)

        async def explained(sql: str, *arguments: Any) -> Any:
            if sql.startswith(("SELECT", "WITH", "UPDATE", "DELETE", "INSERT")):
                explain = f"EXPLAIN (FORMAT JSON) {sql}"
                [plan] = json.loads(await self._driven.fetchval(explain, *arguments))
                self._found.append(" > ".join(_nodes(plan["Plan"])))
            return await run(sql, *arguments)

        return explained


def _nodes(plan: Mapping[str, Any]) -> Iterator[str]:
    """What reads tables, in the order of the plan."""
    if "Relation Name" in plan or "Index Name" in plan:
        yield f"{plan['Node Type']} {plan.get('Index Name', plan.get('Relation Name'))}"
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
