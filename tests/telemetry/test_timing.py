"""Answers say what their time went to; refusals say nothing."""

import re
from collections.abc import Mapping

import httpx
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted


def parts(answer: httpx.Response) -> Mapping[str, float]:
    return {
        name: float(milliseconds)
        for name, milliseconds in re.findall(r"(\w+);dur=([\d.]+)", answer.headers["server-timing"])
    }


async def test_an_answer_to_a_message_tells_of_its_run(running_app: AppMaker) -> None:
    _, chain = scripted([calls_tool("add_task", {"title": "Milk"})], says("Added."))
    async with running_app(chain=chain) as running:
        spent = parts(await Person().say(running.client, "hello"))
    assert list(spent) == ["total", "queue", "line", "db", "model", "tool"]
    assert 0 < spent["db"] < spent["total"]
    assert 0 < spent["tool"] < spent["total"]
    assert 0 < spent["model"] < spent["total"]


async def test_a_stream_tells_of_the_time_until_it_begins(client: httpx.AsyncClient) -> None:
    person = Person()
    headers = {**person.headers, "Accept": "text/event-stream"}
    path, body = person.chat_path, {"message": "hello"}
    async with client.stream("POST", path, json=body, headers=headers) as answer:
        assert {"total", "db"} <= parts(answer).keys()


async def test_two_requests_at_once_have_an_account_each(offline_app: RunningApp) -> None:
    await Person().say(offline_app.client, "hello")
    assert list(parts(await offline_app.client.get("/livez"))) == ["total"]


async def test_a_refusal_does_not_tell_how_it_came_about(client: httpx.AsyncClient) -> None:
    body = {"email": "nobody@example.org", "password": "not the password"}
    for answer in (
        await client.post("/api/auth/login", json=body),
        await client.get("/api/somebody/tasks"),
        await client.get("/share/no-such-link"),
    ):
        assert answer.status_code in (401, 404)
        assert "server-timing" not in answer.headers


async def test_it_can_be_switched_off(running_app: AppMaker) -> None:
    async with running_app(server_timing=False) as running:
        assert "server-timing" not in (await running.client.get("/livez")).headers
