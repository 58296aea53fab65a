"""Processor time of one turn of the service, beside the leanest turn that can be written.

Both servers run as processes of their own on one Postgres and take turns in being loaded, so that
whatever else the machine does meets both. What counts is the ratio within one run.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import sys
from collections.abc import AsyncIterator
from typing import Final

from benchmarks.stage import LEAN, OURS, SCRIPTED, Stage, staged
from benchmarks.turn.cases import CASES, IN_PROCESS, OVER_HTTP
from benchmarks.turn.report import Rounds, report, table
from benchmarks.turn.sides import CONCURRENCY, Side

WARM_UP: Final = 40
"""Turns before the first measurement: connections, prepared statements, late imports."""

Sides = dict[str, tuple[Side, Side]]
"""The lean server and ours, by where their model is."""


@contextlib.asynccontextmanager
async def sides(on: Stage, turns: int) -> AsyncIterator[Sides]:
    """All servers, started and warm, with conversations for so many turns of each case."""
    found: Sides = {}
    with contextlib.ExitStack() as stack:
        models = {OVER_HTTP: await on.vendor(0), IN_PROCESS: SCRIPTED}
        for number, (model, variables) in enumerate(models.items()):
            cases = [case for case in CASES if case.model == model]
            both = []
            for name in (LEAN, OURS):
                url = await on.database(name, f"bench_{name}_{number}")
                side = Side(name, url, await on.serve(name, url, variables))
                stack.callback(side.close)
                await side.connect(on)
                await side.prepare(
                    {
                        before: (WARM_UP + turns) * sum(case.before == before for case in cases)
                        for before in {case.before for case in cases if case.before}
                    }
                )
                for case in cases:
                    await side.round(case, WARM_UP, on.postgres)
                both.append(side)
            found[model] = both[0], both[1]
        yield found


async def measure(turns: int, rounds: int) -> Rounds:
    measured: Rounds = {case.name: [] for case in CASES}
    with staged() as on:
        async with sides(on, turns * rounds) as found:
            for number in range(rounds):
                for case in CASES:
                    lean, ours = found[case.model]
                    # Who goes first alternates, lest one always meet the other's aftermath.
                    order = (lean, ours) if number % 2 == 0 else (ours, lean)
                    costs = {
                        side.name: await side.round(case, turns, on.postgres) for side in order
                    }
                    measured[case.name].append((costs[lean.name], costs[ours.name]))
                    print(".", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
            for both in found.values():
                for side in both:
                    await side.check()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--turns", type=int, default=120, help="turns of a round [120]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every case [5]")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    options = parser.parse_args()
    if options.turns < CONCURRENCY or options.rounds < 1:
        parser.error(f"--turns must be at least {CONCURRENCY} and --rounds at least 1")
    turns = options.turns - options.turns % CONCURRENCY
    found = report(asyncio.run(measure(turns, options.rounds)))
    if options.json:
        about = {"python": platform.python_version(), "cores": os.cpu_count(), "turns": turns}
        print(json.dumps({**about, "cases": found}, indent=2))
    else:
        print(table(found, turns))


if __name__ == "__main__":
    main()
