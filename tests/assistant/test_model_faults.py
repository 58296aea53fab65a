"""A model that fails: asked again where that may help, else the next one, else a named error."""

import json
import re
import time
from email.utils import formatdate
from typing import Any

import pytest
from tests.assistant.talk import Way, talking
from tests.assistant.vendor.endpoint import Scripts, vendor
from tests.assistant.vendor.steps import (
    Failure,
    Garbage,
    Step,
    always,
    calls,
    calls_raw,
    ends_early,
    fails,
    fails_inside,
    garbage,
    halves,
    hangs,
    resets,
    says,
    stalls,
    thinks,
    together,
    trickles,
)
from tests.conftest import AppMaker

A, B = "gpt-a", "gpt-b"
JSON, STREAM = Way("responses", streams=False), Way("responses", streams=True)
CHAT_JSON = Way("chat_completions", streams=False)
CHAT_STREAM = Way("chat_completions", streams=True)

ACROSS = pytest.mark.parametrize("way", [JSON, CHAT_STREAM], ids=str)
"""For what the four ways can differ in only by their API or only by their streaming."""
STREAMS = pytest.mark.parametrize("way", [STREAM, CHAT_STREAM], ids=str)


def bare(item: dict[str, Any]) -> dict[str, Any]:
    """An item without what only the model that made it can read."""
    return {name: value for name, value in item.items() if name != "id"}


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


@pytest.mark.parametrize("way", [JSON], ids=str)
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


async def test_a_model_that_keeps_failing_is_left_for_the_rest_of_the_turn_and_not_for_longer(
    running_app: AppMaker, way: Way
) -> None:
    script: Scripts = {
        A: [always(fails(500))],
        B: [calls("add_task", title="Milk"), says("Added.")],
    }
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Added.", B)
            assert standing.asked == [A, A, A, B, B]
            assert outcome.asked == [A, B]
            assert outcome.answered == [B, B]
            assert outcome.turn["usage"]["model_calls"] == 2
            assert [task["title"] for task in await talk.tasks()] == ["Milk"]
            await talk.goes_on(A)


async def test_a_turn_goes_over_in_its_middle_and_keeps_what_it_has_done(
    running_app: AppMaker, way: Way
) -> None:
    script: Scripts = {
        A: [calls("add_task", title="Milk"), fails(400)],
        B: [calls("list_tasks"), says("There is milk.")],
    }
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("There is milk.", B)
            assert standing.asked == [A, A, B, B]
            assert outcome.asked == [A, B]
            assert outcome.answered == [A, B, B]
            assert [call["tool_name"] for call in outcome.turn["tool_calls"]] == [
                "add_task",
                "list_tasks",
            ]
            assert [task["title"] for task in await talk.tasks()] == ["Milk"]
            # What the first model was told last, the second was told first.
            told, told_again = (
                [bare(item) for item in one.items] for one in standing.requests[1:3]
            )
            assert told == told_again
            await talk.goes_on(A)


async def test_a_model_gets_back_what_it_sealed_and_nothing_that_another_did(
    running_app: AppMaker, way: Way
) -> None:
    first, second = "gemini-a", "gemini-b"

    def thinks_and_calls(sealed: str) -> Step:
        # Each API tells of one of them.
        return together(thinks(sealed), calls_raw("list_tasks", "{}", sealed=sealed))

    script: Scripts = {
        first: [thinks_and_calls("of-a-1"), thinks_and_calls("of-a-2"), fails(400)],
        second: [thinks_and_calls("of-b-1"), thinks_and_calls("of-b-2"), says("Nothing.")],
    }
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way, model=f"{first},{second}") as talk:
            assert (await talk.say()).model == second
    assert standing.asked == [first] * 3 + [second] * 3
    seen = [re.findall(r"of-[ab]-\d", json.dumps(request.items)) for request in standing.requests]
    assert seen == [[], ["of-a-1"], ["of-a-1", "of-a-2"], [], ["of-b-1"], ["of-b-1", "of-b-2"]]


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


@pytest.mark.parametrize(
    "step",
    [
        garbage(),
        garbage('{"nonsense": true}', type="application/json"),
        garbage("[]", type="application/json"),
        garbage("data: {]\n\n", type="text/event-stream"),
    ],
    ids=["HTML", "object", "list", "event"],
)
async def test_a_success_that_is_none_is_a_failure(
    running_app: AppMaker, way: Way, step: Garbage
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


@pytest.mark.parametrize("way", [JSON], ids=str)
@pytest.mark.parametrize("times", [0, 1])
async def test_how_often_a_call_is_repeated_can_be_set(
    running_app: AppMaker, way: Way, times: int
) -> None:
    async with vendor(scripts={A: [always(fails(500))], B: [says("Hello.")]}) as standing:
        async with talking(running_app, standing, way, model_retries_max=times) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A] * (times + 1) + [B]


@pytest.mark.parametrize("way", [JSON], ids=str)
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


