"""A model that keeps failing is left alone, through the whole service, until it is back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.assistant.talk import ACROSS, ONE_WAY, PATIENCE_S, Outcome, Talk, Way, talking
from tests.assistant.vendor.endpoint import Scripts, vendor
from tests.assistant.vendor.steps import Step, always, empty, fails, hangs, held, resets, says
from tests.conftest import AppMaker
from tests.factories import Person

from taskchat.moments import new_id

ONCE = {"model_retries_max": 0}


@pytest.fixture
def names() -> tuple[str, str]:
    """Two models that no other test asks: a process counts all that its apps do."""
    mark = new_id().hex
    return f"gpt-a-{mark}", f"gpt-b-{mark}"


async def until(
    talk: Talk, holds: Callable[[Outcome], bool], *, say: Callable[[], Awaitable[Outcome]]
) -> Outcome:
    """Say something until the outcome is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(outcome := await say()):
        assert time.monotonic() < deadline, talk.vendor.asked
        # A page of messages must hold all that is said meanwhile.
        await asyncio.sleep(0.1)
    return outcome


@pytest.mark.parametrize("step", [fails(500), fails(429), fails(401), resets(), empty()], ids=repr)
@ACROSS
async def test_a_model_that_failed_several_times_in_a_row_is_not_asked_until_it_has_rested(
    running_app: AppMaker, way: Way, names: tuple[str, str], step: Step
) -> None:
    a, b = names
    async with vendor(scripts={a: [always(step)], b: [always(says("B."))]}) as standing:
        async with talking(
            running_app, standing, way, model=f"{a},{b}", breaker_failures=3, **ONCE
        ) as talk:
            for _ in range(3):
                assert await talk.metric("taskchat_model_breaker_open", model=a) == 0
                assert (await talk.say()).model == b
            assert standing.asked == [a, b] * 3
            assert await talk.metric("taskchat_model_breaker_open", model=a) == 1
            assert await talk.metric("taskchat_model_breaker_open", model=b) == 0
            assert await talk.metric("taskchat_model_failures_total", model=a) == 3
            outcome = await talk.say()
            assert (outcome.model, outcome.asked) == (b, [b])
            assert standing.asked == [*[a, b] * 3, b]


@ONE_WAY
async def test_a_model_that_is_back_is_asked_again(
    running_app: AppMaker, way: Way, names: tuple[str, str]
) -> None:
    a, b = names
    async with vendor(scripts={a: [fails(500)], b: [always(says("B."))]}) as standing:
        async with talking(
            running_app,
            standing,
            way,
            model=f"{a},{b}",
            breaker_failures=1,
            breaker_open_s=0.5,
            **ONCE,
        ) as talk:
            assert (await talk.say()).model == b
            standing.instead(always(says("A.")), model=a)
            await until(talk, lambda outcome: outcome.model == a, say=talk.say)
            assert await talk.metric("taskchat_model_breaker_open", model=a) == 0
            assert (await talk.say()).model == a
            assert standing.gaps_s(a)[0] >= 0.5


@ONE_WAY
async def test_a_model_that_is_still_away_is_tried_once_in_a_while(
    running_app: AppMaker, way: Way, names: tuple[str, str]
) -> None:
    a, b = names
    async with vendor(scripts={a: [always(fails(500))], b: [always(says("B."))]}) as standing:
        async with talking(
            running_app,
            standing,
            way,
            model=f"{a},{b}",
            breaker_failures=2,
            breaker_open_s=0.5,
            **ONCE,
        ) as talk:

            def was_tried_thrice(_outcome: Outcome) -> bool:
                return standing.asked.count(a) >= 5

            outcome = await until(talk, was_tried_thrice, say=talk.say)
            assert outcome.model == b
            assert min(standing.gaps_s(a)[1:]) >= 0.5
            assert await talk.metric("taskchat_model_breaker_open", model=a) == 1


@ACROSS
async def test_with_no_model_left_a_turn_fails_at_once_and_nobody_is_asked(
    running_app: AppMaker, way: Way, names: tuple[str, str]
) -> None:
    a, _ = names
    async with vendor(scripts={a: [always(fails(500))]}) as standing:
        async with talking(
            running_app, standing, way, model=a, breaker_failures=2, breaker_open_s=2, **ONCE
        ) as talk:
            for _ in range(2):
                assert (await talk.say()).error_code == "model_error"
            asked = len(standing.requests)
            outcome = await talk.say()
            assert outcome.error_code == "model_error"
            assert not outcome.asked
            assert len(standing.requests) == asked == 2
            standing.instead(always(says("Back.")), model=a)
            await until(talk, lambda outcome: outcome.reply == "Back.", say=talk.say)


