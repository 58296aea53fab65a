"""Time limits that stand still while work waits for others."""

import asyncio

import pytest

from taskchat.time_limits import time_limit, uncounted


async def test_what_takes_too_long_is_stopped() -> None:
    with pytest.raises(TimeoutError):
        async with time_limit(0.01):
            await asyncio.Event().wait()


async def test_what_is_uncounted_can_take_any_time() -> None:
    async with time_limit(0.01), time_limit(0.01):
        with uncounted(), uncounted():
            await asyncio.sleep(0.1)


async def test_the_clock_goes_on_after_what_was_uncounted() -> None:
    async def wait_and_hang() -> None:
        async with time_limit(0.05):
            with uncounted():
                await asyncio.sleep(0.1)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await wait_and_hang()


async def test_a_job_that_outlives_its_limit_may_still_wait() -> None:
    over = asyncio.Event()

    async def job() -> str:
        await over.wait()
        with uncounted():
            return "done"

    async with time_limit(60):
        running = asyncio.create_task(job())
        await asyncio.sleep(0)
    over.set()
    assert await running == "done"


async def test_waits_beside_each_other_stop_the_clock_until_the_last_is_over() -> None:
    async def wait(seconds: float) -> None:
        with uncounted():
            await asyncio.sleep(seconds)

    async with time_limit(0.05):
        await asyncio.gather(wait(0.01), wait(0.2))
