"""The offline model as front ends want to see it: late, at a pace, failing; through the service."""

import asyncio
from typing import Any

import pytest
from tests.conftest import AppMaker
from tests.factories import Person

from taskchat.assistant.models.manner import REFUSAL, Manner, MannerError


@pytest.mark.parametrize(
    ("text", "manner"),
    [
        ("", Manner()),
        ("delay=2", Manner(delay_s=2)),
        (" pace = 0.05 ,fail=cut, after=1", Manner(pace_s=0.05, fail="cut", after=1)),
    ],
)
def test_a_manner_is_read_as_people_write_it(text: str, manner: Manner) -> None:
    assert Manner.parse(text) == manner


@pytest.mark.parametrize(
    "text",
    ["slow", "delay", "delay=-1", "delay=nan", "delay=inf", "delay=601", "pace=11", "fail=maybe",
     "delay=1,delay=2", "after=x", "mood=bad"],
)  # fmt: skip
def test_what_is_no_manner_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(MannerError, match=r"takes|twice"):
        Manner.parse(text)


async def said(running: Any, person: Person, manner: str, **options: Any) -> Any:
    return await running.client.post(
        f"/api/{person.user_id}/chat",
        json={"message": "Add task: Buy milk", **options},
        headers={**person.headers, "Offline-Model": manner},
    )


@pytest.mark.parametrize(
    ("manner", "status", "code"),
    [
        ("fail=error", 502, "model_error"),
        ("fail=cut", 502, "model_error"),
        ("fail=empty", 502, "model_error"),
        ("fail=hang", 504, "timeout"),
    ],
)
async def test_a_failure_that_was_asked_for_comes_as_a_vendors_would(
    running_app: AppMaker, manner: str, status: int, code: str
) -> None:
    person = Person()
    # Short only for the one that hangs, and not so short that what follows would have to race it.
    hangs = manner == "fail=hang"
    times = (
        {"statement_timeout_s": 2, "pool_timeout_s": 2, "tool_timeout_s": 2.5, "model_timeout_s": 3}
        if hangs
        else {}
    )
    async with running_app(offline_header=True, **times) as running:
        failed = await said(running, person, manner)
        assert (failed.status_code, failed.json()["error_code"]) == (status, code)
        conversation = failed.json()["conversation_id"]
        tasks = await running.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
        assert tasks.json()["data"] == []
        works = await person.say(running.client, "hello", conversation_id=conversation)
        assert works.status_code == 200, works.text


async def test_it_can_fail_after_its_tools_were_called(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(offline_header=True) as running:
        failed = await said(running, person, "fail=error, after=1")
        assert failed.status_code == 502
        tasks = await running.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    assert [task["title"] for task in tasks.json()["data"]] == ["Buy milk"]


async def test_a_refusal_is_a_reply(running_app: AppMaker) -> None:
    async with running_app(offline_header=True) as running:
        answer = await said(running, Person(), "fail=refusal")
    assert answer.json()["response"] == REFUSAL
    assert answer.json()["tool_calls"] == []


async def test_the_setting_is_for_messages_that_say_nothing_of_it(running_app: AppMaker) -> None:
    async with running_app(offline_header=True, offline_manner="fail=refusal") as running:
        person = Person()
        assert (await person.say(running.client, "hello")).json()["response"] == REFUSAL
        assert (await said(running, person, "delay=0")).json()["response"] != REFUSAL


async def test_a_delay_and_a_pace_are_kept(running_app: AppMaker) -> None:
    loop = asyncio.get_running_loop()
    async with running_app(offline_header=True) as running:
        began = loop.time()
        answer = await said(running, Person(), "delay=0.2, after=5")
        assert answer.status_code == 200
        # Two answers: the call, and the reply.
        assert loop.time() - began >= 0.4
        began = loop.time()
        streamed = await running.client.post(
            f"/api/{(person := Person()).user_id}/chat",
            json={"message": "hello"},
            headers={
                **person.headers, "Offline-Model": "pace=0.05", "Accept": "text/event-stream",
            },
        )  # fmt: skip
        assert loop.time() - began >= 0.2
        assert streamed.text.count("event: stream_chunk") > 1


@pytest.mark.parametrize("fail", ["cut", "empty", "refusal"])
async def test_a_stream_fails_as_it_was_asked_to(running_app: AppMaker, fail: str) -> None:
    person = Person()
    async with running_app(offline_header=True) as running:
        streamed = await running.client.post(
            f"/api/{person.user_id}/chat",
            json={"message": "hello"},
            headers={
                **person.headers, "Offline-Model": f"fail={fail}", "Accept": "text/event-stream",
            },
        )  # fmt: skip
    kinds = [line.partition(": ")[2] for line in streamed.text.splitlines() if line[:6] == "event:"]
    assert kinds[-1] == ("turn_completed" if fail == "refusal" else "error")
    assert ("stream_chunk" in kinds) == (fail != "empty")
    assert (REFUSAL in streamed.text) == (fail == "refusal")
