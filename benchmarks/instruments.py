"""What metrics, `Server-Timing` and traces cost: processor time of a turn with them and without.

The same server four times, on one Postgres, with the model in its process; they take turns in being
loaded, so that whatever else the machine does meets all of them.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.cost import Cost
from benchmarks.live_server import WITHOUT_METRICS
from benchmarks.processes import free_port
from benchmarks.stage import OURS, SCRIPTED, staged
from benchmarks.turn.cases import IN_PROCESS, Case
from benchmarks.turn.sides import CONCURRENCY, Side

NOTHING: Final = "nothing"

CASE: Final = Case(IN_PROCESS, before=0)
"""A short turn: of a longer one they are a smaller part."""

WARM_UP: Final = 40


class Collector(BaseHTTPRequestHandler):
    """Takes spans, and forgets them."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Nothing: there is one for each batch."""


def variants(collector: str) -> Mapping[str, Mapping[str, str]]:
    """The variables of each server, by what it does."""
    without_timing = {"TASKCHAT_SERVER_TIMING": "false"}
    return {
        NOTHING: {**without_timing, WITHOUT_METRICS: "1"},
        "metrics": without_timing,
        "metrics, Server-Timing": {},
        "metrics, Server-Timing, traces": {"OTEL_EXPORTER_OTLP_ENDPOINT": collector},
    }


async def measure(turns: int, rounds: int) -> dict[str, list[Cost]]:
    """The costs of each round, by what the server does."""
    collector = ThreadingHTTPServer(("127.0.0.1", free_port()), Collector)
    serving = asyncio.create_task(asyncio.to_thread(collector.serve_forever))
    try:
        with staged() as on, contextlib.ExitStack() as stack:
            sides: dict[str, Side] = {}
            address = f"http://127.0.0.1:{collector.server_address[1]}"
            for number, (name, variables) in enumerate(variants(address).items()):
                url = await on.database(OURS, f"bench_instruments_{number}")
                side = Side(name, url, await on.serve(OURS, url, {**SCRIPTED, **variables}))
                stack.callback(side.close)
                await side.connect(on)
                await side.round(CASE, WARM_UP, on.postgres)
                sides[name] = side
            measured: dict[str, list[Cost]] = {name: [] for name in sides}
            names = list(sides)
            for number in range(rounds):
                # Who goes first changes, lest one always meet another's aftermath.
                first = number % len(names)
                for name in names[first:] + names[:first]:
                    measured[name].append(await sides[name].round(CASE, turns, on.postgres))
                print(".", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
            return measured
    finally:
        collector.shutdown()
        await serving
        collector.server_close()


def summary(measured: Mapping[str, list[Cost]]) -> dict[str, dict[str, float]]:
    """Milliseconds of processor time a turn, and their ratio to those of nothing, as medians."""
    bare = [cost.server for cost in measured[NOTHING]]
    found = {}
    for name, costs in measured.items():
        servers = [cost.server for cost in costs]
        ratios = [server / before for server, before in zip(servers, bare, strict=True)]
        found[name] = {
            "server_ms": round(statistics.median(servers), 2),
            "ratio": round(statistics.median(ratios), 3),
            "least": round(min(ratios), 3),
            "most": round(max(ratios), 3),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-instruments", description=__doc__)
    parser.add_argument("--turns", type=int, default=120, help="turns of a round [120]")
    parser.add_argument("--rounds", type=int, default=8, help="rounds of each [8]")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    options = parser.parse_args()
    if options.turns < CONCURRENCY or options.rounds < 1:
        parser.error(f"--turns must be at least {CONCURRENCY} and --rounds at least 1")
    found = summary(asyncio.run(measure(options.turns, options.rounds)))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'':<32}{'ms a turn':>10}{'ratio':>8}{'least':>8}{'most':>8}")
    for name, values in found.items():
        print(
            f"{name:<32}"
            + f"{values['server_ms']:>10.2f}"
            + "".join(f"{values[key]:>8.3f}" for key in ("ratio", "least", "most"))
        )


if __name__ == "__main__":
    main()
