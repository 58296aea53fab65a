"""What the service asks of a database, in small and in very large tables: plans and times."""

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from benchmarks.scale.counting import Seen, seen
from benchmarks.scale.filling import fill
from benchmarks.scale.left import turns_left
from benchmarks.scale.looks import looks_at
from benchmarks.stage import OURS, connected, staged

Found = dict[str, dict[str, Seen]]
"""By look and size."""


async def measured(url: str, *, count: int) -> dict[str, Seen]:
    """Each look in one filled database."""
    found = {}
    async with connected(url) as direct, looks_at(url, direct, count=count + 1) as looks:
        for name, asks in looks.all():
            found[name] = await seen(looks.database, direct, asks)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    with staged() as stage:
        async with connected(stage.server_url) as admin:
            for setting in ("max_wal_size = '4GB'", "autovacuum = off", "fsync = off"):
                await admin.execute(f"ALTER SYSTEM SET {setting}")
            await admin.execute("SELECT pg_reload_conf()")
        left = await turns_left(stage, options.left) if options.left else {}
        found: Found = {}
        sizes: dict[str, dict[str, Any]] = {}
        for turns in options.turns:
            url = await stage.database(OURS, f"bench_scale_{turns}")
            print(f"{turns:,} turns", file=sys.stderr, flush=True)
            async with connected(url) as database:
                await fill(database, turns)
                sizes[f"{turns:,}"] = await _size(database)
            for name, one in (await measured(url, count=options.count)).items():
                found.setdefault(name, {})[f"{turns:,}"] = one
            async with connected(stage.server_url) as admin:
                await admin.execute(f"DROP DATABASE {make_url(url).database}")
    return {"a turn leaves": left, **report(sizes, found)}


def report(sizes: Mapping[str, Any], found: Found) -> dict[str, Any]:
    looks = {
        name: {size: dataclasses.asdict(one) for size, one in of.items()}
        for name, of in found.items()
    }
    return {"sizes": sizes, "looks": looks}


async def _size(database: asyncpg.Connection) -> dict[str, Any]:
    rows = await database.fetch(
        "SELECT relname, reltuples::bigint, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples > 0"
    )
    gib = 2**30
    return {
        "database GiB": round(
            await database.fetchval("SELECT pg_database_size(current_database())") / gib, 2
        ),
        "rows": {row[0]: row[1] for row in rows},
        "tables GiB": {row[0]: round(row[2] / gib, 2) for row in rows},
        "indexes GiB": {row[0]: round(row[3] / gib, 2) for row in rows},
    }


def tables(found: Mapping[str, Any]) -> Iterator[str]:
    """What a turn leaves; the times side by side; what was read of the most turns, and how."""
    if left := found["a turn leaves"]:
        yield "| a turn leaves | rows | bytes | of indexes |"
        yield "| --- | --- | --- | --- |"
        for name, of in left.items():
            yield f"| `{name}` | {of['rows']} | {of['bytes']} | {of['bytes of indexes']} |"
        yield ""
    if not found["sizes"]:
        return
    sizes = list(found["sizes"])
    heads = "".join(f" {size} turns |" for size in sizes)
    yield f"| ms, median / p99 |{heads} of the processor | pages |"
    yield "| --- |" + " --- |" * (len(sizes) + 2)
    for name, of in found["looks"].items():
        cells = [f"{of[size]['p50_ms']:.1f} / {of[size]['p99_ms']:.1f}" for size in sizes]
        cells.append(" / ".join(f"{of[size]['cpu_ms']:.1f}" for size in sizes))
        cells.append(" / ".join(f"{of[size]['pages']:.0f}" for size in sizes))
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    yield "| read | by | from end to end |"
    yield "| --- | --- | --- |"
    for name, of in found["looks"].items():
        most = of[sizes[-1]]
        indexes = ", ".join(f"`{index}`" for index in most["indexes"])
        through = ", ".join(f"`{table}`" for table in most["read_through"]) or "none"
        yield f"| {name} | {indexes} | {through} |"


def _sizes(text: str) -> list[int]:
    return sorted(int(part) for part in text.split(",") if part)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    add = parser.add_argument
    add("--turns", type=_sizes, default="10000,1000000,10000000", help="of all [%(default)s]")
    add("--left", type=int, default=1000, help="turns that are really talked [%(default)s]")
    add("--count", type=int, default=300, help="how often each thing is asked [%(default)s]")
    add("--json", action="store_true", help="print everything as JSON, plans too")
    add("--short", action="store_true", help="try it all in a minute, too small to quote")
    options = parser.parse_args()
    if options.short:
        options.turns, options.count, options.left = [10_000, 100_000], 50, 100
    found = asyncio.run(measure(options))
    print(json.dumps(found, indent=2) if options.json else "\n".join(tables(found)))


if __name__ == "__main__":
    main()
