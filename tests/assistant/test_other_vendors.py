"""Answers as other vendors of the same interface put them: what can be read is read."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.assistant.talk import STREAM, STREAMED, A, B, Talk, Way, talking
from tests.assistant.vendor import chat_api, responses_api
from tests.assistant.vendor.endpoint import Vendor, vendor
from tests.assistant.vendor.steps import (
    Answer,
    Call,
    Shaped,
    Text,
    calls,
    calls_raw,
    garbage,
    says,
    shaped,
    together,
)
from tests.conftest import AppMaker

Json = dict[str, Any]

MILK = calls("add_task", title="Milk")


async def replies(talk: Talk, standing: Vendor, step: Shaped, text: str = "Hello there.") -> Json:
    """Let the first model answer so, which must be its reply; the JSON answer of the turn."""
    standing.instead(step, model=A)
    outcome = await talk.say()
    assert (outcome.reply, outcome.model) == (text, A), outcome
    return outcome.answer


async def adds(talk: Talk, standing: Vendor, step: Shaped, *titles: str) -> None:
    """Let the first model call so, which must add these tasks."""
    standing.instead(step, says("Added."), model=A)
    before = len(await talk.tasks())
    outcome = await talk.say()
    assert (outcome.reply, outcome.model) == ("Added.", A), outcome
    assert [task["title"] for task in await talk.tasks()][before:] == list(titles)


def everywhere(change: Callable[[Json], object]) -> Callable[[Any], Any]:
    """The same change at every object of an answer, however deep."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(one) for one in value]
        if not isinstance(value, dict):
            return value
        made = {name: changed(one) for name, one in value.items()}
        change(made)
        return made

    return changed


def put(**fields: Any) -> Callable[[Any], Any]:
    """Other values for fields of these names; `...` leaves them out."""

    def change(made: Json) -> None:
        for name in fields.keys() & made.keys():
            if fields[name] is ...:
                del made[name]
            else:
                value = fields[name]
                made[name] = value(made[name]) if callable(value) else value

    return everywhere(change)


def changed(answer: Answer, change: Callable[[Any], Any]) -> Shaped:
    return shaped(answer, body=change, told=change)


def parts(value: Any) -> Any:
    """A text as a list of parts."""
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


def loaded(value: Any) -> Any:
    """Arguments as the object that they are the text of."""
    return json.loads(value) if value else value


async def test_what_is_of_other_types_is_read(running_app: AppMaker, way: Way) -> None:
    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            for change in (
                put(created=1.5, created_at="2026", id=7, model=None, object=..., status="odd"),
                put(id=..., item_id=..., role=..., annotations=None, logprobs=..., object=None),
                put(finish_reason="eos", sequence_number=..., output_index=..., content_index=...),
                put(tool_calls=None, refusal=..., service_tier=1, system_fingerprint=[]),
                put(usage=..., metadata=None, tools=None, parallel_tool_calls=None),
                put(text=parts, content=parts, delta=parts),
                everywhere(lambda made: made.update(unknown={"a": [1, None]})),
            ):
                await replies(talk, standing, changed(says("Hello there."), change))


async def test_tokens_are_counted_as_far_as_they_make_sense(
    running_app: AppMaker, way: Way
) -> None:
    names = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens")
    senseless: tuple[Any, ...] = (None, "many", -3, True, [], {}, 1e400, "9" * 5000)
    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            for tokens in (10.5, "10", *senseless):
                fields = (*names, "cached_tokens", "reasoning_tokens")
                change = put(**dict.fromkeys(fields, tokens))
                answer = await replies(talk, standing, changed(says("Hello there."), change))
                count = 0 if tokens in senseless else 10
                used = {"model_calls": 1, "input_tokens": count, "output_tokens": count}
                assert answer["usage"] == used, tokens


async def test_calls_are_read_in_other_shapes(running_app: AppMaker, way: Way) -> None:
    two = together(MILK, calls("add_task", title="Bread"))

    def odd_places(told: list[Json]) -> list[Json]:
        """Whole calls, each in one piece, all at the same place."""
        made: list[Json] = []
        for chunk in told:
            for choice in chunk.get("choices", ()):
                for call in choice["delta"].get("tool_calls", ()):
                    call["index"] = 0
            made.append(chunk)
        return made

    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            for change in (
                put(id=..., call_id=..., type_=...),
                put(id="", call_id=""),
                put(id="x" * 200, call_id="x" * 200),
                put(id=None, call_id=None, status=...),
                put(id="call_1", call_id="call_1"),
                put(id=12, call_id=12),
                put(index=..., output_index=...),
            ):
                await adds(talk, standing, changed(MILK, change), "Milk")
            await adds(talk, standing, shaped(two, told=odd_places), "Milk", "Bread")
            whole = put(arguments=loaded)
            await adds(talk, standing, shaped(MILK, body=whole, told=_at_once(whole)), "Milk")
            same = put(id="call_1", call_id="call_1")
            await adds(talk, standing, changed(two, same), "Milk", "Bread")
            legacy = shaped(MILK, body=_legacy, told=lambda told: [_legacy(one) for one in told])
            await adds(talk, standing, legacy, "Milk")
            await talk.goes_on()


