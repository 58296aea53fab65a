"""How much one user may have under way at once; and how much there may be of what they keep."""

import asyncio
import contextlib
import json
from typing import Any

import httpx
import pytest
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted
from tests.live.served import PATIENCE_S, Speaker, posting, served
from tests.mcp_http.clients import call
from tests.openai_http.test_refusals import error_in

from taskchat.errors import TooManyAtOnce
from taskchat.http.crowds import Crowd, Crowds
from taskchat.http.dependencies import part_of


def crowds_of(running: RunningApp) -> Crowds:
    return part_of(running.app, Crowds)


async def until(running: RunningApp, count: int, person: Person) -> None:
    """Wait until so many requests of a user are under way."""
    async with asyncio.timeout(PATIENCE_S):
        while crowds_of(running).requests.under_way(person.user_id) != count:
            await asyncio.sleep(0.01)


async def test_with_as_many_requests_under_way_as_may_be_one_more_is_refused_and_stored_nowhere(
    running_app: AppMaker,
) -> None:
    person, other, speaker = Person(), Person(), Speaker("Hello.")
    async with running_app(chain=speaker.chain, requests_at_once_max=2) as running:
        waiting = [asyncio.create_task(person.say(running.client, "hello")) for _ in range(2)]
        await until(running, 2, person)
        refused = error_of(await person.say(running.client, "one more"), 429)
        assert refused["error_code"] == "too_many_at_once"
        # Whatever it asks for, and by whatever way; another user is not concerned.
        mine = f"/api/{person.user_id}"
        tasks = await running.client.get(f"{mine}/tasks", headers=person.headers)
        assert tasks.headers["retry-after"] == "1"
        error_of(tasks, 429)
        models = await running.client.get("/v1/models", headers=person.headers)
        assert error_in(models, 429)["code"] == "too_many_at_once"
        assert (await call(running.client, person, "list_tasks", {})).status_code == 429
        assert (
            await running.client.get(f"/api/{other.user_id}/tasks", headers=other.headers)
        ).is_success
        speaker.let(10)
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]
        await until(running, 0, person)
        page = await running.client.get(f"{mine}/conversations", headers=person.headers)
        assert len(page.json()["data"]) == 2
        assert len(crowds_of(running).requests) == 0


async def test_a_stream_is_under_way_until_its_reader_leaves(running_app: AppMaker) -> None:
    person, speaker = Person(), Speaker("One ", "two.")
    path = f"/api/{person.user_id}/tasks"
    async with (
        running_app(chain=speaker.chain, requests_at_once_max=1) as running,
        served(running) as url,
    ):
        async with posting(url, person, "hello") as stream:
            await stream.next()
            await until(running, 1, person)
            error_of(await running.client.get(path, headers=person.headers), 429)
        await until(running, 0, person)
        assert (await running.client.get(path, headers=person.headers)).is_success
        speaker.let()


