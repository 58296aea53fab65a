"""What a notification costs Postgres, by how many processes listen.

Each process listens on one connection, to all channels. Up to Postgres 18 a notification wakes
every session that listens to anything in the database; whether it is told is decided by itself.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from tests.faults.cluster import Cluster

from benchmarks.clocks import PostgresClock
from benchmarks.stage import connected
from taskchat.conversations.repository import SESSIONS_CHANNEL
from taskchat.moments import new_id
from taskchat.postgres.embedded import ephemeral_data_dir
from taskchat.presence.repository import EVENTS_CHANNEL, PLACES_CHANNEL
from taskchat.turns.store.settle import WAKE_CHANNEL
from taskchat.turns.store.steering import STEERING_CHANNEL

CHANNELS: Final = (
    EVENTS_CHANNEL,
    WAKE_CHANNEL,
    STEERING_CHANNEL,
    PLACES_CHANNEL,
    SESSIONS_CHANNEL,
)
ELSEWHERE: Final = ("bench_nothing",)

NOTIFY: Final = "SELECT pg_notify($1, $2)"


class Listeners:
    """Connections that listen, or don't."""

    def __init__(self, connections: Sequence[asyncpg.Connection]) -> None:
        self._connections = connections
        self._heard = asyncio.Event()
        self._last = ""
        self._missing = 0

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload == self._last:
            self._missing -= 1
            if not self._missing:
                self._heard.set()

    async def round(
        self,
        postgres: PostgresClock,
        notifier: asyncpg.Connection,
        channels: Sequence[str],
        count: int,
    ) -> dict[str, float]:
        """Let all of them listen, and send so many notifications, each in its own transaction."""
        for connection in self._connections:
            for channel in channels:
                await connection.add_listener(channel, self._notified)
        self._heard.clear()
        self._missing = len(self._connections) if EVENTS_CHANNEL in channels else 0
        self._last = str(new_id())
        took = []
        used = postgres.cpu_s()
        for number in range(count):
            payload = self._last if number == count - 1 else str(new_id())
            began = time.perf_counter()
            await notifier.execute(NOTIFY, EVENTS_CHANNEL, payload)
            took.append(time.perf_counter() - began)
        if self._missing:
            await asyncio.wait_for(self._heard.wait(), 60)
        else:
            # Nobody tells when they have been woken; a round trip each shows that they were.
            await asyncio.gather(*(one.execute("SELECT 1") for one in self._connections))
        used = postgres.cpu_s() - used
        for connection in self._connections:
            for channel in channels:
                await connection.remove_listener(channel, self._notified)
        return {"cpu": used / count * 1000, "commit": statistics.median(took) * 1000}


async def measure(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Milliseconds of a notification, by who listens: medians over the rounds."""
    folder = ephemeral_data_dir()
    # The embedded one takes no more than a hundred connections.
    cluster = await asyncio.to_thread(Cluster, folder)
    url = await cluster.make_database("listeners")
    postgres = PostgresClock(folder)
    found: dict[str, list[dict[str, float]]] = {}
    async with connected(url) as notifier, contextlib.AsyncExitStack() as stack:
        idle = [
            await stack.enter_async_context(connected(url)) for _ in range(max(options.listeners))
        ]
        for number in range(options.rounds + 1):
            for size in options.listeners:
                listeners = Listeners(idle[:size])
                for name, channels in (("", CHANNELS), (", to other channels", ELSEWHERE)):
                    one = await listeners.round(postgres, notifier, channels, options.count)
                    # The first round warms up.
                    if number:
                        found.setdefault(f"{size} listen{name}", []).append(one)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    least = next(iter(found.values()))
    return {
        name: {
            **{key: statistics.median(one[key] for one in rounds) for key in rounds[0]},
            # Round by round: what slowed one down probably slowed its neighbour down too.
            "ratio": statistics.median(
                one["cpu"] / few["cpu"] for one, few in zip(rounds, least, strict=True)
            ),
        }
        for name, rounds in found.items()
    }


def _sizes(text: str) -> list[int]:
    return sorted(int(part) for part in text.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-listeners", description=__doc__)
    add = parser.add_argument
    add("--listeners", type=_sizes, default="4,100", help="processes that listen [%(default)s]")
    add("--count", type=int, default=300, help="notifications of a round [%(default)s]")
    add("--rounds", type=int, default=5, help="of each [%(default)s]")
    add("--json", action="store_true", help="print JSON in place of a table")
    options = parser.parse_args()
    found = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print("| listeners | Postgres' processor, ms a notification | ratio | until committed, ms |")
    print("| --- | --- | --- | --- |")
    for name, one in found.items():
        print(f"| {name} | {one['cpu']:.2f} | {one['ratio']:.1f} | {one['commit']:.2f} |")


if __name__ == "__main__":
    main()
