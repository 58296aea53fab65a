"""Turns in flight, few and many, with a model over HTTP that takes its time."""

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.client import Client
from benchmarks.clocks import cpu_s, peak_mib
from benchmarks.processes import Launched
from benchmarks.stage import OURS, Stage, staged

MODEL_S = 0.2
"""A call of the model; a turn makes two."""


@dataclass(frozen=True)
class Flight:
    """What became of a round.

    Attributes:
        per_s: Turns a second.
        p50: Of the turns' times, in ms.
        p95: Of the turns' times, in ms.
        server: Processor time of the server, in ms a turn.
        memory: The most resident memory of the server so far, in MiB.
    """

    per_s: float
    p50: float
    p95: float
    server: float
    memory: float


@dataclass(frozen=True)
class Crowd:
    """People who all say something at once, and a server of their own: its memory is theirs."""

    name: str
    server: Launched
    clients: Sequence[Client]

    async def load(self, seconds: float) -> Flight:
        """Everybody says something again and again for so long, each in new conversations."""
        began, used = time.perf_counter(), cpu_s(self.server.process)

        async def load(client: Client) -> list[float]:
            times: list[float] = []
            while not times or time.perf_counter() - began < seconds:
                said_at = time.perf_counter()
                await client.say()
                times.append(time.perf_counter() - said_at)
            return times

        times = sorted(itertools.chain(*await asyncio.gather(*map(load, self.clients))))
        lasted, used = time.perf_counter() - began, cpu_s(self.server.process) - used
        return Flight(
            per_s=len(times) / lasted,
            p50=times[len(times) // 2] * 1000,
            p95=times[len(times) * 95 // 100] * 1000,
            server=used / len(times) * 1000,
            memory=peak_mib(self.server.process),
        )


async def measure(sizes: Sequence[int], seconds: float, rounds: int) -> dict[str, list[Flight]]:
    """What became of each round, by the turns that were in flight."""
    with staged() as stage, contextlib.ExitStack() as stack:
        url = await stage.database(OURS, "bench_busy")
        model = await stage.vendor(MODEL_S)
        crowds = []
        for size in sizes:
            server = await stage.serve(OURS, url, model)
            crowd = Crowd(f"{size:,} in flight", server, await _people(stage, server, size))
            for client in crowd.clients:
                stack.enter_context(contextlib.closing(client))
            crowds.append(crowd)
        found: dict[str, list[Flight]] = {crowd.name: [] for crowd in crowds}
        for crowd in crowds:
            # Late imports, connections, prepared statements.
            await crowd.load(0)
        for _ in range(rounds):
            for crowd in crowds:
                found[crowd.name].append(await crowd.load(seconds))
                print(".", end="", file=sys.stderr, flush=True)
        return found


async def _people(stage: Stage, server: Launched, size: int) -> list[Client]:
    users = [f"user-{size}-{number}" for number in range(size)]
    return [await Client.connect(server.port, user, stage.token(user)) for user in users]
