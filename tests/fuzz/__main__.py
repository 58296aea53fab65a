"""Everything that is drawn at random, for as long as one likes: `make fuzz ARGS="…"`.

Prints how many requests of each kind got which class of answer, and each finding with what repeats
it; the exit code is 1 if there is one.
"""

import argparse
import asyncio
import random
import sys
import time

from tests.apps import make_apps_quickly
from tests.fuzz.campaign import PARTS
from tests.fuzz.stage import staged
from tests.fuzz.tally import Tally
from tests.hashes import hash_quickly


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--only", choices=PARTS, action="append", help="may be said again")
    plan = parser.parse_args()
    hash_quickly()
    make_apps_quickly()
    return asyncio.run(run(plan.minutes * 60, plan.seed, plan.only or list(PARTS)))


async def run(seconds: float, seed: int, parts: list[str]) -> int:
    """Run parts of it one after another, each for its share of the time."""
    tally = Tally()
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    async with staged() as stage:
        for part in parts:
            ends = time.monotonic() + seconds / len(parts)
            await PARTS[part](stage, seed, ends, tally)
            print(tally.shown(), flush=True)
    print(f"{time.monotonic() - began:.0f} s, {sum(tally.counted.values())} requests")
    return 1 if tally.found else 0


if __name__ == "__main__":
    sys.exit(main())