def _at_once(change: Callable[[Any], Any]) -> Callable[[list[Json]], list[Json]]:
    """A stream whose calls come in one piece, changed so."""

    def told(events: list[Json]) -> list[Json]:
        pieces = [
            call["function"]["arguments"]
            for chunk in events
            for choice in chunk.get("choices", ())
            for call in choice["delta"].get("tool_calls", ())
        ]
        made = []
        for event in events:
            if event.get("type", "").startswith("response.function_call_arguments"):
                continue
            for choice in event.get("choices", ()):
                calls = choice["delta"].get("tool_calls", ())
                if calls and "id" not in calls[0]:
                    choice["delta"] = {}
                elif calls:
                    calls[0]["function"]["arguments"] = "".join(pieces)
            made.append(change(event))
        return made

    return told


def _legacy(told: Json) -> Json:
    """A call as Chat Completions put it before they had several."""
    for choice in told.get("choices", ()):
        said = choice.get("delta") or choice.get("message") or {}
        if found := said.pop("tool_calls", None):
            said["function_call"] = found[0]["function"]
    return told


STRANGE = [
    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    {"type": "custom_tool_call", "call_id": "c", "name": "x", "input": "y"},
    {"type": "shell_call", "call_id": "c", "action": {}},
    {"type": "something_new", "content": [[{"deep": None}]]},
    {"type": None},
    {"type": ["list"]},
    {},
    None,
    7,
    "text",
    [],
]


def with_strange(only: bool) -> Shaped:
    def body(whole: Json) -> Json:
        if "output" in whole:
            whole["output"] = STRANGE + ([] if only else whole["output"]) + STRANGE
            return whole
        message = whole["choices"][0]["message"]
        message["tool_calls"] = STRANGE
        if only:
            message["content"] = None
        return whole

    def told(events: list[Json]) -> list[Json]:
        made = []
        for event in events:
            kind = str(event.get("type"))
            if only and kind.startswith(("response.output", "response.content")):
                continue
            if event.get("response"):
                event["response"] = body(event["response"])
            for choice in event.get("choices", ()):
                if only and choice["delta"].get("content"):
                    choice["delta"] = {}
                choice["delta"]["tool_calls"] = STRANGE
            made.append(event)
            if kind == "response.in_progress":
                for item in STRANGE:
                    made.append({"type": "response.output_item.added", "item": item})
                    made.append({"type": "response.output_item.done", "item": item})
                    made.append({"type": "response.something_new.delta", "delta": item})
        return made

    return shaped(says("Hello there."), body=body, told=told)


