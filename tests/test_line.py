"""The line before the database: who goes first, who is refused, and who never is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from taskchat.errors import DatabaseError, Overloaded
from taskchat.postgres.line import RETRY_AFTER_S_MAX, Line, Precedence
from taskchat.time_limits import time_limit

LONG_S = 60.0


class Stage:
    """A line of one place that is taken until it is let go of, and those who wait behind it."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.served: list[str] = []
        self.jobs: list[asyncio.Task[None]] = []
        self.taken = asyncio.Event()

    async def add(self, name: str, precedence: Precedence = Precedence.ARRIVING) -> None:
        """Somebody comes: “user” or “user thing”."""

        async def job() -> None:
            async with self.line.place(name.split()[0], precedence):
                self.served.append(name)

        self.jobs.append(asyncio.create_task(job()))
        await asyncio.sleep(0)

    async def outcomes(self) -> list[str]:
        """What became of each: its error's name, or “served”."""
        self.taken.set()
        results = await asyncio.gather(*self.jobs, return_exceptions=True)
        return [type(result).__name__ if result else "served" for result in results]


@contextlib.asynccontextmanager
async def busy(waiting_max: int = 100, still_s: float = LONG_S) -> AsyncIterator[Stage]:
    """The only place is taken."""
    stage = Stage(Line(size=1, waiting_max=waiting_max, still_s=still_s))

    async def hold() -> None:
        async with stage.line.place("holder", Precedence.ARRIVING):
            await stage.taken.wait()

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0)
    yield stage
    stage.taken.set()
    await asyncio.gather(holder, *stage.jobs, return_exceptions=True)


async def test_accepted_work_goes_before_requests_that_came_earlier() -> None:
    async with busy() as stage:
        await stage.add("ann begins")
        await stage.add("bob begins")
        await stage.add("ann ends", Precedence.ACCEPTED)
        assert await stage.outcomes() == ["served"] * 3
        assert stage.served == ["ann ends", "ann begins", "bob begins"]


async def test_users_are_served_in_turn_and_a_users_requests_in_order() -> None:
    async with busy() as stage:
        for name in ("ann 1", "ann 2", "ann 3", "bob 1", "cy 1", "bob 2"):
            await stage.add(name)
        await stage.outcomes()
        assert stage.served == ["ann 1", "bob 1", "cy 1", "ann 2", "bob 2", "ann 3"]


async def test_only_a_full_line_refuses_and_accepted_work_never_is() -> None:
    async with busy(waiting_max=2) as stage:
        for name in ("ann", "bob", "cy"):
            await stage.add(name)
        for _ in range(5):
            await stage.add("ann ends", Precedence.ACCEPTED)
        assert await stage.outcomes() == ["served", "served", "Overloaded"] + ["served"] * 5


async def test_whoever_has_the_most_waiting_makes_room_for_others() -> None:
    async with busy(waiting_max=3) as stage:
        for name in ("ann 1", "ann 2", "ann 3", "bob 1"):
            await stage.add(name)
        assert await stage.outcomes() == ["served", "served", "Overloaded", "served"]
        assert stage.served == ["ann 1", "bob 1", "ann 2"]


async def test_without_a_line_whoever_finds_no_place_is_refused() -> None:
    async with busy(waiting_max=0) as stage:
        await stage.add("ann")
        await stage.add("ann ends", Precedence.ACCEPTED)
        assert await stage.outcomes() == ["Overloaded", "served"]


async def test_a_refusal_says_when_those_who_wait_will_have_been_served() -> None:
    line = Line(size=1, waiting_max=40, still_s=LONG_S)
    done = 0

    async def request(user: str) -> None:
        nonlocal done
        async with line.place(user, Precedence.ARRIVING):
            await asyncio.sleep(0.1)
        done += 1

    jobs = [asyncio.create_task(request(f"user {n}")) for n in range(41)]
    while done < 10:
        await asyncio.sleep(0.01)
    jobs += [asyncio.create_task(request(f"late {n}")) for n in range(10)]
    await asyncio.sleep(0)
    told = []
    for number in range(100):
        with pytest.raises(Overloaded) as refused:
            await request(f"refused {number}")
        assert refused.value.code == "overloaded"
        told.append(refused.value.retry_after_s or 0)
    # A tenth of a second for each: what the line takes for granted, and no machine is faster.
    assert told[0] >= 4
    # One after another, or they would find a full line again.
    assert told == sorted(told)
    assert told[-1] - told[0] >= 9
    assert told[-1] <= RETRY_AFTER_S_MAX
    assert await asyncio.gather(*jobs) == [None] * 51


async def test_a_line_that_stands_still_is_given_up_by_requests_alone() -> None:
    async with busy(still_s=0.1) as stage:
        await stage.add("ann")
        await stage.add("ann ends", Precedence.ACCEPTED)
        await asyncio.wait(stage.jobs[:1])
        assert isinstance(stage.jobs[0].exception(), DatabaseError)
        assert not stage.jobs[1].done()
        assert await stage.outcomes() == ["DatabaseError", "served"]