@pytest.mark.parametrize("way", [JSON], ids=str)
@pytest.mark.parametrize("after", ["0", "-5", "nan", "soon", "Fri, 31 Dec 1999 23:59:59 GMT", ""])
async def test_a_wait_that_is_none_is_no_reason_to_wait(
    running_app: AppMaker, way: Way, after: str
) -> None:
    async with vendor(scripts={A: [fails(429, retry_after=after), says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == A
            assert standing.asked == [A, A]


@pytest.mark.parametrize("way", [JSON], ids=str)
@pytest.mark.parametrize("after", ["inf", "1e999", "9" * 500, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_wait_without_an_end_is_too_long(
    running_app: AppMaker, way: Way, after: str
) -> None:
    script: Scripts = {A: [fails(429, retry_after=after)], B: [says("Hello.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A, B]


@pytest.mark.parametrize("way", [JSON], ids=str)
async def test_how_long_a_wait_may_be_can_be_set(running_app: AppMaker, way: Way) -> None:
    script: Scripts = {A: [fails(429, retry_after=2)], B: [says("Hello.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way, model_retry_wait_max_s=1) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A, B]


async def test_a_turn_whose_models_all_fail_is_a_named_error(
    running_app: AppMaker, way: Way
) -> None:
    script: Scripts = {A: [always(fails(500))], B: [always(fails(429, retry_after=0.1))]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.error_code == "model_error"
            assert standing.asked == [A, A, A, B, B, B]
            assert min(standing.gaps_s(B)) >= 0.1
            assert outcome.asked == [A, B]
            assert not outcome.answered
            await talk.goes_on()
    # The turn that failed is told to the model as one that nobody answered.
    roles = [item["role"] for item in standing.requests[-1].items]
    assert roles == ["user", "assistant", "user"]


async def test_a_wait_that_is_too_long_is_not_waited_for_where_no_model_is_left(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [fails(429, retry_after=3600)]}) as standing:
        async with talking(running_app, standing, way, model=A) as talk:
            assert (await talk.say()).error_code == "model_error"
            assert standing.asked == [A]


async def test_a_model_that_hangs_is_asked_once_and_the_next_answers(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [hangs()], B: [says("Hello.")]}) as standing:
        async with talking(running_app, standing, way, model_timeout_s=1) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello.", B)
            assert standing.asked == [A, B]
            await talk.goes_on()


@ACROSS
@pytest.mark.parametrize(
    ("first", "last", "code"),
    [(fails(400), hangs(), "timeout"), (hangs(), fails(400), "model_error")],
    ids=["hangs last", "hangs first"],
)
async def test_the_last_model_decides_whether_a_failed_turn_took_too_long(
    running_app: AppMaker, way: Way, first: Step, last: Step, code: str
) -> None:
    async with vendor(scripts={A: [first], B: [last]}) as standing:
        async with talking(running_app, standing, way, model_timeout_s=1) as talk:
            assert (await talk.say()).error_code == code
            assert standing.asked == [A, B]
            await talk.goes_on()


@pytest.mark.parametrize("way", [JSON, CHAT_JSON], ids=str)
async def test_half_an_answer_that_nobody_has_read_is_asked_for_again(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [halves(), says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "Hello."
            assert standing.asked == [A, A]
            await talk.goes_on()


@STREAMS
@pytest.mark.parametrize(
    "step", [halves(), ends_early(), fails_inside()], ids=lambda step: step.ending
)
async def test_half_an_answer_that_was_read_is_neither_repeated_nor_continued_by_another_model(
    running_app: AppMaker, way: Way, step: Step
) -> None:
    async with vendor(scripts={A: [step, says("Never.")], B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.error_code == "model_error"
            assert standing.asked == outcome.asked == [A]
            ends = [event for event in outcome.events if event["type"] == "stream_end"]
            assert [event["dropped"] for event in ends] == [True]
            await talk.goes_on()


@STREAMS
async def test_an_answer_that_stops_in_its_middle_is_not_waited_for_for_ever(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [stalls()], B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way, model_timeout_s=1) as talk:
            outcome = await talk.say()
            assert outcome.error_code == "timeout"
            assert outcome.heard.startswith("One")
            assert standing.asked == [A]
            await talk.goes_on()


@STREAMS
@pytest.mark.parametrize(
    "step", [ends_early(words=0), fails_inside(words=0)], ids=lambda step: step.ending
)
async def test_a_stream_that_ends_before_its_first_word_does_not_end_the_turn(
    running_app: AppMaker, way: Way, step: Step
) -> None:
    async with vendor(scripts={A: [step, says("Hello.")], B: [says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "Hello."
            assert len(standing.asked) == 2
            await talk.goes_on()


async def test_a_slow_model_is_a_model_that_answers(running_app: AppMaker, way: Way) -> None:
    text = "One two three four five six seven."
    async with vendor(scripts={A: [trickles(text)]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.reply == text
            assert outcome.heard == (text if way.streams else "")
            chunks = [event for event in outcome.events if event["type"] == "stream_chunk"]
            assert len(chunks) > 1 or not way.streams