async def test_items_of_unknown_types_are_skipped(running_app: AppMaker, way: Way) -> None:
    async with vendor(scripts={A: [with_strange(only=False)], B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello there.", A)
            await talk.goes_on()


async def test_an_answer_of_nothing_but_unknown_items_is_left_for_the_next_model(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor(scripts={A: [with_strange(only=True)], B: [says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello.", B)
            await talk.goes_on()


ALIVE = [
    *(f"data: {data}\n\n" for data in ("null", '""', "", "{}", "[]", "0", "true", "ping")),
    *(": comment\n\n", ":\n\n", "data\n\n", "\n\n\n", "retry: 3000\n\n", "id: 7\n\n"),
    *(
        "event: ping\ndata: {}\n\n",
        "event: keepalive\n\n",
        'event: ping\ndata: {"type": "ping"}\n\n',
    ),
    *('data: {"choices": []}\n\n', 'data: {"choices": null}\n\n', "unknown: field\n\n"),
    'data: {"type": "keepalive", "response": null}\n\n',
]
"""What vendors and proxies keep a stream alive with."""


def alive(ends: str = "\n", *, done: bool = True) -> Callable[[list[Json]], list[str]]:
    """A stream with all of that between any two events, and lines that end so."""

    def told(events: list[Json]) -> list[str]:
        between = "".join(ALIVE)
        lines = between.join(["", *(f"data: {json.dumps(one)}\n\n" for one in events), ""])
        return [(lines + ("data: [DONE]" if done else "")).replace("\n", ends)]

    return told


@STREAMED
async def test_what_keeps_a_stream_alive_says_nothing(running_app: AppMaker, way: Way) -> None:
    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            for ends in ("\n", "\r\n", "\r"):
                await replies(talk, standing, shaped(says("Hello there."), told=alive(ends)))
                await adds(talk, standing, shaped(MILK, told=alive(ends, done=False)), "Milk")


@STREAMED
async def test_a_stream_is_cut_anywhere(running_app: AppMaker, way: Way) -> None:
    text = "Žluťoučký 🥛 kůň — “牛乳”"

    def raw(events: list[Json]) -> list[str]:
        return [f"data: {json.dumps(one, ensure_ascii=False)}\r\n\r\n" for one in events]

    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            for cut in (1, 2, 3, 7, 64):
                await replies(talk, standing, shaped(says(text), told=raw, cut=cut), text)


@STREAMED
async def test_a_character_in_two_halves_is_one(running_app: AppMaker, way: Way) -> None:
    def halved(events: list[Json]) -> list[Json]:
        made: list[Json] = []
        for event in events:
            copies = [json.loads(json.dumps(event)), json.loads(json.dumps(event))]
            for copy, half in zip(copies, ("\ud83e", "\udd5b"), strict=True):
                if event.get("type") == "response.output_text.delta":
                    copy["delta"] = half
                for choice in copy.get("choices", ()):
                    if choice["delta"].get("content"):
                        choice["delta"]["content"] = half
            made += copies if copies[0] != copies[1] else [event]
        return made

    async with vendor(scripts={A: [shaped(says("🥛"), told=halved)]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.reply == "🥛"
            assert outcome.heard == "🥛"


@pytest.mark.parametrize("way", [STREAM], ids=str)
async def test_what_was_streamed_is_what_is_kept(running_app: AppMaker, way: Way) -> None:
    both = together(says("One moment."), MILK)
    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            for output in ([], None, ..., "odd", [{"type": "odd"}]):

                def told(events: list[Json], output: Any = output) -> list[Json]:
                    answer = events[-1]["response"]
                    if output is ...:
                        del answer["output"]
                    else:
                        answer["output"] = output
                    return events

                await replies(talk, standing, shaped(says("Hello there."), told=told))
                await adds(talk, standing, shaped(both, told=told), "Milk")
            await talk.goes_on()


@STREAMED
async def test_a_stream_that_ends_without_a_word_of_its_end_is_whole_if_its_items_are(
    running_app: AppMaker, way: Way
) -> None:
    def unsaid(events: list[Json]) -> list[Json]:
        return events[:-1]

    def without_a_reason(events: list[Json]) -> list[Json | str]:
        return [*events[:-2], "data: [DONE]"]

    def without_done(events: list[Json]) -> list[Json | str]:
        return [*events[:-1]]

    # Of Chat Completions one of two is enough.
    shapes = [unsaid] if way.api == "responses" else [without_a_reason, without_done]
    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            for told in shapes:
                await replies(talk, standing, shaped(says("Hello there."), told=told))
                await adds(talk, standing, shaped(MILK, told=told), "Milk")


@pytest.mark.parametrize("way", [STREAM], ids=str)
async def test_words_that_only_the_end_of_a_stream_tells_are_told(
    running_app: AppMaker, way: Way
) -> None:
    def told(events: list[Json]) -> list[Json]:
        return [event for event in events if event["type"] != "response.output_text.delta"]

    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            await replies(talk, standing, shaped(says("Hello there."), told=told))


async def test_several_messages_of_one_answer_are_one_text(running_app: AppMaker, way: Way) -> None:
    text = "First this.\n\nThen that."
    answer = together(says("First this."), says("Then that."))

    def chosen(told: Any) -> Any:
        """Chat Completions have no two messages; of two choices the first is the answer."""
        if "choices" not in told:
            return told
        for choice in [*told["choices"]]:
            said = choice.get("message") or choice["delta"]
            if said.get("content"):
                said["content"] = said["content"].replace(".Then", ".\n\nThen")
            other = json.loads(json.dumps(choice)) | {"index": 1}
            (other.get("message") or other["delta"])["content"] = "Another answer."
            told["choices"].insert(0, other)
        return told

    def streamed(events: list[Json]) -> list[Json]:
        return [chosen(event) for event in events]

    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            await replies(talk, standing, shaped(answer, body=chosen, told=streamed), text)
            await talk.goes_on()
            assert [
                item["content"]
                for item in standing.requests[-1].items
                if item.get("role") == "assistant"
            ] == [text]


async def test_an_error_under_a_status_of_success_is_an_error(
    running_app: AppMaker, way: Way
) -> None:
    errors = ({"message": "busy"}, {"code": 400, "message": "no"}, "busy", {"code": "9" * 5000})
    bodies = [json.dumps({"error": error}) for error in errors]
    steps = [
        *(garbage(body, type="application/json") for body in bodies),
        *(garbage(f"data: {body}\n\n", type="text/event-stream") for body in bodies),
        garbage('event: error\ndata: {"message": "no"}\n\n', type="text/event-stream"),
    ]
    async with vendor() as standing:
        async with talking(running_app, standing, way, breaker_failures=0) as talk:
            for step in steps:
                standing.instead(step, model=A)
                standing.instead(says("Hello."), model=B)
                assert (await talk.say()).model == B
            assert standing.asked == [A, B] * len(steps)
            await talk.goes_on()


async def test_a_limit_that_is_told_under_a_status_of_success_is_waited_for(
    running_app: AppMaker, way: Way
) -> None:
    step = garbage('{"error": {"code": 429, "message": "slow"}}', type="application/json")
    async with vendor(scripts={A: [step, says("Hello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            assert (await talk.say()).model == A
            assert standing.asked == [A, A]


async def test_an_answer_that_comes_whole_in_place_of_a_stream_is_read(
    running_app: AppMaker, way: Way
) -> None:
    make = responses_api.body_of if way.api == "responses" else chat_api.body_of
    for answer in (says("Hello there."), MILK):
        body = json.dumps(make(answer, A, "1"))
        steps = [garbage(body, type="application/json"), says("Hello there.")]
        async with vendor(scripts={A: steps}) as standing:
            async with talking(running_app, standing, way) as talk:
                assert (await talk.say()).reply == "Hello there."
                assert len(await talk.tasks()) == (answer is MILK)


async def test_a_name_that_no_tool_has_is_told_to_the_model_and_goes_to_no_vendor(
    running_app: AppMaker, way: Way
) -> None:
    letters = ("functions.add_task", "add task", "add_task ", "aufgabe_hinzufügen", "任务", "")
    async with vendor(scripts={B: [says("Never.")]}) as standing:
        standing.checks_names = True
        async with talking(running_app, standing, way) as talk:
            for name in (*letters, "x" * 200, "a\x00\ud800"):
                wanted = Answer((Text("One moment."), Call(name, '{"title": "Milk"}')))
                standing.instead(wanted, calls("list_tasks"), says("I could not."), model=A)
                outcome = await talk.say()
                assert (outcome.reply, outcome.model) == ("I could not.", A), name
                assert "There is no tool" in json.dumps(standing.requests[-2].items)
                assert [call["tool_name"] for call in outcome.turn["tool_calls"]] == ["list_tasks"]
            assert not await talk.tasks()
            await talk.goes_on()


async def test_a_model_sees_its_own_call_without_arguments(running_app: AppMaker, way: Way) -> None:
    # Of Chat Completions many servers read it again, and the SDK gives them an object.
    unsaid = "" if way.api == "responses" else "{}"
    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            for arguments in ("", "{}", " ", "\n", "null", "[]", '"{}"', '""', "{ }"):
                standing.instead(calls_raw("list_tasks", arguments), says("None."), model=A)
                outcome = await talk.say()
                assert (outcome.reply, outcome.model) == ("None.", A), arguments
                [call] = outcome.turn["tool_calls"]
                assert (call["parameters"], call["status"]) == ({}, "completed")
                seen = arguments_in(standing.requests[-1].items)[-1]
                assert seen == (arguments if arguments.strip() else unsaid)
            await talk.goes_on()


async def test_arguments_that_are_the_text_of_a_text_are_read(
    running_app: AppMaker, way: Way
) -> None:
    twice = calls_raw("add_task", json.dumps(json.dumps({"title": "Milk"})))
    async with vendor(scripts={B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            await adds(talk, standing, shaped(twice), "Milk")


def arguments_in(items: list[Json]) -> list[str]:
    found = [item["arguments"] for item in items if "arguments" in item]
    found += [
        call["function"]["arguments"] for item in items for call in item.get("tool_calls", ())
    ]
    return found
