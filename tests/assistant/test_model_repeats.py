"""A model that fails is asked again where that may help, as late as it wishes, and not for ever."""

import time
from email.utils import formatdate

import pytest
from tests.assistant.talk import ACROSS, ONE_WAY, UNSTREAMED, A, B, Way, talking
from tests.assistant.vendor.endpoint import Scripts, vendor
from tests.assistant.vendor.steps import (
    Failure,
    Step,
    always,
    calls,
    fails,
    halves,
    resets,
    says,
)
from tests.conftest import AppMaker


async def test_a_rate_limit_is_waited_out_and_the_same_model_asked_again(
    running_app: AppMaker, way: Way
) -> None:
    script: Scripts = {A: [fails(429, retry_after=1), says("Hello.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello.", A)
            assert standing.asked == [A, A]
            [waited_s] = standing.gaps_s(A)
            assert waited_s >= 1
            assert {request.api for request in standing.requests} == {way.api}
            assert [request.stream for request in standing.requests] == [way.streams] * 2
            await talk.goes_on()


@ONE_WAY
async def test_a_wait_can_be_told_as_a_moment(running_app: AppMaker, way: Way) -> None:
    moment = int(time.time()) + 2
    after = formatdate(moment, usegmt=True)
    async with vendor(scripts={A: [fails(503, retry_after=after), says("Hello.")]}) as standing:
        offset_s = time.time() - time.monotonic()
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == A
    assert standing.asked == [A, A]
    # A clock's last bits are lost on the way.
    assert standing.requests[1].at + offset_s > moment - 0.01


async def test_a_failure_that_passes_is_not_seen_by_anybody(
    running_app: AppMaker, way: Way
) -> None:
    script: Scripts = {A: [fails(500), calls("add_task", title="Milk"), fails(503), says("Added.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Added.", A)
            assert outcome.asked == [A]
            assert outcome.turn["usage"]["model_calls"] == 2
            assert standing.asked == [A] * 4
            assert [task["title"] for task in await talk.tasks()] == ["Milk"]
            await talk.goes_on()


@ACROSS
@pytest.mark.parametrize("status", [408, 409, 502, 504, 529])
async def test_a_status_that_may_pass_is_repeated(
    running_app: AppMaker, way: Way, status: int
) -> None:
    async with vendor(scripts={A: [fails(status), says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == A
            assert standing.asked == [A, A]


@pytest.mark.parametrize("step", [resets(), halves(words=0)], ids=["reset", "half"])
async def test_a_connection_that_breaks_before_the_first_word_is_repeated(
    running_app: AppMaker, way: Way, step: Step
) -> None:
    async with vendor(scripts={A: [step, says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == A
            assert standing.asked == [A, A]
            await talk.goes_on()


@ACROSS
@pytest.mark.parametrize(
    "step",
    [
        fails(400),
        fails(401),
        fails(403),
        fails(404),
        fails(413),
        fails(422),
        fails(429, code="insufficient_quota"),
        fails(500, should_retry=False),
    ],
    ids=lambda step: f"{step.status} {step.code or ''}",
)
async def test_what_a_repetition_would_not_mend_is_not_repeated(
    running_app: AppMaker, way: Way, step: Failure
) -> None:
    async with vendor(scripts={A: [step], B: [says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A, B]
            await talk.goes_on()


async def test_a_wait_that_is_too_long_is_not_waited_for(running_app: AppMaker, way: Way) -> None:
    script: Scripts = {A: [fails(429, retry_after=3600)], B: [says("Hello.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A, B]
            # Who wants to be left alone for an hour is.
            assert (await talk.goes_on(B)).asked == [B]


@ACROSS
async def test_a_vendor_that_asks_for_a_repetition_gets_one(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [fails(400, should_retry=True), says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == A
            assert standing.asked == [A, A]


@ONE_WAY
@pytest.mark.parametrize("times", [0, 1])
async def test_how_often_a_call_is_repeated_can_be_set(
    running_app: AppMaker, way: Way, times: int
) -> None:
    async with vendor(scripts={A: [always(fails(500))], B: [says("Hello.")]}) as standing:
        async with talking(running_app, standing, way, model_retries_max=times) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A] * (times + 1) + [B]


@ONE_WAY
@pytest.mark.parametrize("limits", [{"breaker_failures": 0}, {"model_retries_max": 0}])
async def test_a_long_wait_is_not_waited_for_without_a_breaker_or_repetitions_either(
    running_app: AppMaker, way: Way, limits: dict[str, int]
) -> None:
    script: Scripts = {A: [fails(429, retry_after=3600)], B: [always(says("Hello."))]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way, **limits) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A, B]
            if "breaker_failures" not in limits:
                assert (await talk.say()).asked == [B]


@ONE_WAY
@pytest.mark.parametrize("after", ["0", "-5", "nan", "soon", "Fri, 31 Dec 1999 23:59:59 GMT", ""])
async def test_a_wait_that_is_none_is_no_reason_to_wait(
    running_app: AppMaker, way: Way, after: str
) -> None:
    async with vendor(scripts={A: [fails(429, retry_after=after), says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == A
            assert standing.asked == [A, A]


@ONE_WAY
@pytest.mark.parametrize("after", ["inf", "1e999", "9" * 500, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_wait_without_an_end_is_too_long(
    running_app: AppMaker, way: Way, after: str
) -> None:
    script: Scripts = {A: [fails(429, retry_after=after)], B: [says("Hello.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A, B]


@ONE_WAY
async def test_how_long_a_wait_may_be_can_be_set(running_app: AppMaker, way: Way) -> None:
    script: Scripts = {A: [fails(429, retry_after=2)], B: [says("Hello.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way, model_retry_wait_max_s=1) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A, B]


async def test_a_wait_that_is_too_long_is_not_waited_for_where_no_model_is_left(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [fails(429, retry_after=3600)]}) as standing:
        async with talking(running_app, standing, way, model=A) as talk:
            assert (await talk.say()).error_code == "model_error"
            assert standing.asked == [A]


@UNSTREAMED
async def test_half_an_answer_that_nobody_has_read_is_asked_for_again(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [halves(), says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "Hello."
            assert standing.asked == [A, A]
            await talk.goes_on()