async def test_exports_and_imports_are_counted_by_themselves(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(exports_at_once_max=1) as running:
        await person.say(running.client, "Add task: Milk")
        mine = f"/api/{person.user_id}"
        with crowds_of(running).exports.one_more(person.user_id):
            for method, path in (("GET", "export"), ("POST", "import")):
                answer = await running.client.request(
                    method, f"{mine}/{path}", headers=person.headers
                )
                assert error_of(answer, 429)["error_code"] == "too_many_at_once"
            assert (await running.client.get(f"{mine}/tasks", headers=person.headers)).is_success
        done = await running.client.get(f"{mine}/export", headers=person.headers)
        assert done.json()["complete"] is True
        assert len(crowds_of(running).exports) == 0


def test_0_is_any_number_and_nothing_is_kept_of_who_has_left() -> None:
    crowd = Crowd(0)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(crowd.one_more("ada"))
        assert len(crowd) == 1
    assert len(crowd) == 0
    crowd = Crowd(1)
    for _ in range(2):
        with crowd.one_more("ada"):
            with pytest.raises(TooManyAtOnce), crowd.one_more("ada"):
                pytest.fail("it is one too many")


# --- tasks ---


async def add(client: httpx.AsyncClient, person: Person, title: str) -> httpx.Response:
    return await client.post(
        f"/api/{person.user_id}/tasks", json={"title": title}, headers=person.headers
    )


async def titles_of(client: httpx.AsyncClient, person: Person) -> list[str]:
    page = await client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    return [task["title"] for task in page.json()["data"]]


async def test_one_more_task_than_there_may_be_is_refused_by_every_way(
    running_app: AppMaker,
) -> None:
    person = Person()
    _, chain = scripted(
        [calls_tool("add_task", {"title": "By the model"})],
        says("There are too many."),
        [calls_tool("delete_task", {"task_id": 1})],
        [calls_tool("add_task", {"title": "After all"})],
        says("Now there is room."),
    )
    async with running_app(chain=chain, tasks_max=2) as running:
        client = running.client
        for title in ("One", "Two"):
            assert (await add(client, person, title)).status_code == 201
        refused = error_of(await add(client, person, "Three"), 409)
        assert refused["error_code"] == "too_many_tasks"
        said = (await person.say(client, "add one")).json()["tool_calls"][0]
        assert said["status"] == "failed"
        assert said["result"] == {"error": refused["error"]}
        called = await call(client, person, "add_task", {"title": "By a client"})
        assert called.json()["result"]["content"][0]["text"] == refused["error"]
        assert await titles_of(client, person) == ["One", "Two"]
        assert (await person.say(client, "make room")).status_code == 200
        assert await titles_of(client, person) == ["Two", "After all"]


async def test_an_import_brings_no_more_tasks_than_there_may_be(running_app: AppMaker) -> None:
    giver, taker = Person(), Person()
    async with running_app(tasks_max=2) as running:
        client = running.client
        for title in ("One", "Two"):
            await add(client, giver, title)
        exported = await client.get(
            f"/api/{giver.user_id}/export?format=jsonl", headers=giver.headers
        )
        await add(client, taker, "Mine")
        headers = taker.headers | {"Content-Type": "application/x-ndjson"}
        path = f"/api/{taker.user_id}/import"
        refused = await client.post(path, content=exported.content, headers=headers)
        assert error_of(refused, 409)["error_code"] == "too_many_tasks"
        assert await titles_of(client, taker) == ["Mine"]
        await client.delete(f"/api/{taker.user_id}/tasks/1", headers=taker.headers)
        taken = await client.post(path, content=exported.content, headers=headers)
        assert taken.json()["tasks"] == {"added": 2, "known": 0}
        again = await client.post(path, content=exported.content, headers=headers)
        assert again.json()["tasks"] == {"added": 0, "known": 2}


async def test_of_many_tasks_that_are_added_at_once_no_more_are_than_may_be(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app(tasks_max=3) as running:
        answers = await asyncio.gather(
            *(add(running.client, person, str(number)) for number in range(10))
        )
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 7
        assert len(await titles_of(running.client, person)) == 3


async def test_a_list_shows_the_oldest_tasks_that_have_no_more_characters_than_it_may(
    running_app: AppMaker,
) -> None:
    person = Person()
    _, chain = scripted([calls_tool("list_tasks", {})], says("Those."))
    async with running_app(chain=chain, listed_chars_max=10_000) as running:
        for number in range(7):
            answer = await running.client.post(
                f"/api/{person.user_id}/tasks",
                json={"title": str(number), "description": "x" * 1999},
                headers=person.headers,
            )
            assert answer.status_code == 201
        said = (await person.say(running.client, "show them")).json()["tool_calls"][0]["result"]
        called = await call(running.client, person, "list_tasks", {})
    outside: dict[str, Any] = called.json()["result"]["structuredContent"]
    for told in (said, outside):
        assert [task["id"] for task in told["tasks"]] == [1, 2, 3, 4, 5]
        assert told["total"] == 7
    assert len(json.dumps(outside)) < 11_000
