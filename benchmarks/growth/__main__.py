"""How a turn's time grows with its conversation, with the table, and with turns beside it."""

import argparse
import asyncio
import json
import resource
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.growth import busy, full, long
from benchmarks.growth.report import report, tables

COST = {
    "latency": "latency, ms",
    "server": "server's processor, ms a turn",
    "postgres": "Postgres' processor, ms a turn",
}
HEADS = {
    "conversation": COST,
    "table": COST,
    "in flight": {
        "per_s": "turns a second",
        "p50": "p50, ms",
        "p95": "p95, ms",
        "server": "server's processor, ms a turn",
        "memory": "memory, MiB",
    },
}
"""By kind, its figures in the order of the columns."""


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    turns, rounds = options.turns, options.rounds
    if options.messages:
        found["conversation"] = await long.measure(options.messages, turns, rounds)
    if options.conversations:
        found["table"] = await full.measure(options.conversations, turns, rounds)
    if options.in_flight:
        found["in flight"] = await busy.measure(options.in_flight, options.seconds, rounds)
    print(file=sys.stderr)
    return report(found)


def _sizes(text: str) -> list[int]:
    return sorted(int(part) for part in text.split(",") if part)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-growth", description=__doc__)
    add = parser.add_argument
    add("--messages", type=_sizes, default="20,1000,100000", help="of conversations [%(default)s]")
    add("--conversations", type=_sizes, default="10,1000000", help="in the table [%(default)s]")
    add("--in-flight", type=_sizes, default="1,10,100,1000", help="turns at once [%(default)s]")
    add("--turns", type=int, default=25, help="of a round [%(default)s]")
    add("--seconds", type=float, default=5, help="of a round of turns in flight [%(default)s]")
    add("--rounds", type=int, default=5, help="at every size [%(default)s]")
    add("--json", action="store_true", help="print JSON in place of tables")
    add("--short", action="store_true", help="try everything in half a minute, too short to quote")
    parser.epilog = "An empty list of sizes, such as --messages=, leaves that table out."
    options = parser.parse_args(arguments)
    if options.short:
        options.messages, options.conversations = [20, 1000], [10, 10_000]
        options.in_flight, options.seconds = [1, 10, 100], 1
        options.turns, options.rounds = 5, 2
    return options


def main() -> None:
    options = _options()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    found = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(tables(found, HEADS)))


if __name__ == "__main__":
    main()
