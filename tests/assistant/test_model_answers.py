"""What a model may answer: odd, empty, cut, refused, endless; and what becomes of the turn."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.assistant.talk import ACROSS, UNSTREAMED, A, B, Way, talking
from tests.assistant.vendor.endpoint import Request, vendor
from tests.assistant.vendor.steps import (
    Answer,
    calls,
    calls_raw,
    empty,
    fails,
    incomplete,
    loops,
    refuses,
    says,
    together,
)
from tests.conftest import AppMaker


def outputs(request: Request) -> list[str]:
    """What the model is told of its calls."""
    if request.api == "responses":
        return [
            item["output"] for item in request.items if item.get("type") == "function_call_output"
        ]
    return [item["content"] for item in request.items if item["role"] == "tool"]


def arguments_in(request: Request) -> list[str]:
    """The arguments of the calls that the model is told it made."""
    if request.api == "responses":
        return [item["arguments"] for item in request.items if "arguments" in item]
    calls = [call for item in request.items for call in item.get("tool_calls", ())]
    return [call["function"]["arguments"] for call in calls]


def replies(request: Request) -> list[Any]:
    """What the model is told that it said."""
    return [
        item["content"]
        for item in request.items
        if item.get("role") == "assistant" and item.get("content")
    ]


@pytest.mark.parametrize("arguments", ['{"title": ', "nonsense", '{"title": "a"} trailing'])
async def test_arguments_that_are_no_json_are_told_to_the_model(
    running_app: AppMaker, way: Way, arguments: str
) -> None:
    script = {A: [calls_raw("add_task", arguments), calls("add_task", title="Milk"), says("Ok.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "Ok."
            assert standing.asked == [A, A, A]
            [told] = outputs(standing.requests[1])
            assert "valid JSON" in told
            assert all(json.loads(one) for one in arguments_in(standing.requests[1]))
            assert [task["title"] for task in await talk.tasks()] == ["Milk"]
            await talk.goes_on()


@ACROSS
@pytest.mark.parametrize("arguments", ["", "[]", "null", '"title"', "7", "{}"])
async def test_arguments_that_are_no_object_are_told_to_the_model(
    running_app: AppMaker, way: Way, arguments: str
) -> None:
    script = {A: [calls_raw("add_task", arguments), says("What should it be?")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "What should it be?"
            assert len(outputs(standing.requests[1])) == 1
            assert not await talk.tasks()
            await talk.goes_on()


@ACROSS
@pytest.mark.parametrize(
    "arguments",
    [
        '{"title": ' + "[" * 100_000,
        '{"title": "Milk", "more": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"task_id": ' + "9" * 10_000 + "}",
        '{"task_id": 1e999}',
        '{"title": NaN}',
        '{"title": "' + "x" * 1_000_000 + '"}',
        '{"title": "\\u0000"}',
        '{"title\\ud800": "Milk"}',
        '{"title": "Milk", "user_id": "somebody-else"}',
    ],
    ids=["bottomless", "deep", "digits", "infinite", "no number", "long", "NUL", "key", "identity"],
)
async def test_hostile_arguments_do_no_harm(
    running_app: AppMaker, way: Way, arguments: str
) -> None:
    script = {A: [calls_raw("add_task", arguments), says("I could not do that.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "I could not do that."
            assert len(outputs(standing.requests[1])) == 1
            await talk.goes_on()


async def test_a_tool_that_does_not_exist_is_told_to_the_model(
    running_app: AppMaker, way: Way
) -> None:
    script = {A: [calls("drop_tables", now=True), calls("list_tasks"), says("I can't do that.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "I can't do that."
            [told] = outputs(standing.requests[1])
            assert "drop_tables" in told
            await talk.goes_on()


@ACROSS
async def test_what_a_model_writes_into_a_task_is_stored_as_it_was_written(
    running_app: AppMaker, way: Way
) -> None:
    texts = ['["milk"]', "null", "{}", "12", '"quoted"']
    made = [calls("add_task", title=text, description=text) for text in texts]
    ids = [calls_raw("complete_task", f'{{"task_id": {id_}}}') for id_ in ("1.0", '"2"', "3e0")]
    async with vendor(scripts={A: [together(*made), *ids, says("Done.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "Done."
            tasks = await talk.tasks()
            assert [task["title"] for task in tasks] == texts
            assert [task["description"] for task in tasks] == texts
            assert [task["completed"] for task in tasks] == [True, True, True, False, False]
            await talk.goes_on()


async def test_several_calls_of_one_answer_are_done_in_their_order(
    running_app: AppMaker, way: Way
) -> None:
    wanted = together(
        says("I will add both. "), calls("add_task", title="One"), calls("add_task", title="Two")
    )
    async with vendor(scripts={A: [wanted, says("Both.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "Both."
            assert [task["title"] for task in await talk.tasks()] == ["One", "Two"]
            assert [json.loads(told)["title"] for told in outputs(standing.requests[1])] == [
                "One",
                "Two",
            ]
            await talk.goes_on()


async def test_a_model_that_has_lost_its_way_is_stopped_and_what_it_did_is_kept(
    running_app: AppMaker, way: Way
) -> None:
    script = {A: [calls("add_task", title="Milk"), *loops(29)], B: [says("Never.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.error_code == "model_error"
            assert "lost its way" in outcome.error
            assert standing.asked == [A] * 10
            assert outcome.turn["usage"]["model_calls"] == 10
            assert [call["tool_name"] for call in outcome.turn["tool_calls"]] == [
                "add_task",
                *["list_tasks"] * 9,
            ]
            assert [task["title"] for task in await talk.tasks()] == ["Milk"]
            await talk.goes_on()
            # The next turn knows what was done, and that it was not answered.
            assert len(outputs(standing.requests[-1])) == 10
            assert "no answer" in replies(standing.requests[-1])[-1]


async def test_a_refusal_is_a_reply(running_app: AppMaker, way: Way) -> None:
    words = "I can't help with that, sorry."
    async with vendor(scripts={A: [refuses(words)], B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say("How do I do something bad?")
            assert (outcome.reply, outcome.model) == (words, A)
            assert outcome.heard == (words if way.streams else "")
            assert standing.asked == [A]
            await talk.goes_on()
            assert replies(standing.requests[-1]) == [words]


@pytest.mark.parametrize("step", [empty(), incomplete("")], ids=["empty", "cut at once"])
async def test_an_answer_that_says_nothing_is_left_for_the_next_model(
    running_app: AppMaker, way: Way, step: Answer
) -> None:
    async with vendor(scripts={A: [step], B: [says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello.", B)
            assert standing.asked == [A, B]
            await talk.goes_on()


@UNSTREAMED
@pytest.mark.parametrize("text", ["\u200b", " \n\t ", "\u2060\ufeff"], ids=ascii)
async def test_what_can_not_be_seen_is_nothing(running_app: AppMaker, way: Way, text: str) -> None:
    async with vendor(scripts={A: [says(text)], B: [says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == B
            assert standing.asked == [A, B]


async def test_a_turn_that_nobody_says_anything_to_is_told_so(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [fails(400)], B: [empty()]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.error_code == "model_error"
            assert "answered nothing" in outcome.error
            assert standing.asked == [A, B]
            await talk.goes_on()


async def test_silence_after_a_call_keeps_the_call(running_app: AppMaker, way: Way) -> None:
    script = {A: [calls("add_task", title="Milk"), empty()], B: [says("Added.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Added.", B)
            assert standing.asked == [A, A, B]
            assert [task["title"] for task in await talk.tasks()] == ["Milk"]
            await talk.goes_on()


async def test_what_no_record_can_hold_is_replaced(running_app: AppMaker, way: Way) -> None:
    script = {A: [says("a\x00b \ud800c d\udfff")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            mended = "a\ufffdb \ufffdc d\ufffd"
            assert outcome.reply == mended
            assert outcome.heard == (mended if way.streams else "")
            await talk.goes_on()
            assert replies(standing.requests[-1]) == [mended]


async def test_what_no_record_can_hold_is_replaced_in_a_call_too(
    running_app: AppMaker, way: Way
) -> None:
    script = {A: [calls("add_task", title="a\x00b \ud800c"), says("Done.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.reply == "Done."
            [call] = outcome.turn["tool_calls"]
            titles = [task["title"] for task in await talk.tasks()]
            # Either it is stored mended, or the model is told; never is it half done.
            assert (call["status"], titles) in [
                ("completed", ["a\ufffdb \ufffdc"]),
                ("failed", []),
            ]
            await talk.goes_on()


async def test_an_answer_that_was_cut_is_a_reply(running_app: AppMaker, way: Way) -> None:
    text = "Your tasks are: milk, bread, bu"
    async with vendor(scripts={A: [incomplete(text)], B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == (text, A)
            assert outcome.heard == (text if way.streams else "")
            assert outcome.turn["usage"]["output_tokens"] == 5
            assert standing.asked == [A]
            await talk.goes_on()
            assert replies(standing.requests[-1]) == [text]


async def test_a_call_that_was_cut_is_not_made(running_app: AppMaker, way: Way) -> None:
    cut = replace(calls_raw("add_task", '{"title": "Mil'), cut=True)
    script = {A: [cut, calls("add_task", title="Milk"), says("Added.")], B: [says("Never.")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "Added."
            assert standing.asked == [A, A, A]
            assert [task["title"] for task in await talk.tasks()] == ["Milk"]
            await talk.goes_on()


@ACROSS
async def test_ids_of_calls_that_a_vendor_repeats_are_calls_of_their_own(
    running_app: AppMaker, way: Way
) -> None:
    wanted = [
        calls_raw("add_task", json.dumps({"title": title}), call_id="call_0")
        for title in ("One", "Two")
    ]
    async with vendor(scripts={A: [*wanted, says("Both.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).reply == "Both."
            assert [task["title"] for task in await talk.tasks()] == ["One", "Two"]
            await talk.goes_on()
