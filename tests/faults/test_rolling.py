"""Processes are replaced under load, and nobody is told more than to ask again in a moment.

`make rolling` replaces those of an earlier release, while this one migrates.
"""

from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.rolling import Plan, rolling

GLANCE = Plan(per_second=8, pause_s=0.5, users=20, processes=1)


async def test_whoever_asks_while_processes_are_replaced_is_answered(
    cluster: Cluster, folder: Path
) -> None:
    (folder / "rolling").mkdir()
    summary, violations = await rolling(GLANCE, cluster, folder / "rolling")
    assert violations == [], summary
    assert summary["turns"] > 0
    assert summary["exit_codes"] == [0]