@ONE_WAY
async def test_repetitions_count_and_a_breaker_that_opens_ends_them(
    running_app: AppMaker, way: Way, names: tuple[str, str]
) -> None:
    a, b = names
    async with vendor(scripts={a: [always(fails(500))], b: [says("B.")]}) as standing:
        async with talking(
            running_app, standing, way, model=f"{a},{b}", breaker_failures=2, model_retries_max=5
        ) as talk:
            assert (await talk.say()).model == b
            assert standing.asked == [a, a, b]


@ONE_WAY
async def test_failures_between_answers_do_not_add_up(
    running_app: AppMaker, way: Way, names: tuple[str, str]
) -> None:
    a, b = names
    fault = [fails(500), fails(500), says("A.")]
    async with vendor(scripts={a: fault * 3, b: [always(says("B."))]}) as standing:
        async with talking(
            running_app, standing, way, model=f"{a},{b}", breaker_failures=3, **ONCE
        ) as talk:
            models = [(await talk.say()).model for _ in range(9)]
            assert models == [b, b, a] * 3


@ONE_WAY
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_the_requests_own_fault_does_not_count(
    running_app: AppMaker, way: Way, names: tuple[str, str], status: int
) -> None:
    a, b = names
    async with vendor(scripts={a: [always(fails(status))], b: [always(says("B."))]}) as standing:
        async with talking(
            running_app, standing, way, model=f"{a},{b}", breaker_failures=1, **ONCE
        ) as talk:
            for _ in range(3):
                await talk.say()
            assert standing.asked == [a, b] * 3


@ONE_WAY
async def test_a_model_that_hangs_counts(
    running_app: AppMaker, way: Way, names: tuple[str, str]
) -> None:
    a, b = names
    async with vendor(scripts={a: [hangs()], b: [always(says("B."))]}) as standing:
        async with talking(
            running_app, standing, way, model=f"{a},{b}", breaker_failures=1, model_timeout_s=1
        ) as talk:
            for _ in range(2):
                assert (await talk.say()).model == b
            assert standing.asked == [a, b, b]
            assert (
                await talk.metric("taskchat_model_failures_total", model=a, reason="timeout") == 1
            )


@ONE_WAY
async def test_a_breaker_can_be_switched_off(
    running_app: AppMaker, way: Way, names: tuple[str, str]
) -> None:
    a, b = names
    async with vendor(scripts={a: [always(fails(500))], b: [always(says("B."))]}) as standing:
        async with talking(
            running_app, standing, way, model=f"{a},{b}", breaker_failures=0, **ONCE
        ) as talk:
            for _ in range(7):
                await talk.say()
            assert standing.asked == [a, b] * 7


@ONE_WAY
async def test_a_model_that_says_for_how_long_is_left_alone_for_so_long(
    running_app: AppMaker, way: Way, names: tuple[str, str]
) -> None:
    a, b = names
    script: Scripts = {a: [fails(429, retry_after=1.5)], b: [always(says("B."))]}
    async with vendor(scripts=script) as standing:
        async with talking(
            running_app,
            standing,
            way,
            model=f"{a},{b}",
            model_retry_wait_max_s=0.5,
            breaker_open_s=0.1,
        ) as talk:
            assert (await talk.say()).model == b
            assert await talk.metric("taskchat_model_breaker_open", model=a) == 1
            standing.instead(always(says("A.")), model=a)
            await until(talk, lambda outcome: outcome.model == a, say=talk.say)
            assert standing.gaps_s(a)[0] >= 1.5


@ACROSS
async def test_of_many_turns_only_one_finds_out_whether_a_model_is_back(
    running_app: AppMaker, way: Way, names: tuple[str, str]
) -> None:
    a, b = names
    async with vendor(scripts={a: [fails(500)], b: [always(says("B."))]}) as standing:
        async with talking(
            running_app,
            standing,
            way,
            model=f"{a},{b}",
            breaker_failures=1,
            breaker_open_s=0.5,
            **ONCE,
        ) as talk:
            assert (await talk.say()).model == b
            gate = asyncio.Event()
            standing.instead(held(says("A."), gate), always(says("A.")), model=a)

            def somebody() -> Talk:
                return replace(talk, person=Person(), conversation_id=None)

            async with asyncio.timeout(PATIENCE_S):
                while True:
                    trial = asyncio.create_task(somebody().say())
                    while standing.asked.count(a) < 2 and not trial.done():
                        await asyncio.sleep(0.01)
                    if not trial.done():
                        break
                    assert trial.result().model == b
                others = await asyncio.gather(*(somebody().say() for _ in range(4)))
                assert [outcome.model for outcome in others] == [b] * 4
                assert standing.asked.count(a) == 2
                gate.set()
                assert (await trial).model == a
            assert (await talk.say()).model == a