async def test_a_line_that_moves_is_waited_in_for_longer_than_one_that_stands() -> None:
    line = Line(size=1, waiting_max=100, still_s=0.5)
    began = asyncio.get_running_loop().time()

    async def request(user: str) -> None:
        async with line.place(user, Precedence.ARRIVING):
            await asyncio.sleep(0.05)

    await asyncio.gather(*(request(f"user {n}") for n in range(20)))
    assert asyncio.get_running_loop().time() - began >= 20 * 0.05 > 0.5


async def test_work_that_fails_at_the_database_does_not_move_the_line() -> None:
    line = Line(size=1, waiting_max=100, still_s=0.4)

    async def away() -> None:
        async with line.place("ann", Precedence.ACCEPTED):
            await asyncio.sleep(0.05)
            raise DatabaseError

    async def keep_trying() -> None:
        while True:
            with contextlib.suppress(DatabaseError):
                await away()

    trying = [asyncio.create_task(keep_trying()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseError):
        async with line.place("bob", Precedence.ARRIVING):
            pytest.fail("accepted work never leaves the place free")
    for job in trying:
        job.cancel()
    await asyncio.gather(*trying, return_exceptions=True)


@pytest.mark.parametrize("precedence", list(Precedence))
async def test_who_leaves_the_line_loses_nobodys_place(precedence: Precedence) -> None:
    async with busy() as stage:
        for name in ("ann", "bob", "cy"):
            await stage.add(name, precedence)
        stage.jobs[0].cancel()
        # In the moment in which its time comes, and before it hears of it.
        stage.taken.set()
        await asyncio.sleep(0)
        stage.jobs[1].cancel()
        assert await stage.outcomes() == ["CancelledError", "CancelledError", "served"]
        async with stage.line.place("dan", Precedence.ARRIVING):
            stage.served.append("dan")
        assert stage.served == ["cy", "dan"]


async def test_waiting_in_line_counts_against_no_time_limit() -> None:
    async with busy() as stage:

        async def limited() -> None:
            async with time_limit(0.05), stage.line.place("ann", Precedence.ACCEPTED):
                stage.served.append("ann")

        stage.jobs.append(asyncio.create_task(limited()))
        await asyncio.sleep(0.2)
        assert await stage.outcomes() == ["served"]


async def test_requests_of_one_user_do_not_hold_the_places_of_others() -> None:
    line = Line(size=3, waiting_max=100, still_s=LONG_S)
    let_go, inside = asyncio.Event(), []

    async def request(user: str, precedence: Precedence = Precedence.ARRIVING) -> None:
        async with line.place(user, precedence):
            inside.append(user)
            await let_go.wait()

    jobs = [asyncio.create_task(request("ann")) for _ in range(10)]
    jobs += [asyncio.create_task(request("bob"))]
    jobs += [asyncio.create_task(request("ann", Precedence.ACCEPTED))]
    for _ in range(5):
        await asyncio.sleep(0)
    assert inside == ["ann", "bob", "ann"]
    let_go.set()
    await asyncio.gather(*jobs)
    assert len(inside) == 12


async def test_spare_work_goes_last_and_leaves_a_place_for_whoever_comes_next() -> None:
    line = Line(size=3, waiting_max=100, still_s=LONG_S)
    served: list[str] = []
    let_go = {name: asyncio.Event() for name in ("spare 1", "spare 2", "spare 3", "ann", "bob")}

    async def work(name: str, precedence: Precedence) -> None:
        async with line.place(name, precedence):
            served.append(name)
            await let_go[name].wait()

    async def add(name: str, precedence: Precedence = Precedence.SPARE) -> None:
        jobs.append(asyncio.create_task(work(name, precedence)))
        await asyncio.sleep(0)

    jobs: list[asyncio.Task[None]] = []
    for name in ("spare 1", "spare 2", "spare 3"):
        await add(name)
    assert served == ["spare 1", "spare 2"]
    await add("ann", Precedence.ARRIVING)
    assert served[2:] == ["ann"]
    await add("bob", Precedence.ACCEPTED)
    let_go["spare 1"].set()
    await jobs[0]
    assert served[3:] == ["bob"]
    let_go["ann"].set()
    await jobs[3]
    assert "spare 3" not in served, "the last place is not for it"
    let_go["spare 2"].set()
    await jobs[1]
    await asyncio.sleep(0)
    assert served[4:] == ["spare 3"]
    for event in let_go.values():
        event.set()
    await asyncio.gather(*jobs)


async def test_spare_work_is_never_refused_and_waits_however_long_nothing_moves() -> None:
    async with busy(waiting_max=0, still_s=0.05) as stage:
        await stage.add("spare", Precedence.SPARE)
        await stage.add("ann ends", Precedence.ACCEPTED)
        await asyncio.wait(stage.jobs, timeout=0.2)
        async with asyncio.timeout(LONG_S):
            assert await stage.outcomes() == ["served", "served"]
        # With one place in all, it must be allowed to take that.
        assert stage.served == ["ann ends", "spare"]
