"""A process that dies or freezes in the middle of a chore: another goes on with what is left."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.cluster import Cluster, query
from tests.faults.model_server import ModelServer
from tests.faults.processes import Fleet
from tests.faults.stage import SHORT_LEASE
from tests.faults.waiting import until

from taskchat.housekeeping.chores import chores_of
from taskchat.settings import Settings

CHORE = "rate_buckets"
ROWS, ROWS_MAX = 25, 10

OFTEN = {"TASKCHAT_CHORE_INTERVAL_S": "0.5", "TASKCHAT_CHORE_ROWS_MAX": str(ROWS_MAX)}


@pytest.fixture
async def url(cluster: Cluster) -> str:
    """A database of its own: nobody else does its chores."""
    url = await cluster.make_database("chores")
    await query(url, "INSERT INTO users (id) VALUES ('ann')")
    await query(
        url,
        "INSERT INTO rate_buckets (user_id, scope, per_minute, level, updated_at)"
        " SELECT 'ann', 'conversation:' || n, 1, 1, now() - interval '1 h'"
        " FROM generate_series(1, $1) AS n",
        ROWS,
    )
    return url


@pytest.fixture
async def own_fleet(
    tmp_path: Path, folder: Path, url: str, model: ModelServer
) -> AsyncIterator[Fleet]:
    """Starts processes on it."""
    place = folder / tmp_path.name
    place.mkdir()
    fleet = Fleet(place, url, model.url, SHORT_LEASE | OFTEN)
    yield fleet
    await fleet.close()


async def record(url: str) -> Any:
    [found] = await query(
        url,
        "SELECT c.*, (SELECT count(*) FROM rate_buckets) AS left_over, c.held_until > now() AS held"
        " FROM chores AS c WHERE name = $1",
        CHORE,
    )
    return found


def second_batch() -> str:
    """At which batch of all a process is in the middle: it begins with what is first by name."""
    names = sorted(chore.name for chore in chores_of(Settings(_env_file=None)))
    return str(names.index(CHORE) + 2)


@pytest.mark.parametrize("fate", ["KILL", "STOP"])
async def test_a_process_that_is_struck_in_the_middle_of_a_chore_is_followed_by_another(
    own_fleet: Fleet, url: str, fate: str
) -> None:
    # It may be struck before it is ready.
    victim = own_fleet.launch(
        "victim", FAULT_POINT="chore.held", FAULT_PASS=second_batch(), FAULT_SIGNAL=fate
    )

    async def struck() -> bool:
        return victim.is_frozen if fate == "STOP" else victim.exit_code is not None

    await until(struck, within_s=30, what="the victim is struck")
    left = await record(url)
    assert (left.get("run"), left.get("left_over")) == (1, ROWS - ROWS_MAX)
    assert left.get("finished_at") is None

    rescuer = await own_fleet.start("rescuer")

    async def done() -> Any:
        now = await record(url)
        return now if now.get("finished_at") else None

    now = await until(done, within_s=30, what=f"the chore is done\n{rescuer.log}")
    assert (now.get("run") >= 2, now.get("left_over")) == (True, 0)
    assert f'"left_by": "{left.get("process")}"' in rescuer.log

    async def told() -> bool:
        return f'"rows": {ROWS - ROWS_MAX}' in rescuer.log

    # It is on record first, and then in the log.
    await until(told, within_s=30, what=f"the log tells of it\n{rescuer.log}")
    if fate == "STOP":
        # What it was in the middle of is no longer its business.
        victim.thaw()
        assert (await victim.ready()).exit_code is None
        assert "chore.crashed" not in victim.log
