"""A model that keeps failing: the next one answers, and where none does it is a named error."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from tests.assistant.talk import ACROSS, STREAMED, A, B, Way, talking
from tests.assistant.vendor.endpoint import Scripts, vendor
from tests.assistant.vendor.steps import (
    Ending,
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
    says,
    stalls,
    thinks,
    together,
    trickles,
)
from tests.conftest import AppMaker


def bare(item: dict[str, Any]) -> dict[str, Any]:
    """An item without what only the model that made it can read."""
    return {name: value for name, value in item.items() if name != "id"}


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


async def test_a_model_that_hangs_is_asked_once_and_the_next_answers(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [hangs()], B: [says("Hello.")]}) as standing:
        async with talking(running_app, standing, way, model_timeout_s=1) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello.", B)
            assert standing.asked == [A, B]
            await talk.let_go()
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


@STREAMED
@pytest.mark.parametrize(
    "step", [halves(), ends_early(), fails_inside()], ids=lambda step: step.ending
)
async def test_half_an_answer_that_was_read_is_dropped_and_asked_for_again(
    running_app: AppMaker, way: Way, step: Step
) -> None:
    async with vendor(scripts={A: [step, says("Hello there.")], B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello there.", A)
            assert standing.asked == [A, A]
            assert [dropped for _, dropped in outcome.texts] == [True, False]
            assert outcome.texts[-1] == ("Hello there.", False)
            await talk.goes_on()
            assert "One two" not in json.dumps(standing.requests[-1].items)


@STREAMED
@pytest.mark.parametrize(
    "step", [halves(), ends_early(), fails_inside()], ids=lambda step: step.ending
)
async def test_a_model_that_keeps_breaking_off_is_left_for_the_next_one(
    running_app: AppMaker, way: Way, step: Step
) -> None:
    async with vendor(scripts={A: [always(step)], B: [says("Hello there.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello there.", B)
            assert standing.asked == [A, A, A, B]
            assert [dropped for _, dropped in outcome.texts] == [True] * 3 + [False]
            await talk.goes_on(A)


@STREAMED
async def test_models_that_all_break_off_are_a_named_error(running_app: AppMaker, way: Way) -> None:
    script: Scripts = {
        A: [calls("add_task", title="Milk"), always(halves())],
        B: [always(fails_inside())],
    }
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.error_code == "model_error"
            assert standing.asked == [A] * 4 + [B] * 3
            assert [dropped for _, dropped in outcome.texts] == [True] * 6
            assert [call["tool_name"] for call in outcome.turn["tool_calls"]] == ["add_task"]
            assert [task["title"] for task in await talk.tasks()] == ["Milk"]
            await talk.goes_on(A)


@STREAMED
@pytest.mark.parametrize("ending", ["breaks", "ends", "fails", "stalls"])
async def test_a_call_of_an_answer_that_broke_off_is_not_made(
    running_app: AppMaker, way: Way, ending: Ending
) -> None:
    wanted = together(calls("add_task", title="Milk"), says("One two three."))
    # The call is whole: what breaks off is what was to be said with it.
    broken = replace(wanted, ending=ending, words=4)
    async with vendor(scripts={A: [broken], B: [says("No.")]}) as standing:
        limits = {"model_timeout_s": 1, "model_retries_max": 0}
        async with talking(running_app, standing, way, **limits) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("No.", B)
            assert not outcome.turn["tool_calls"]
            assert not await talk.tasks()
            await talk.goes_on()


@STREAMED
async def test_an_answer_that_stops_in_its_middle_is_left_for_the_next_model(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [stalls()], B: [says("Hello there.")]}) as standing:
        async with talking(running_app, standing, way, model_timeout_s=1) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello there.", B)
            [(half, dropped), told] = outcome.texts
            assert (half.startswith("One"), dropped) == (True, True)
            assert told == ("Hello there.", False)
            assert standing.asked == [A, B]
            await talk.let_go()
            await talk.goes_on()


@STREAMED
async def test_answers_that_all_stop_in_their_middle_took_too_long(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [stalls()], B: [stalls()]}) as standing:
        async with talking(running_app, standing, way, model_timeout_s=1) as talk:
            outcome = await talk.say()
            assert outcome.error_code == "timeout"
            assert [dropped for _, dropped in outcome.texts] == [True, True]
            assert standing.asked == [A, B]
            await talk.let_go()
            await talk.goes_on()


@STREAMED
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
