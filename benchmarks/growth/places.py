"""Places of different size in which the same turn is measured, one after the other, round by round.

Whatever else the machine does meets all of them.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.client import Client
from benchmarks.clocks import PostgresClock
from benchmarks.cost import Cost, cost_of
from benchmarks.processes import Launched

WARM_UP = 10
"""Turns before the first measurement in each place."""


@dataclass(frozen=True)
class Place:
    """Where turns are measured.

    Attributes:
        name: Its size, in words.
        server: Who answers.
        client: Who says something.
        conversations: Where, one after the other; as many as there will be turns, or endless.
    """

    name: str
    server: Launched
    client: Client
    conversations: Iterator[str]

    async def say(self, turns: int) -> list[float]:
        """So many turns, one at a time; the seconds of each."""
        seconds = []
        for _ in range(turns):
            began = time.perf_counter()
            await self.client.say(next(self.conversations))
            seconds.append(time.perf_counter() - began)
        return seconds


async def round_robin(
    places: Sequence[Place], postgres: PostgresClock, turns: int, rounds: int
) -> dict[str, list[Cost]]:
    """The costs of a turn, by place and round."""
    costs: dict[str, list[Cost]] = {place.name: [] for place in places}
    for place in places:
        await place.say(WARM_UP)
    for number in range(rounds):
        # Who goes first alternates, lest one always meet another one's aftermath.
        for place in places if number % 2 == 0 else reversed(places):
            costs[place.name].append(await cost_of(place.say(turns), place.server, postgres))
            print(".", end="", file=sys.stderr, flush=True)
    return costs
