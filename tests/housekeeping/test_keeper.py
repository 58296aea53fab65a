"""Each chore is done by one process at a time, once an interval, and left behind by none."""

import asyncio
import itertools
from datetime import timedelta
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.testing import capture_logs
from tests.factories import Person
from tests.housekeeping.conftest import House

from taskchat.errors import DatabaseError
from taskchat.housekeeping import repository
from taskchat.housekeeping.chores import Chore
from taskchat.housekeeping.keeper import HALVINGS_MAX, Keeper
from taskchat.housekeeping.repository import ChoreLost, Taken
from taskchat.moments import new_id
from taskchat.postgres.database import Connection, Database
from taskchat.settings import Settings

PATIENCE_S = 60

SPARE_WAITING = ("taskchat_database_line_waiting", {"precedence": "spare"})


class Pause:
    """Holds a chore up in one of its batches."""

    def __init__(self, house: House, batch: int = 0) -> None:
        self._batch = batch
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        house.during = self._wait

    async def _wait(self, batch: int) -> None:
        if batch == self._batch:
            self.reached.set()
            await self.go_on.wait()


async def kept(*keepers: Keeper) -> None:
    """They all do at once what is due."""
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(keeper.keep_house() for keeper in keepers))


async def take(database: Database, house: House, process: UUID, hold_s: float) -> Taken | None:
    async with database.spare_transaction() as connection:
        return await repository.take(connection, [house.chore.name], process=process, hold_s=hold_s)


def runs(house: House, outcome: str) -> float:
    labels = {"chore": house.chore.name, "outcome": outcome}
    return REGISTRY.get_sample_value("taskchat_chore_runs_total", labels) or 0


async def test_a_backlog_is_worked_down_in_batches_of_bounded_size(house: House) -> None:
    keeper, _ = house.keeper()
    await house.fill(25)
    with capture_logs() as logs:
        await kept(keeper)
    assert house.batches == [(10, 10), (10, 10), (10, 5)]
    record = await house.record()
    assert (record.rows, record.process, record.held_until) == (25, None, None)
    assert timedelta(seconds=200) < record.due_in <= timedelta(seconds=300)
    [line] = [line for line in logs if line["event"] == "chore.done"]
    assert (line["rows"], line["batches"], line["log_level"]) == (25, 3, "info")
    labels = {"chore": house.chore.name}
    assert REGISTRY.get_sample_value("taskchat_chore_rows_total", labels) == 25
    assert runs(house, "done") == 1
    assert (
        REGISTRY.get_sample_value("taskchat_chore_finished_timestamp_seconds", labels)
        == record.finished_at.timestamp()
    )


async def test_a_chore_with_nothing_to_do_leaves_no_line_in_the_log(
    house: House,
) -> None:
    keeper, _ = house.keeper()
    with capture_logs() as logs:
        await kept(keeper)
    assert (await house.record()).run == 1
    assert [line["event"] for line in logs if line.get("chore") == house.chore.name] == []


async def test_many_processes_at_once_do_a_chore_once_an_interval(house: House) -> None:
    keepers = [house.keeper()[0] for _ in range(4)]
    await house.fill(25)
    await kept(*keepers * 3)
    assert [changed for _, changed in house.batches] == [10, 10, 5]
    assert (await house.record()).run == 1
    await house.change("due_at = now()")
    await kept(*keepers * 3)
    assert (await house.record()).run == 2


async def test_where_sessions_are_shared_chores_are_done_all_the_same(
    house: House, settings: Settings
) -> None:
    pooled = [house.database(database_direct_url=settings.database_url) for _ in range(2)]
    await house.fill(25)
    keepers = [house.keeper(database=database)[0] for database in pooled]
    await kept(*keepers)
    assert ([changed for _, changed in house.batches], runs(house, "done")) == ([10, 10, 5], 1)


async def test_while_one_process_is_at_a_chore_others_go_on_with_what_is_left(
    house: House,
) -> None:
    pause = Pause(house)
    done: list[int] = []

    async def batch(_connection: Connection, /, *, rows_max: int) -> int:
        done.append(rows_max)
        return 0

    other = Chore(f"test_{new_id().hex}", 300, batch)
    (first, process), (second, _) = house.keeper(), house.keeper(other)
    busy = asyncio.create_task(kept(first))
    await pause.reached.wait()
    await kept(second)
    assert (len(done), house.batches) == (1, [])
    assert str((await house.record()).process) == process
    pause.go_on.set()
    await busy
    assert (await house.record()).run == 1


async def test_a_chore_whose_process_died_is_taken_over_after_a_while_and_not_before(
    house: House,
) -> None:
    pause = Pause(house, batch=1)
    (first, died), (second, _) = house.keeper(), house.keeper()
    await house.fill(25)
    dying = asyncio.create_task(kept(first))
    await pause.reached.wait()
    dying.cancel()
    await asyncio.wait([dying])
    house.during = None
    await kept(second)
    assert house.batches == [(10, 10)]
    await house.change("held_until = now()")
    with capture_logs() as logs:
        await kept(second)
    # What was under way is rolled back, what was committed is not done again.
    assert [changed for _, changed in house.batches] == [10, 10, 5]
    record = await house.record()
    assert (record.run, record.rows, record.process) == (2, 15, None)
    assert [line["left_by"] for line in logs if line["event"] == "chore.taken_over"] == [died]


