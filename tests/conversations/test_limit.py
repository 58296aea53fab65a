"""A user has no more conversations than they may, whatever would begin one more."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from benchmarks.stage import connected
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.ag_ui import runs
from tests.conftest import AppMaker, MakeDatabase, RunningApp, in_a_task_of_its_own
from tests.factories import Person
from tests.live.served import served, socket
from tests.portability.data import conversation_line, exported, file_of, imported, send, turn_line
from tests.schedules.acting import let_come, let_try, made, say_due
from tests.schedules.acting import read as read_schedule
from tests.ui import chatting

from taskchat.errors import TooManyConversations

FULL = (409, "too_many_conversations")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


async def count(superuser: AsyncEngine, person: Person, table: str = "conversations") -> int:
    async with superuser.connect() as connection:
        found = await connection.scalar(
            text(f"SELECT count(*) FROM {table} WHERE user_id = :o"), {"o": person.user_id}
        )
    return int(found or 0)


async def delete(running: RunningApp, person: Person, conversation: str) -> None:
    answer = await running.client.delete(
        f"/api/{person.user_id}/conversations/{conversation}", headers=person.headers
    )
    assert answer.status_code == 204


async def begun(running: RunningApp, person: Person, key: str | None = None) -> str:
    answer = await person.say(running.client, "hello", key=key)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["conversation_id"])


@pytest.fixture
async def running(running_app: AppMaker) -> AsyncIterator[RunningApp]:
    """A service in which each user may have two conversations."""
    async with in_a_task_of_its_own(running_app(conversations_max=2)) as app:
        yield app


@pytest.fixture
async def person(running: RunningApp) -> Person:
    """Somebody who has as many as they may: one has ended, one is archived."""
    person = Person()
    for change in ({"status": "ended"}, {"archived": True}):
        conversation = await begun(running, person)
        answer = await running.client.patch(
            f"/api/{person.user_id}/conversations/{conversation}",
            json=change,
            headers=person.headers,
        )
        assert answer.status_code == 200
    return person


async def test_one_more_is_refused_by_every_way_in_and_nothing_of_it_is_stored(
    running: RunningApp, person: Person, superuser: AsyncEngine
) -> None:
    client = running.client
    answer = await person.say(client, "a third")
    assert refusal(answer) == FULL
    assert answer.json()["error"] == TooManyConversations.default
    assert (answer.json()["turn_id"], answer.json()["conversation_id"]) == (None, None)
    streamed = await client.post(
        person.chat_path,
        json={"message": "a third"},
        headers=person.headers | {"Accept": "text/event-stream"},
    )
    assert refusal(streamed) == FULL
    assert refusal(await chatting.send(client, person, chatting.user("Hi"), chat="new")) == FULL
    run = await client.post(
        runs.path_of(person),
        json=runs.body("a new thread", runs.user("Hi")),
        headers=person.headers,
    )
    assert FULL[1] in run.text.lower(), run.text
    for path, body in (
        ("/v1/responses", {"model": "taskchat", "input": "Hi"}),
        (
            "/v1/chat/completions",
            {"model": "taskchat", "messages": [{"role": "user", "content": "Hi"}]},
        ),
    ):
        asked = await client.post(path, json=body, headers=person.headers)
        assert (asked.status_code, asked.json()["error"]["code"]) == FULL
    async with served(running) as url:
        for type_, fields in (("message", {"content": "Hi"}), ("start_session", {})):
            async with socket(url, person) as one:
                await one.next()
                await one.send(type_, id="s", **fields)
                frame = await one.next()
                assert (frame["code"], frame["reply_to"]) == (FULL[1].upper(), "s")
    assert await count(superuser, person) == 2
    assert await count(superuser, person, "turns") == 2
    assert await count(superuser, person, "external_ids") == 0


async def test_what_is_there_goes_on_and_deleting_makes_room_and_nobody_else_is_affected(
    running: RunningApp, superuser: AsyncEngine
) -> None:
    person, other = Person(), Person()
    first, second = await begun(running, person), await begun(running, person)
    assert refusal(await person.say(running.client, "a third")) == FULL
    for _ in range(2):
        await begun(running, other)
    on = await person.say(running.client, "more", conversation_id=first)
    assert on.status_code == 200
    again = await running.client.post(
        f"/api/{person.user_id}/messages/{on.json()['messages'][-1]['id']}/regenerate",
        json={},
        headers=person.headers,
    )
    assert again.status_code == 200, again.text
    await delete(running, person, second)
    await begun(running, person)
    assert refusal(await person.say(running.client, "a third")) == FULL
    assert await count(superuser, person) == await count(superuser, other) == 2


async def test_a_chat_that_has_begun_goes_on_by_its_clients_own_id(running: RunningApp) -> None:
    person = Person()
    for chat in ("one", "two"):
        chatting.chunks(
            await chatting.send(running.client, person, chatting.user("Hi", "m1"), chat=chat)
        )
    refused = await chatting.send(running.client, person, chatting.user("Hi", "m1"), chat="three")
    assert refusal(refused) == FULL
    for id_ in ("m1", "m2"):
        # A message that was said is told again, and another one is said.
        said = await chatting.send(running.client, person, chatting.user("Hi", id_), chat="one")
        assert chatting.text(chatting.chunks(said))


async def test_a_known_key_is_answered_as_before_where_there_is_no_room(
    running: RunningApp,
) -> None:
    person = Person()
    first = await person.say(running.client, "hello", key="k")
    await begun(running, person)
    again = await person.say(running.client, "hello", key="k")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert refusal(await person.say(running.client, "hello", key="another")) == FULL


async def test_of_many_at_once_over_two_processes_no_more_begin_than_may(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person, other = Person(), Person()
    async with (
        running_app(conversations_max=3) as first,
        running_app(conversations_max=3) as second,
    ):
        answers = await asyncio.gather(
            *(person.say(app.client, "hello") for app in (first, second) for _ in range(6)),
            *(
                chatting.send(app.client, person, chatting.user("Hi"), chat=f"chat {n}")
                for app in (first, second)
                for n in range(3)
            ),
            *(other.say(first.client, "hello") for _ in range(3)),
        )
    assert sorted(answer.status_code for answer in answers[:18]) == [200] * 3 + [409] * 15
    assert [answer.status_code for answer in answers[18:]] == [200] * 3
    assert await count(superuser, person) == 3


async def test_one_message_sent_many_times_at_once_takes_the_last_place_and_is_one_turn(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with (
        running_app(conversations_max=1) as first,
        running_app(conversations_max=1) as second,
    ):
        answers = await asyncio.gather(
            *(person.say(app.client, "hi", key="k") for app in (first, second) for _ in range(8))
        )
    assert [answer.status_code for answer in answers] == [200] * 16
    assert len({answer.json()["turn_id"] for answer in answers}) == 1
    assert await count(superuser, person) == 1


async def test_a_scheduled_message_that_would_begin_one_too_many_is_said_once_there_is_room(
    running: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    first = await begun(running, person)
    await begun(running, person)
    id_ = await made(running, person)
    await let_come(superuser, id_)
    await say_due(running)
    waiting = await read_schedule(running, person, id_)
    assert (waiting["status"], waiting["last_error"]) == ("active", FULL[1])
    assert await count(superuser, person) == 2
    await delete(running, person, first)
    await let_try(superuser, id_)
    await say_due(running)
    assert (await read_schedule(running, person, id_))["last_error"] is None
    assert await count(superuser, person) == 2


async def test_an_import_brings_no_more_than_there_may_be_and_none_of_them_half(
    running: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    mine = await begun(running, person)
    whole = file_of(conversation_line(1), turn_line(1), conversation_line(2), turn_line(2))
    refused = await send(running.client, person, whole)
    assert refusal(refused) == FULL
    assert "send it again, which doubles nothing" in refused.json()["error"]
    lines = await exported(running.client, person)
    brought = [line for line in lines if line["type"] == "conversation" and line["id"] != mine]
    assert [line["title"] for line in brought] == ["Conversation 1"]
    assert await count(superuser, person, "turns") == 2
    assert refusal(await send(running.client, person, whole)) == FULL
    await delete(running, person, mine)
    taken = await imported(running.client, person, whole)
    assert taken["conversations"] == {"added": 1, "known": 1}
    again = await imported(running.client, person, whole)
    assert again["conversations"] == {"added": 0, "known": 2}


async def test_where_active_ones_are_capped_too_each_limit_says_which_it_is(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app(conversations_max=3, conversations_active_max=1) as running:
        for _ in range(2):
            conversation = await begun(running, person)
            refused = await person.say(running.client, "one more")
            assert refusal(refused) == (409, "too_many_active")
            await running.client.patch(
                f"/api/{person.user_id}/conversations/{conversation}",
                json={"status": "paused"},
                headers=person.headers,
            )
        await begun(running, person)
        assert refusal(await person.say(running.client, "one more")) == FULL
        woken = await person.say(running.client, "wake up", conversation_id=conversation)
        assert refusal(woken) == (409, "too_many_active")


FILL = (
    "INSERT INTO users (id) SELECT 'user ' || n FROM generate_series(0, 400) AS n",
    "INSERT INTO conversations (user_id, id)"
    " SELECT u.id, gen_random_uuid() FROM users AS u, generate_series(1, 4000) AS n"
    " WHERE n <= 20 OR u.id = 'user 0'",
    "VACUUM ANALYZE conversations",
)
"""Many have a few, and one has thousands."""


async def test_counting_reads_an_index_alone_and_no_more_of_it_than_the_limit(
    migrated_database: MakeDatabase,
) -> None:
    async with migrated_database() as url, connected(url) as direct:
        for statement in FILL:
            await direct.execute(statement)
        for limit, rows in ((100_000, 4000), (100, 101)):
            counted = await counting(direct, limit)
            assert counted["Node Type"] == "Index Only Scan"
            assert (counted["Heap Fetches"], counted["Actual Rows"]) == (0, rows)


async def counting(direct: asyncpg.Connection, limit: int) -> dict[str, Any]:
    """How the function's own statement is carried out."""
    source = await direct.fetchval(
        "SELECT prosrc FROM pg_proc WHERE proname = 'conversation_fits_2'"
    )
    query = source[source.index("SELECT count(*)") : source.index(" AS there")] + " AS there"
    for name, value in (("_conversations_max", str(limit)), ("_owner", "'user 0'")):
        query = query.replace(name, value)
    plan = json.loads(await direct.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"))[0]["Plan"]
    while "Plans" in plan:
        [plan] = plan["Plans"]
    found: dict[str, Any] = plan
    return found
