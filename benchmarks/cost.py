"""What turns cost: the processor's time, the server's and Postgres', and how long they took."""

import statistics
from collections.abc import Awaitable
from dataclasses import dataclass

from benchmarks.clocks import PostgresClock, cpu_s
from benchmarks.processes import Launched


@dataclass(frozen=True)
class Cost:
    """Milliseconds per turn in one round: the server's processor, Postgres' processor, latency."""

    server: float
    postgres: float
    latency: float


async def cost_of(load: Awaitable[list[float]], server: Launched, postgres: PostgresClock) -> Cost:
    """Let a load run that returns the seconds of each of its turns."""
    before, postgres_before = cpu_s(server.process), postgres.cpu_s()
    seconds = await load
    after, postgres_after = cpu_s(server.process), postgres.cpu_s()
    return Cost(
        (after - before) / len(seconds) * 1000,
        (postgres_after - postgres_before) / len(seconds) * 1000,
        statistics.median(seconds) * 1000,
    )
