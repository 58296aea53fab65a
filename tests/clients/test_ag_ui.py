"""The AG-UI client, as its makers publish it: a turn with a tool call, an approval, a page anew."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.ag_ui.reloads import converse
from tests.ag_ui.runs import path_of
from tests.clients.talking import talking
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.live.served import served

THREAD = {"do": "run", "thread": "a thread"}


@pytest.fixture
async def url(offline_app: RunningApp) -> AsyncIterator[str]:
    async with served(offline_app) as address:
        yield address


def page(url: str, person: Person) -> Any:
    token = person.headers["Authorization"].removeprefix("Bearer ")
    return talking("ag-ui.mjs", url + path_of(person), token)


async def test_a_turn_with_a_tool_call_is_streamed_and_found_by_a_page_that_is_loaded_again(
    node_modules: object, url: str
) -> None:
    person = Person()
    async with page(url, person) as client:
        done = await client.ask(**THREAD, say="Add task: Milk", id="m 1")
        assert done["error"] is None
        assert done["outcome"]["type"] == "success"
        assert done["events"].count("TOOL_CALL_RESULT") == 1
        [task] = done["state"]["tasks"]
        assert task["title"] == "Milk"
        await client.ask(do="new")
        again = await client.ask(**THREAD)
    assert again["error"] is None
    assert [told(one) for one in again["messages"]] == [told(one) for one in done["messages"]]
    assert again["state"] == done["state"]


def told(message: dict[str, Any]) -> tuple[Any, ...]:
    return message["role"], message.get("content"), message.get("toolCalls")


async def test_an_approval_interrupts_and_its_answer_resumes(
    node_modules: object, url: str
) -> None:
    person = Person()
    async with page(url, person) as client:
        for n, title in enumerate(("Milk", "Tea")):
            await client.ask(**THREAD, say=f"Add task: {title}", id=f"m {n}")
        asked = await client.ask(**THREAD, say="Delete tasks 1 and 2", id="m 3")
        assert asked["outcome"]["kind"] == "interrupt"
        [interrupt] = asked["outcome"]["interrupts"]
        answer = {
            "interruptId": interrupt["id"],
            "status": "resolved",
            "payload": {"answer": "approve"},
        }
        done = await client.ask(**THREAD, resume=[answer])
    assert done["error"] is None
    assert done["outcome"]["type"] == "success"
    assert done["state"]["tasks"] == []
    calls = [call["id"] for one in done["messages"] for call in one.get("toolCalls", ())]
    answered = [one["toolCallId"] for one in done["messages"] if one["role"] == "tool"]
    assert calls == answered
    assert len(set(calls)) == len(calls)


async def test_a_page_that_is_loaded_anew_on_another_process_has_each_word_once(
    node_modules: object, running_app: AppMaker
) -> None:
    person = Person()
    async with (
        running_app(script_allowed=True) as one,
        running_app(script_allowed=True) as two,
        served(one) as first,
        served(two) as second,
        page(first, person) as client,
    ):
        reloads = await converse(client, person, [first, second], 1, random.Random(1))
    assert reloads == 8
