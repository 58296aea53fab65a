"""The primary dies under load, and its standby takes its place. `make failover ARGS="…"`.

Progress goes to stderr and a summary as JSON to stdout; the exit code is 1 when anything is wrong.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.chaos import crashes
from tests.faults.checker import Violation, verdict
from tests.faults.cluster import Cluster, query
from tests.faults.load import OFFLINE, Load
from tests.faults.processes import Fleet
from tests.faults.standby import Standby, both, on
from tests.faults.waiting import until


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        per_second: Turns that are begun.
        before_s: How long before the primary is killed.
        away_s: How long until somebody decides to promote the standby.
        after_s: How long after that.
        users: How many talk.
        processes: How many serve.
    """

    per_second: float = 50.0
    before_s: float = 20.0
    away_s: float = 2.0
    after_s: float = 20.0
    users: int = 200
    processes: int = 3


async def failover(
    plan: Plan, primary: Cluster, standby: Standby, folder: Path
) -> tuple[dict[str, Any], list[Violation]]:
    """One run, which the primary does not survive; its numbers, and what is wrong.

    Args:
        plan: What is done.
        primary: It is killed.
        standby: It follows, and is promoted.
        folder: For the logs of processes.
    """
    url = await primary.make_database("failover")
    fleet = Fleet(folder, both(url, standby), "http://127.0.0.1:9", OFFLINE)
    try:
        services = [fleet.launch() for _ in range(plan.processes)]
        for service in services:
            await service.ready(within_s=120)
        load = Load(services, users=plan.users, per_second=plan.per_second)
        talking = asyncio.create_task(load.run(10**6))
        await asyncio.sleep(plan.before_s)
        # However slow the machine: what is lost has to have been told.
        await until(lambda: _told(load, 1), within_s=60)
        told_before, begun = len(load.told), time.monotonic()
        await asyncio.to_thread(primary.kill)
        killed = time.monotonic()
        print(f"killed the primary in {killed - begun:.2f} s, {told_before} told", file=sys.stderr)
        await asyncio.sleep(plan.away_s)
        await asyncio.to_thread(standby.promote)
        promoted = time.monotonic()
        print(f"promoted after {promoted - killed:.2f} s", file=sys.stderr)
        await asyncio.sleep(plan.after_s)
        load.end()
        await talking
        await load.close()
        url = on(url, standby)

        async def over() -> bool:
            [row] = await query(url, "SELECT count(*) FROM turns WHERE finished_at IS NULL")
            return bool(row[0] == 0)

        await until(over, within_s=120)
        log = [line for service in services for line in crashes(service)]
        violations = await load.violations(url, log)
        after = [one.ended_s for one in load.told if one.ended_s and one.ended_s > killed]
        across = [one for one in load.told if one.begun_s < killed < (one.ended_s or killed)]
        return {
            **load.summary(),
            "per_second_before": round(told_before / plan.before_s, 1),
            "told_before": told_before,
            "under_way_at_the_kill": len(across),
            "from_kill_to_promoted_s": round(promoted - killed, 2),
            "from_kill_to_first_end_s": round(min(after) - killed, 2),
            "refused_without_retry_after": sum(None in one.waits for one in load.told),
            "violations": len(violations),
        }, violations
    finally:
        await fleet.close()


async def _told(load: Load, least: int) -> bool:
    return len(load.told) >= least


async def _pair(plan: Plan, folder: Path) -> tuple[dict[str, Any], list[Violation]]:
    """One run on a pair of its own."""
    primary = Cluster(folder / "primary")
    try:
        standby = Standby(primary, folder / "standby")
        try:
            await standby.follow()
            return await failover(plan, primary, standby, folder)
        finally:
            standby.close()
    finally:
        primary.close()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="make failover", description=__doc__)
    parser.add_argument("--rate", type=float, default=Plan.per_second, help="turns a second")
    parser.add_argument("--seconds", type=float, default=Plan.before_s, help="before and after")
    parser.add_argument("--away", type=float, default=Plan.away_s, help="seconds until promoted")
    parser.add_argument("--processes", type=int, default=Plan.processes)
    arguments = parser.parse_args()
    plan = Plan(
        per_second=arguments.rate,
        before_s=arguments.seconds,
        away_s=arguments.away,
        after_s=arguments.seconds,
        processes=arguments.processes,
    )
    with tempfile.TemporaryDirectory(prefix="failover-", ignore_cleanup_errors=True) as name:
        summary, violations = asyncio.run(_pair(plan, Path(name)))
    sys.exit(verdict(summary, violations))


if __name__ == "__main__":
    main()
