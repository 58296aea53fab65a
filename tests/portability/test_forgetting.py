"""Whoever deletes their data has nothing left, in any table, and may come back on any process."""

import asyncio
import math
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.portability.data import file_of, send, task_line
from tests.sharing.links import link_to, talk
from tests.test_db import NOBODYS, TABLES, fill

from taskchat.errors import DatabaseError
from taskchat.portability import forgetting, patience
from taskchat.portability.store import delete as store
from taskchat.postgres.database import Database


async def delete(client: httpx.AsyncClient, person: Person) -> httpx.Response:
    return await client.delete(f"/api/{person.user_id}", headers=person.headers)


async def rows_of(superuser: AsyncEngine, person: Person) -> dict[str, int]:
    """How many rows a user has, in every table."""
    found = {}
    async with superuser.connect() as connection:
        for table in set(TABLES) - set(NOBODYS):
            column = "id" if table == "users" else "user_id"
            found[table] = int(
                await connection.scalar(
                    text(f"SELECT count(*) FROM {table} WHERE {column} = :owner"),
                    {"owner": person.user_id},
                )
                or 0
            )
    return found


async def test_nothing_is_left_in_any_table_and_nobody_else_loses_anything(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person, other = await fill(offline_app), await fill(offline_app)
    assert all((await rows_of(superuser, person)).values())
    before = await rows_of(superuser, other)
    assert (await delete(offline_app.client, person)).status_code == 204
    assert not any((await rows_of(superuser, person)).values())
    assert await rows_of(superuser, other) == before


async def test_links_go_first_so_that_nobody_reads_what_is_left(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, delete_some = Person(), store.delete_some
    made = await link_to(client, person, await talk(client, person, "hello"))

    async def none_but_links(*given: Any, **options: Any) -> int:
        if given[-1] != "shares":
            raise DatabaseError(retry_after_s=1)
        return await delete_some(*given, **options)

    monkeypatch.setattr(store, "delete_some", none_but_links)
    monkeypatch.setattr(patience, "WAIT_S", 0)
    assert (await delete(client, person)).status_code == 503
    assert (await client.get(f"/share/{made['token']}")).status_code == 404


async def test_a_user_comes_back_and_starts_anew(client: httpx.AsyncClient) -> None:
    person = Person()
    first = await person.say(client, "Add task: A", key="same")
    for _ in range(2):
        assert (await delete(client, person)).status_code == 204
    gone = await client.get(
        f"/api/{person.user_id}/turns/{first.json()['turn_id']}", headers=person.headers
    )
    assert gone.status_code == 404
    again = await person.say(client, "Add task: B", key="same")
    assert again.status_code == 200, again.text
    assert "idempotent-replayed" not in again.headers
    assert again.json()["tool_calls"][0]["result"]["task_id"] == 1


async def test_much_is_deleted_in_small_steps(
    client: httpx.AsyncClient, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "ROWS_AT_ONCE", 2)
    person, conversation = Person(), None
    for number in range(5):
        answer = await person.say(
            client, f"Add task: T{number}", conversation_id=conversation if number % 2 else None
        )
        conversation = answer.json()["conversation_id"]
    assert (await delete(client, person)).status_code == 204
    assert not any((await rows_of(superuser, person)).values())


@pytest.mark.parametrize("wanted", ["say", "tasks", "import"])
async def test_another_process_that_has_seen_the_user_makes_their_row_anew(
    running_app: AppMaker, wanted: str
) -> None:
    person = Person()
    async with running_app() as one, running_app() as other:
        for running in (one, other):
            assert (await person.say(running.client, "Add task: A")).status_code == 200
        assert (await delete(one.client, person)).status_code == 204
        # Not told: a notification may be late, or lost. Then the first request finds it out.
        other.live.authenticator._seen[person.user_id] = math.inf
        for status in (503, 200):
            if wanted == "say":
                answer = await person.say(other.client, "Add task: B")
            elif wanted == "tasks":
                answer = await other.client.post(
                    f"/api/{person.user_id}/tasks", json={"title": "B"}, headers=person.headers
                )
                status = 201 if status == 200 else status
            else:
                answer = await send(other.client, person, file_of(task_line()))
            assert answer.status_code == status, answer.text
            if status == 503:
                assert answer.headers["retry-after"] == "1"


async def test_other_processes_are_told_of_it(running_app: AppMaker) -> None:
    person = Person()
    async with running_app() as one, running_app() as other:
        await asyncio.wait_for(other.listener.listening.wait(), 30)
        assert (await person.say(other.client, "Add task: A")).status_code == 200
        assert person.user_id in other.live.authenticator._seen
        assert (await delete(one.client, person)).status_code == 204
        async with asyncio.timeout(30):
            while person.user_id in other.live.authenticator._seen:
                await asyncio.sleep(0.01)
        assert (await person.say(other.client, "Add task: B")).status_code == 200


async def test_a_turn_under_way_ends_quietly(
    running_app: AppMaker, superuser: AsyncEngine, database: Database
) -> None:
    person = Person()
    async with running_app(offline_manner="delay=60") as one, running_app() as other:
        assert person.user_id
        async with asyncio.timeout(60):
            waits = asyncio.create_task(person.say(one.client, "Add task: Never"))
            follows = None
            turn = None
            while turn is None:
                await asyncio.sleep(0.01)
                async with superuser.connect() as connection:
                    turn = await connection.scalar(
                        text("SELECT id FROM turns WHERE user_id = :owner"),
                        {"owner": person.user_id},
                    )
            follows = asyncio.create_task(
                one.client.get(
                    f"/api/{person.user_id}/turns/{turn}/events",
                    headers=person.headers | {"Accept": "text/event-stream"},
                )
            )
            while not one.live.feed._tails:
                await asyncio.sleep(0.01)
            # On the process that runs it, so that its end is told before its rows are gone.
            assert (await delete(one.client, person)).status_code == 204
            answer, told = await waits, await follows
            assert answer.status_code in (404, 409), answer.text
            assert told.text.rstrip().count("event: error") == 1
            while len(one.turns.jobs):
                await asyncio.sleep(0.01)
        assert not any((await rows_of(superuser, person)).values())
        assert (await person.say(other.client, "Add task: B")).status_code == 200


async def test_a_turn_that_another_process_runs_ends_too(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with running_app(offline_manner="delay=60") as one, running_app() as other:
        async with asyncio.timeout(60):
            waits = asyncio.create_task(person.say(one.client, "Add task: Never"))
            while not len(one.turns.jobs):
                await asyncio.sleep(0.01)
            assert (await delete(other.client, person)).status_code == 204
            assert (await waits).status_code in (404, 409)
            while len(one.turns.jobs):
                await asyncio.sleep(0.01)
        assert not any((await rows_of(superuser, person)).values())
