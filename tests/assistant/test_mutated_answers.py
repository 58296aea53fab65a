"""Whatever an answer holds, it is read or left: the turn ends by name, and the next one works."""

import asyncio
import contextlib
import copy
import json
import random
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from agents.exceptions import AgentsException
from hypothesis import given, settings
from tests.assistant.talk import A, Way, talking
from tests.assistant.vendor import chat_api, responses_api
from tests.assistant.vendor.endpoint import vendor
from tests.assistant.vendor.steps import (
    Answer,
    calls,
    refuses,
    says,
    shaped,
    thinks,
    together,
)
from tests.conftest import AppMaker

from taskchat.assistant.models.reading_chat import chat_chunks, whole_chat
from taskchat.assistant.models.reading_responses import response_events, whole_response
from taskchat.assistant.models.soundness import made_sound, text_of
from taskchat.assistant.models.wire import Told
from taskchat.texts import scrubbed

ANSWERS = (
    says("Hello there."),
    refuses("I won't."),
    calls("add_task", title="Milk"),
    together(thinks("x"), says("One moment."), calls("list_tasks"), calls("add_task", title="A")),
)

ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 2**70, "", "x", "null", "\x00", "\ud800", "<think>", [], {}),
    *([None], [[]], [{}], {"": None}, {"type": "odd"}, {"text": 7}, {"error": None}),
    "x" * 1000,
    {"error": {"code": 429}},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "More."}]},
    {"type": "function_call", "name": "list_tasks", "arguments": None},
    json.loads("[" * 60 + "]" * 60),
]
"""What stands in a place where something else should."""

Parent = list[Any] | dict[str, Any]


def places(value: Any) -> list[tuple[Parent, Any]]:
    """Every place in a JSON value: what holds it, and under which key."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    found = [(value, key) for key in keys]
    return found + [place for key in keys for place in places(value[key])]


def mutated(value: Any, random_: random.Random) -> Any:
    """The same with one to four things wrong in it."""
    made = copy.deepcopy(value)
    for _ in range(random_.choice([1, 1, 2, 4])):
        found = places(made)
        if not found:
            break
        parent, key = random_.choice(found)
        odd = copy.deepcopy(random_.choice(ODD))
        what = random_.choice(["drop", "replace", "replace", "wrap", "add", "twice"])
        if what == "drop":
            del parent[key]
        elif what == "replace":
            parent[key] = odd
        elif what == "wrap":
            parent[key] = random_.choice([[parent[key]], {"text": parent[key]}])
        elif isinstance(parent, list):
            parent.insert(key, odd if what == "add" else copy.deepcopy(parent[key]))
        else:
            parent[random_.choice(["type", "error", "new"])] = odd
    return made


async def test_a_turn_with_a_mutated_answer_ends_by_name_and_the_next_one_works(
    running_app: AppMaker, way: Way
) -> None:
    random_ = random.Random(str(way))
    limits = {"model": A, "model_retries_max": 0, "breaker_failures": 0}
    ends = set()
    async with vendor() as standing:
        async with talking(running_app, standing, way, **limits) as talk:
            for _ in range(10):
                step = shaped(
                    random_.choice(ANSWERS),
                    body=lambda body: mutated(body, random_),
                    told=lambda told: [
                        one if isinstance(one, dict) else f"data: {json.dumps(one)}\n\n"
                        for one in mutated(told, random_)
                    ],
                )
                # What its calls lead to is answered; what it fails at is not.
                standing.instead(step, *[says("Done.")] * 9, model=A)
                outcome = await talk.say()
                assert outcome.error_code in (None, "model_error")
                ends.add(outcome.error_code)
                await talk.goes_on()
    assert None in ends


async def reads(api: str, streams: bool, sent: Any) -> Any:
    """Read what was sent, all of it; what comes of it."""

    async def told() -> Any:
        for one in sent if isinstance(sent, list) else [sent]:
            if isinstance(one, dict):
                yield Told(None, one)

    async def streamed() -> Any:
        made = response_events(told()) if api == "responses" else chat_chunks(told())
        return [one.model_dump() async for one in made][-1]

    async def whole() -> Any:
        text = json.dumps(sent)
        if api == "chat_completions":
            return whole_chat(text).model_dump()
        output = whole_response(text).output
        sound = made_sound(output, set(), scrubbed(text_of(output)))
        return [item.model_dump_json() for item in sound]

    return await (streamed() if streams else whole())


MAKERS: dict[str, Callable[[Answer, str, str], dict[str, Any]]] = {
    "responses": responses_api.body_of,
    "chat_completions": chat_api.body_of,
}


@settings(deadline=None)
@given(
    api=st.sampled_from(sorted(MAKERS)),
    streams=st.booleans(),
    answer=st.sampled_from(ANSWERS),
    random_=st.randoms(use_true_random=False),
)
def test_a_mutated_answer_is_read_or_is_an_error_of_its_model(
    api: str, streams: bool, answer: Answer, random_: random.Random
) -> None:
    body: Any = MAKERS[api](answer, "m", "1")
    if streams and api == "responses":
        body = [*responses_api.events_of(body)]
    elif streams:
        body = [*chat_api.chunks_of(body, with_usage=True)]
    with contextlib.suppress(AgentsException):
        asyncio.run(reads(api, streams, mutated(body, random_)))