async def test_a_process_that_was_away_for_too_long_changes_nothing_any_more(
    house: House,
) -> None:
    away, back = house.database(), house.database()
    first = await take(away, house, new_id(), hold_s=0)
    second = await take(back, house, new_id(), hold_s=60)
    assert first is not None
    assert second is not None
    async with away.spare_transaction() as connection:
        await repository.fail(connection, first, error="Late", every_s=300)
    with pytest.raises(ChoreLost):
        async with away.spare_transaction() as connection:
            await repository.hold(connection, first, hold_s=60)
    assert ((await house.record()).failures, (await house.record()).run) == (0, 2)
    async with back.spare_transaction() as connection:
        await repository.hold(connection, second, hold_s=60)
        await repository.finish(connection, second, rows=0, every_s=300)
    assert await take(back, house, new_id(), hold_s=60) is None


async def test_a_turn_that_comes_after_a_batch_began_goes_before_the_next_one(
    house: House,
) -> None:
    pause, database, person = Pause(house), house.database(db_pool_size=1), Person()
    keeper, _ = house.keeper(database=database)
    await house.fill(15)
    keeping = asyncio.create_task(kept(keeper))
    await pause.reached.wait()
    served, leave = asyncio.Event(), asyncio.Event()
    batches_before: list[int] = []

    async def turn(come: asyncio.Event, go: asyncio.Event) -> None:
        async with database.transaction(person.principal) as connection:
            await connection.execute(text("SELECT 1"))
            batches_before.append(len(house.batches))
            come.set()
            await go.wait()

    # One comes during the batch, two more when the next one waits already.
    turns = [asyncio.create_task(turn(served, leave))]
    await asyncio.sleep(0)
    pause.go_on.set()
    async with asyncio.timeout(PATIENCE_S):
        await served.wait()
        while not REGISTRY.get_sample_value(*SPARE_WAITING):
            await asyncio.sleep(0)
    turns += [asyncio.create_task(turn(served, leave)) for _ in range(2)]
    await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(keeping, *turns)
    assert batches_before == [1, 1, 1]
    assert len(house.batches) == 2


async def test_who_waits_for_a_full_database_loses_the_chore_to_another_process(
    house: House,
) -> None:
    pause, full = Pause(house), house.database(db_pool_size=1)
    keeper, _ = house.keeper(database=full, lease_s=0.001, lease_grace_s=0.001)
    other, _ = house.keeper()
    await house.fill(15)
    keeping = asyncio.create_task(kept(keeper))
    await pause.reached.wait()
    served, leave = asyncio.Event(), asyncio.Event()

    async def turn() -> None:
        async with full.system_transaction():
            served.set()
            await leave.wait()

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0)
    pause.go_on.set()
    await served.wait()
    house.during = None
    async with asyncio.timeout(PATIENCE_S):
        # The time for which it was held has to pass by the database's clock.
        while (await house.record()).run == 1:
            await kept(other)
    leave.set()
    await asyncio.gather(keeping, turning)
    assert [changed for _, changed in house.batches] == [10, 5]
    assert (runs(house, "lost"), runs(house, "done"), runs(house, "failed")) == (1, 1, 0)


@pytest.mark.parametrize("error", [DatabaseError(), ZeroDivisionError()], ids=["away", "bug"])
async def test_a_chore_that_fails_stops_no_other_and_is_tried_again_later_with_less(
    house: House, error: Exception
) -> None:
    fails = True
    allowed: list[int] = []

    async def batch(_connection: Connection, /, *, rows_max: int) -> int:
        allowed.append(rows_max)
        if fails:
            raise error
        return 0

    # By name before the other.
    failing = Chore(f"a_{new_id().hex}", 300, batch)
    keeper, _ = house.keeper(failing, chore_rows_max=64)
    await house.fill(1)
    waits = []
    for failures in range(1, 8):
        await kept(keeper)
        record = await house.record(failing)
        assert (record.failures, record.error) == (failures, type(error).__name__)
        assert (record.process, record.finished_at) == (None, None)
        waits.append(record.due_in.total_seconds())
        await kept(keeper)
        assert len(allowed) == failures, "it was not due"
        await _make_due(house, failing)
    assert house.batches == [(64, 1)]
    assert allowed == [64, 32, 16, 8, 4, 4, 4]
    assert 64 >> HALVINGS_MAX == 4
    assert all(later > 1.5 * before for before, later in itertools.pairwise(waits[:5]))
    assert max(waits) <= failing.every_s
    fails = False
    await kept(keeper)
    record = await house.record(failing)
    assert (record.failures, record.error, record.run) == (0, None, 8)


async def _make_due(house: House, chore: Chore) -> None:
    kept, house.chore = house.chore, chore
    await house.change("due_at = now()")
    house.chore = kept


async def test_a_statement_of_a_chore_may_take_less_time_than_one_of_a_turn(
    house: House,
) -> None:
    database = house.database(chore_statement_timeout_s=0.05, statement_timeout_s=60)

    async def batch(connection: Connection, /, *, rows_max: int) -> int:
        await connection.execute(text("SELECT pg_sleep(3600)"))
        return rows_max

    slow = Chore(f"test_{new_id().hex}", 300, batch)
    keeper, _ = house.keeper(slow, database=database)
    await kept(keeper)
    assert (await house.record(slow)).error == "QueryCanceledError"
    assert (await house.record()).failures == 0
