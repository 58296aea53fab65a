"""Processes are replaced one after another under load. `make rolling ARGS="--from COMMIT"`.

With `--from` they are of an earlier commit at first, on its schema; this release migrates while
they serve, and takes their places. Progress goes to stderr and a summary as JSON to stdout; the
exit code is 1 when anything is wrong.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.chaos import crashes
from tests.faults.checker import Violation, verdict
from tests.faults.cluster import Cluster, query
from tests.faults.load import OFFLINE, Load, Told
from tests.faults.processes import Fleet, Service
from tests.faults.waiting import until
from tests.nursery import PROJECT

THINKS = {"TASKCHAT_OFFLINE_MANNER": "delay=0.7"}
"""Turns are under way whenever a process is told to stop."""


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        per_second: Turns that are begun.
        pause_s: Before the first process is replaced, and after each.
        users: How many talk.
        processes: How many serve.
        rounds: How often all of them are replaced.
        earlier: A checkout of an earlier release, which serves at first; None for this one.
    """

    per_second: float = 20.0
    pause_s: float = 5.0
    users: int = 100
    processes: int = 3
    rounds: int = 1
    earlier: Path | None = None


async def rolling(
    plan: Plan, cluster: Cluster, folder: Path
) -> tuple[dict[str, Any], list[Violation]]:
    """One run; its numbers, and what is wrong."""
    if plan.earlier is None:
        url = await cluster.make_database("rolling")
    else:
        url = await cluster.make_database("rolling", migrated=False)
        await asyncio.to_thread(_migrate, url, plan.earlier)
    fleet = Fleet(folder, url, "http://127.0.0.1:9", OFFLINE | THINKS)
    try:
        first = (
            {"module": "tests.faults.another_release", "RELEASE": str(plan.earlier)}
            if plan.earlier
            else {}
        )
        services = [fleet.launch(**first) for _ in range(plan.processes)]
        gone: list[Service] = []
        for service in services:
            await service.ready(within_s=120)
        load = Load(services, users=plan.users, per_second=plan.per_second)
        talking = asyncio.create_task(load.run(10**6))
        await asyncio.sleep(plan.pause_s)
        migrated_s = 0.0
        if plan.earlier is not None:
            begun = time.monotonic()
            await asyncio.to_thread(_migrate, url, PROJECT)
            migrated_s = time.monotonic() - begun
            print(f"migrated in {migrated_s:.1f} s", file=sys.stderr)
            await asyncio.sleep(plan.pause_s)
        stopped_s = []
        for place in list(range(plan.processes)) * plan.rounds:
            replacement = await fleet.launch().ready(within_s=120)
            old, services[place] = services[place], replacement
            # As the manifests have it: what is about to stop is sent nothing new.
            await load.leave(old)
            begun = time.monotonic()
            old.terminate()
            await old.exited(within_s=90)
            stopped_s.append(round(time.monotonic() - begun, 2))
            gone.append(old)
            print(f"replaced {old.name}, {len(load.told)} turns told", file=sys.stderr)
            await asyncio.sleep(plan.pause_s)
        load.end()
        await talking
        await load.close()

        async def over() -> bool:
            [row] = await query(url, "SELECT count(*) FROM turns WHERE finished_at IS NULL")
            return bool(row[0] == 0)

        await until(over, within_s=60)
        log = [line for service in (*gone, *services) for line in crashes(service)]
        violations = [*await load.violations(url, log), *not_answered(load)]
        refused = [one for one in load.told if any(status == 503 for status in one.statuses)]
        return {
            **load.summary(),
            "migrated_s": round(migrated_s, 2),
            "stopped_within_s": stopped_s,
            "exit_codes": [service.exit_code for service in gone],
            "refused_and_then_answered": len(refused),
            "most_refusals_of_one": max((len(one.waits) for one in refused), default=0),
            "violations": len(violations),
        }, violations
    finally:
        await fleet.close()


def not_answered(load: Load) -> list[Violation]:
    """Whatever a client was told besides 200, and 503 with a time after which it is 200."""
    wrong = [one for one in load.told if not _is_answered(one)]
    return [Violation(0, f"{one.message} was answered {one.statuses}") for one in wrong]


def _is_answered(one: Told) -> bool:
    *before, last = one.statuses
    return last == 200 and set(before) <= {503} and None not in one.waits


def _migrate(url: str, checkout: Path) -> None:
    subprocess.run(
        [sys.executable, "-P", "-m", "taskchat", "migrate"],
        check=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(checkout / "src"),
            "DATABASE_URL": url,
        },
    )


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="make rolling", description=__doc__)
    parser.add_argument("--from", dest="earlier", metavar="COMMIT", help="what serves at first")
    parser.add_argument("--rate", type=float, default=Plan.per_second, help="turns a second")
    parser.add_argument("--pause", type=float, default=Plan.pause_s, help="seconds after each")
    parser.add_argument("--processes", type=int, default=Plan.processes)
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rolling-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        earlier = None
        if arguments.earlier is not None:
            earlier = folder / "earlier"
            earlier.mkdir()
            archive = subprocess.run(
                ["git", "archive", "--format=tar", arguments.earlier],
                check=True,
                cwd=PROJECT,
                stdout=subprocess.PIPE,
            )
            subprocess.run(["tar", "-x", "-C", earlier], check=True, input=archive.stdout)
        plan = Plan(
            per_second=arguments.rate,
            pause_s=arguments.pause,
            processes=arguments.processes,
            rounds=arguments.rounds,
            earlier=earlier,
        )
        cluster = Cluster(folder / "cluster")
        try:
            summary, violations = asyncio.run(rolling(plan, cluster, folder))
        finally:
            cluster.close()
    sys.exit(verdict(summary, violations))


if __name__ == "__main__":
    main()
