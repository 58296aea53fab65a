"""The primary dies and its standby takes its place: nothing that was told is lost, or done twice.

`make failover` does it at fifty turns a second.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from tests.factories import Person
from tests.faults.cluster import Cluster, query
from tests.faults.failover import Plan, failover
from tests.faults.model_server import ModelCall, ModelServer
from tests.faults.processes import Fleet
from tests.faults.stage import SHORT_LEASE
from tests.faults.standby import Standby, both, on
from tests.faults.waiting import until

from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.settings import Settings

GLANCE = Plan(per_second=8, before_s=1, away_s=0.3, after_s=1.5, users=20, processes=2)


@pytest.fixture
async def pair(cluster: Cluster, folder: Path) -> AsyncIterator[Standby]:
    """A standby that the cluster waits for; it may be promoted, and the cluster killed."""
    standby = Standby(cluster, folder / f"standby-{new_id().hex}")
    try:
        await standby.follow()
        yield standby
    finally:
        standby.thaw()
        standby.close()
        cluster.close()
        cluster.start()


async def test_a_standby_that_is_promoted_has_all_that_was_told(
    cluster: Cluster, folder: Path, pair: Standby
) -> None:
    logs = folder / "failover"
    logs.mkdir()
    summary, violations = await failover(GLANCE, cluster, pair, logs)
    assert violations == [], summary
    # It was about something: some were told their end before, and some after.
    assert 0 < summary["told_before"] < summary["turns"], summary


async def test_what_the_standby_has_not_is_told_to_nobody(
    cluster: Cluster, folder: Path, model: ModelServer, pair: Standby
) -> None:
    """A commit that waits for the standby is seen by others once somebody cancels the wait."""
    url, logs = await cluster.make_database("alone"), folder / "alone"
    logs.mkdir()
    fleet = Fleet(
        logs, both(url, pair), model.url, SHORT_LEASE | {"TASKCHAT_STATEMENT_TIMEOUT_S": "1"}
    )
    person, left, message = Person(), Person(), "alone"
    database = Database(both(url, pair), Settings(statement_timeout_s=1))

    async def written() -> None:
        async with database.transaction(left.principal) as connection:
            await connection.execute(
                text("INSERT INTO users (id) VALUES (:id)"), {"id": left.user_id}
            )
            pair.freeze()

    async def out_of_reach(_call: ModelCall) -> None:
        job = asyncio.create_task(written())

        async def waits() -> bool:
            rows = await query(url, "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            return bool(rows)

        await until(waits)
        # Whoever waits for this commit leaves.
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await job

    # From here on the turn has only to be settled.
    model.when(message, 2, out_of_reach)
    try:
        service = await fleet.start()
        async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:
            said = f"[{message}] add:1"
            answer = await person.say(client, said, key=message)
            # By now nobody waits for that commit any more.
            assert answer.status_code == 503, answer.text
            shown = await query(url, "SELECT status FROM turns WHERE user_id = $1", person.user_id)
            assert [row["status"] for row in shown] == ["running"]
            assert await query(url, "SELECT FROM users WHERE id = $1", left.user_id) == []

            cluster.kill()
            pair.thaw()
            pair.promote()

            async def answered() -> bool:
                answer = await person.say(client, said, key=message)
                return answer.status_code == 200

            await until(answered)
        titles = await query(
            on(url, pair), "SELECT title FROM tasks WHERE user_id = $1", person.user_id
        )
        assert [row["title"] for row in titles] == [f"{message} task 1"]
    finally:
        await fleet.close()
        await database.close()
