"""The same Idempotency-Key is the same turn."""

import asyncio

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.house import do_chores


async def test_a_key_twenty_times_at_once_over_two_apps_is_one_turn(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with running_app() as one, running_app() as two:
        answers = await asyncio.gather(
            *(
                person.say(app.client, "Add task: Only once", key="again and again")
                for app in [one, two] * 10
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    replayed = [answer for answer in answers if "idempotent-replayed" in answer.headers]
    assert len(replayed) == 19
    async with superuser.connect() as connection:
        for table in ("turns", "tasks", "conversations"):
            count = await connection.scalar(
                text(f"SELECT count(*) FROM {table} WHERE user_id = :owner"),
                {"owner": person.user_id},
            )
            assert count == 1, table


async def test_a_key_with_another_body_is_refused(client: httpx.AsyncClient) -> None:
    person = Person()
    first = await person.say(client, "Add task: A", key="k")
    other = await person.say(client, "Add task: B", key="k")
    assert (other.status_code, other.json()["error_code"]) == (422, "idempotency_mismatch")
    elsewhere = await person.say(
        client, "Add task: A", key="k", conversation_id=first.json()["conversation_id"]
    )
    assert elsewhere.status_code == 422


async def test_surrounding_blanks_do_not_make_another_body(client: httpx.AsyncClient) -> None:
    person = Person()
    first = await person.say(client, "Add task: A", key="k")
    again = await person.say(client, "  Add task: A\n", key="k")
    assert again.content == first.content


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "tab\there"])
async def test_a_key_that_is_none_is_refused(client: httpx.AsyncClient, key: str) -> None:
    person = Person()
    headers = httpx.Headers(person.headers)
    raw = [*headers.raw, (b"idempotency-key", key.encode())]
    answer = await client.post(person.chat_path, json={"message": "hi"}, headers=raw)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_request")
    assert answer.json()["details"][0]["field"] == "header.Idempotency-Key"


async def test_a_key_is_forgotten_after_its_time_and_the_turn_stays(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    database = offline_app.turns.database
    first = await person.say(offline_app.client, "Add task: A", key="k")
    await do_chores(database, offline_app.turns.settings)
    assert (await person.say(offline_app.client, "Add task: A", key="k")).content == first.content
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE turns SET finished_at = now() - interval '25h' WHERE user_id = :owner"),
            {"owner": person.user_id},
        )
    await do_chores(database, offline_app.turns.settings)
    anew = await person.say(offline_app.client, "Add task: A", key="k")
    assert anew.status_code == 200
    assert anew.json()["turn_id"] != first.json()["turn_id"]
    path = f"/api/{person.user_id}/turns/{first.json()['turn_id']}"
    kept = await offline_app.client.get(path, headers=person.headers)
    assert kept.json()["status"] == "completed"
