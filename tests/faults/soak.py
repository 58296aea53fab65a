"""A modest load for a long time, and what it leaves behind. `make soak ARGS="--minutes 60"`.

Conversations and tasks are deleted as others come, so that what is kept stays the same. A line of
JSON for each look goes to stderr, and a summary to stdout. The exit code is 1 where something
grows, or was wrong.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from tests.faults.chaos import crashes
from tests.faults.cluster import Cluster, query
from tests.faults.load import OFFLINE, TURNS_MAX, Load, Talk
from tests.faults.processes import Fleet, Service

from taskchat.postgres.faults import FAULTS as DATABASE_FAULTS

LOOK_S = 30.0
"""Between two looks."""

UNDER_WAY_MAX = 50
"""What grows is then not the heap of what waits."""

SETTLES = 1 / 4
"""Of its time, so much is not compared: caches fill, tables take the size that they then have."""

GROWS = 0.1
"""More than this between the first and the last quarter of what is compared is growth."""

SIZES = """
    SELECT relname, pg_total_relation_size(relid) AS bytes, n_live_tup AS live, n_dead_tup AS dead
    FROM pg_stat_user_tables ORDER BY 2 DESC LIMIT 8
"""

SERVER = """
    SELECT count(*) AS connections, pg_database_size(current_database()) AS bytes
    FROM pg_stat_activity WHERE datname = current_database()
"""


class Soak:
    """A fleet under a load, looked at now and then."""

    def __init__(self, url: str, services: Sequence[Service], load: Load) -> None:
        self._url = url
        self._services = services
        self._load = load
        self._processes = [psutil.Process(service.pid) for service in services]
        self._begun = time.monotonic()
        self._seen = 0
        self.looks: list[dict[str, Any]] = []

    async def watch(self) -> None:
        """Look until nobody needs to know any more."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.looks.append(await self.look())
            except DATABASE_FAULTS as error:
                print(f"could not look: {type(error).__name__}", file=sys.stderr, flush=True)
                continue
            print(json.dumps(self.looks[-1]), file=sys.stderr, flush=True)

    async def look(self) -> dict[str, Any]:
        """What there is now."""
        [server] = await query(self._url, SERVER)
        tables = await query(self._url, SIZES)
        told, self._seen = self._load.told[self._seen :], len(self._load.told)
        took = sorted(one.ended_s - one.begun_s for one in told if one.ended_s)
        return {
            "minutes": round((time.monotonic() - self._begun) / 60, 1),
            "turns": self._seen,
            "p50_ms": round(1000 * took[len(took) // 2]) if took else None,
            "p99_ms": round(1000 * took[int(len(took) * 0.99)]) if took else None,
            "memory_mb": [round(one.memory_info().rss / 2**20, 1) for one in self._processes],
            "descriptors": [one.num_fds() for one in self._processes],
            "threads": [one.num_threads() for one in self._processes],
            # The one that looks is no one else's.
            "connections": server["connections"] - 1,
            "database_mb": round(server["bytes"] / 2**20, 1),
            "tables_mb": {row["relname"]: round(row["bytes"] / 2**20, 2) for row in tables},
            "rows": {row["relname"]: [row["live"], row["dead"]] for row in tables},
        }


async def tidy(load: Load, talk: Talk, told: Mapping[str, Any]) -> None:
    """Delete the task that came of a message, read a little, and leave finished conversations."""
    service, person = await load.one_ready(), talk.person
    api, headers = f"{service.url}/api/{person.user_id}", load.headers(person)
    for call in told.get("tool_calls", ()):
        if call["tool_name"] == "add_task" and call["status"] == "completed":
            await load.http.delete(f"{api}/tasks/{call['result']['task_id']}", headers=headers)
    if talk.said % 5 == 0:
        await load.http.get(f"{api}/search", params={"q": "parcel"}, headers=headers)
    if talk.said % 7 == 0 and "turn_id" in told:
        # Heard again as a stream, from its beginning to its end.
        await load.http.get(
            f"{api}/turns/{told['turn_id']}/events",
            headers=headers | {"Accept": "text/event-stream"},
        )
    if talk.said == TURNS_MAX - 1 and talk.id is not None:
        left, talk.id, talk.said = talk.id, None, 0
        await load.http.delete(f"{api}/conversations/{left}", headers=headers)


def growth(looks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How much more there is in the last quarter of what is compared than in the first."""
    compared = looks[int(len(looks) * SETTLES) :]
    part = max(1, len(compared) // 4)
    first, last = compared[:part], compared[-part:]

    def grown(measure: Any) -> float:
        before, after = (statistics.median(map(measure, some)) for some in (first, last))
        return round(after / before - 1, 3) if before else 0.0

    return {
        "memory": grown(lambda look: sum(look["memory_mb"])),
        "descriptors": grown(lambda look: sum(look["descriptors"])),
        "threads": grown(lambda look: sum(look["threads"])),
        "connections": grown(lambda look: look["connections"]),
        "database": grown(lambda look: look["database_mb"]),
    }


async def soak(arguments: argparse.Namespace, cluster: Cluster, folder: Path) -> int:
    """One run; returns the exit code."""
    url = await cluster.make_database("soak")
    fleet = Fleet(folder, url, "http://127.0.0.1:9", {**OFFLINE, "TASKCHAT_CHORE_INTERVAL_S": "60"})
    try:
        services = [fleet.launch() for _ in range(arguments.processes)]
        for service in services:
            await service.ready(within_s=120)
        load = Load(
            services,
            users=arguments.users,
            per_second=arguments.rate,
            under_way_max=UNDER_WAY_MAX,
            after=tidy,
        )
        watched = Soak(url, services, load)
        watching = asyncio.create_task(watched.watch())
        await load.run(60 * arguments.minutes)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await load.close()
        wrong = [line for service in services for line in crashes(service)]
        grown = growth(watched.looks) if watched.looks else {}
        summary = {
            **load.summary(),
            "minutes": arguments.minutes,
            "first": watched.looks[:1],
            "last": watched.looks[-1:],
            "grown": grown,
            "crashes": wrong[:20],
        }
        print(json.dumps(summary, indent=2))
        # 404: its conversation was deleted while it waited.
        failed = [one for one in load.requests if one.status not in {0, 200, 404, 409, 503}]
        return 1 if wrong or failed or any(share > GROWS for share in grown.values()) else 0
    finally:
        await fleet.close()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=10.0, help="turns begun a second")
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        cluster = Cluster(Path(name) / "cluster")
        try:
            sys.exit(asyncio.run(soak(arguments, cluster, Path(name))))
        finally:
            cluster.close()


if __name__ == "__main__":
    main()
