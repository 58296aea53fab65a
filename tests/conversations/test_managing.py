"""Conversations are renamed, archived, paused, ended and deleted, and their turns listed."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, person_in, says
from tests.house import do_chores
from tests.live.served import PATIENCE_S, following, served, socket

from taskchat.assistant.models.asking import NamedModel
from taskchat.conversations import service
from taskchat.errors import DatabaseError, ServiceError, TooManyActive, TooManyConversations
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.settings import Settings

UNKNOWN = "0199f3a0-0000-7000-8000-000000000000"


def path_of(person: Person, conversation: str, more: str = "") -> str:
    return f"/api/{person.user_id}/conversations/{conversation}{more}"


async def begun(client: httpx.AsyncClient, person: Person, message: str = "hello") -> str:
    answer = await person.say(client, message)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["conversation_id"])


async def read(client: httpx.AsyncClient, person: Person, path: str, **query: str) -> Any:
    answer = await client.get(path, params=query, headers=person.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def change(
    client: httpx.AsyncClient, person: Person, conversation: str, **fields: Any
) -> httpx.Response:
    return await client.patch(path_of(person, conversation), json=fields, headers=person.headers)


async def listed(client: httpx.AsyncClient, person: Person, **query: str) -> list[str]:
    page = await read(client, person, f"/api/{person.user_id}/conversations", **query)
    return [one["id"] for one in page["data"]]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


class Slow:
    """A model that says what it heard, once it is let; what it is told to do first it does first.

    Args:
        calls: Tool calls that it makes before it waits, if it is to make any.
    """

    def __init__(self, *calls: Any) -> None:
        self.let = asyncio.Semaphore(0)
        self.asked = 0
        steps = [list(calls)] if calls else []
        self.chain = [
            NamedModel("slow", ScriptedModel([*steps, *[ModelStep.respond(self._answer)] * 30]))
        ]

    async def _answer(self, call: ModelCall) -> Any:
        self.asked += 1
        await self.let.acquire()
        heard = [item["content"] for item in call.input if item.get("role") == "user"]
        return says(f"You said {heard[-1]}")


@contextlib.asynccontextmanager
async def queue(
    running: RunningApp, person: Person, slow: Slow, *, waiting: int
) -> AsyncIterator[tuple[str, list[asyncio.Task[httpx.Response]]]]:
    """A conversation whose second turn runs, with some behind it; and who waits for them."""
    slow.let.release()
    conversation = await begun(running.client, person, "turn 1")
    asked = slow.asked
    requests = []
    for number in range(2, waiting + 3):
        before = len(running.turns.jobs)
        requests.append(
            asyncio.create_task(
                person.say(running.client, f"turn {number}", conversation_id=conversation)
            )
        )
        # One after another, so that it is known which turn is which.
        await until(lambda before=before: len(running.turns.jobs) == before + 1)  # type: ignore[misc]
    await until(lambda: slow.asked > asked)
    yield conversation, requests
    for _ in requests:
        slow.let.release()
    await asyncio.gather(*requests)


# --- changing ---


async def test_a_conversation_is_renamed_archived_paused_and_ended(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    conversation, other = await begun(client, person), await begun(client, person)
    before = await read(client, person, path_of(person, conversation))
    assert (before["title"], before["status"], before["archived"]) == ("hello", "active", False)
    expected = dict(before)
    for fields in (
        {"title": " My \n week ", "status": None},
        {"archived": True},
        {"status": "paused"},
        {"title": "x" * 200, "status": "ended", "archived": False},
    ):
        answer = await change(client, person, conversation, **fields)
        assert answer.status_code == 200, answer.text
        expected |= {name: value for name, value in fields.items() if value is not None}
        expected["title"] = " ".join(expected["title"].split())
        assert answer.json() == expected
        assert await read(client, person, path_of(person, conversation)) == expected
    # None of it is activity.
    assert await listed(client, person) == [other, conversation]


async def test_a_conversation_made_active_by_hand_is_the_one_with_the_newest_activity(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    conversation, other = await begun(client, person), await begun(client, person)
    await change(client, person, conversation, status="active")
    assert await listed(client, person) == [other, conversation], "it was active already"
    await change(client, person, conversation, status="paused")
    await change(client, person, conversation, status="active")
    assert await listed(client, person) == [conversation, other]


async def test_an_ended_conversation_takes_no_turn_and_stays_ended(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    conversation = await begun(client, person)
    for _ in range(2):
        ended = await change(client, person, conversation, status="ended")
        assert (ended.status_code, ended.json()["status"]) == (200, "ended")
    for refused in (
        await change(client, person, conversation, status="active"),
        await change(client, person, conversation, status="paused", title="not this either"),
        await person.say(client, "still there?", conversation_id=conversation),
    ):
        assert (refused.status_code, refused.json()["error_code"]) == (409, "conversation_ended")
        assert refused.json()["conversation_id"] == conversation
    renamed = await change(client, person, conversation, title="Done", archived=True)
    assert (renamed.json()["title"], renamed.json()["status"]) == ("Done", "ended")
    page = await read(client, person, path_of(person, conversation, "/messages"))
    assert len(page["data"]) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"title": None, "status": None, "archived": None},
        {"title": ""},
        {"title": " \n\t "},
        {"title": "\u200b"},
        {"title": "x" * 201},
        {"title": "a\x00b"},
        {"title": 7},
        {"status": "gone"},
        {"status": "ACTIVE"},
        {"archived": 1},
        {"archived": "true"},
        {"summary": "mine"},
        {"title": "good", "id": UNKNOWN},
    ],
)
async def test_a_change_that_breaks_a_rule_changes_nothing(
    client: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    person = Person()
    conversation = await begun(client, person)
    before = await read(client, person, path_of(person, conversation))
    answer = await change(client, person, conversation, **fields)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_request")
    assert answer.json()["details"]
    assert await read(client, person, path_of(person, conversation)) == before


async def test_what_is_missing_or_anothers_can_be_neither_changed_nor_deleted_nor_listed(
    client: httpx.AsyncClient,
) -> None:
    person, stranger = Person(), Person()
    theirs = await begun(client, person)
    before = await read(client, person, path_of(person, theirs))
    told = []
    for conversation in (theirs, UNKNOWN):
        for answer in (
            await change(client, stranger, conversation, title="mine"),
            await client.delete(path_of(stranger, conversation), headers=stranger.headers),
            await client.get(path_of(stranger, conversation, "/turns"), headers=stranger.headers),
        ):
            assert (answer.status_code, answer.json()["error_code"]) == (404, "not_found")
            told.append(answer.json()["error"].replace(conversation, "ID"))
    assert len(set(told)) == 1
    assert await read(client, person, path_of(person, theirs)) == before


async def test_archived_ones_are_listed_only_if_they_are_asked_for(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    ids = [await begun(client, person) for _ in range(4)]
    for conversation in ids[:2]:
        await change(client, person, conversation, archived=True)
    await change(client, person, ids[0], status="ended")
    assert await listed(client, person) == [ids[3], ids[2]]
    assert await listed(client, person, archived="false") == [ids[3], ids[2]]
    assert await listed(client, person, archived="true") == [ids[1], ids[0]]
    assert await listed(client, person, archived="all") == ids[::-1]
    assert await listed(client, person, archived="true", status="active") == [ids[1]]
    # A message in it does not take it out again.
    await person.say(client, "more", conversation_id=ids[1])
    assert await listed(client, person, archived="true") == [ids[1], ids[0]]


async def test_what_runs_and_waits_is_answered_in_a_conversation_that_is_ended(
    running_app: AppMaker,
) -> None:
    person, slow = Person(), Slow()
    async with running_app(chain=slow.chain) as running:
        async with queue(running, person, slow, waiting=1) as (conversation, requests):
            ended = await change(running.client, person, conversation, status="ended")
            assert ended.status_code == 200
        assert [(await one).status_code for one in requests] == [200, 200]


# --- the queue ---


async def test_a_queue_is_seen_and_what_waits_in_it_withdrawn(running_app: AppMaker) -> None:
    person, slow = Person(), Slow()
    async with running_app(chain=slow.chain) as running:
        client = running.client
        async with queue(running, person, slow, waiting=3) as (conversation, requests):
            path = path_of(person, conversation, "/turns")
            whole = (await read(client, person, path))["data"]
            assert [one["number"] for one in whole] == [1, 2, 3, 4, 5]
            assert [one["status"] for one in whole] == ["completed", "running", *["queued"] * 3]
            assert [one["message"] for one in whole] == [f"turn {n}" for n in range(1, 6)]
            queued = (await read(client, person, path, status="queued"))["data"]
            assert queued == whole[2:]
            assert queued[0]["started_at"] is None
            withdrawn = await client.post(
                f"/api/{person.user_id}/turns/{queued[1]['id']}/cancel", headers=person.headers
            )
            assert withdrawn.json()["status"] == "cancelled"
            left = (await read(client, person, path, status="queued"))["data"]
            assert left == [queued[0], queued[2]]
            assert (await read(client, person, path, status="cancelled"))["data"][0]["number"] == 4
        assert [(await one).status_code for one in requests] == [200, 200, 409, 200]
        assert (await requests[2]).json()["error_code"] == "turn_cancelled"
        done = (await read(client, person, path, status="completed"))["data"]
        assert [one["number"] for one in done] == [1, 2, 3, 5]


async def test_turns_are_read_page_by_page_while_more_come(client: httpx.AsyncClient) -> None:
    person = Person()
    conversation = await begun(client, person)
    for _ in range(2):
        await person.say(client, "more", conversation_id=conversation)
    path, numbers, query = path_of(person, conversation, "/turns"), [], {"limit": "2"}
    for _ in range(3):
        page = await read(client, person, path, **query)
        numbers += [one["number"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        query["after"] = page["next_cursor"]
        for _ in range(2):
            await person.say(client, "and more", conversation_id=conversation)
    assert numbers == [1, 2, 3, 4, 5, 6]


# --- messages ---


async def test_every_message_names_its_turn(running_app: AppMaker) -> None:
    person, slow = Person(), Slow()
    async with running_app(chain=slow.chain) as running:
        for _ in range(2):
            slow.let.release()
        first = (await person.say(running.client, "one")).json()
        conversation = first["conversation_id"]
        second = (await person.say(running.client, "two", conversation_id=conversation)).json()
        page = await read(running.client, person, path_of(person, conversation, "/messages"))
        slow.let.release()
        alone = await person.say(
            running.client, "three", conversation_id=conversation, params={"messages": "turn"}
        )
    turns = [first["turn_id"], first["turn_id"], second["turn_id"], second["turn_id"]]
    assert [message["turn_id"] for message in first["messages"]] == turns[:2]
    assert [message["turn_id"] for message in second["messages"]] == turns
    assert page["data"] == [one | {"versions": [], "rating": None} for one in second["messages"]]
    assert {message["turn_id"] for message in alone.json()["messages"]} == {alone.json()["turn_id"]}


async def test_the_newest_messages_are_a_page_away_and_older_ones_follow(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    conversation = await begun(client, person, "number 0")
    for number in range(1, 4):
        await person.say(client, f"number {number}", conversation_id=conversation)
    path = path_of(person, conversation, "/messages")
    whole = (await read(client, person, path))["data"]
    page = await read(client, person, path, before="end", limit="3")
    assert page["data"] == whole[-3:]
    # What is said meanwhile is newer than where this began.
    await person.say(client, "number 4", conversation_id=conversation)
    older = await read(client, person, path, before=page["next_cursor"], limit="3")
    assert older["data"] == whole[-6:-3]
    oldest = await read(client, person, path, before=older["next_cursor"], limit="3")
    assert oldest["data"] == whole[:2]
    assert (oldest["has_more"], oldest["next_cursor"]) == (False, None)
    again = await read(client, person, path, after=older["next_cursor"])
    assert [one["id"] for one in again["data"][:5]] == [one["id"] for one in whole[3:]]
    newest = await read(client, person, path, before="end", limit="2")
    assert newest["data"][0]["content"] == "number 4"


@pytest.mark.parametrize("limit", ["1", "2", "3", "4"])
async def test_messages_are_read_once_each_though_replies_come_in_front_of_waiting_ones(
    running_app: AppMaker, limit: str
) -> None:
    person, slow = Person(), Slow()
    async with running_app(chain=slow.chain) as running:
        client = running.client
        async with queue(running, person, slow, waiting=4) as (conversation, requests):
            path = path_of(person, conversation, "/messages")
            seen: list[dict[str, Any]] = []
            query, done = {"limit": limit}, itertools.count()
            while True:
                page = await read(client, person, path, **query)
                seen += page["data"]
                if page["next_cursor"] is None:
                    break
                query["after"] = page["next_cursor"]
                number = next(done)
                if number < len(requests):
                    # One more turn ends between two pages.
                    slow.let.release()
                    await requests[number]
            whole = (await read(client, person, path))["data"]
    ids = [message["id"] for message in seen]
    assert len(set(ids)) == len(ids), "one came twice"
    assert set(ids) == {message["id"] for message in whole}, "one was passed by"
    places = [ids.index(message["id"]) for message in whole]
    # Pages of one and two never get ahead of a reply here.
    assert (places == sorted(places)) == (int(limit) <= 2)


async def test_conversations_are_read_once_each_while_others_begin_and_one_goes_on(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    ids = [await begun(client, person) for _ in range(6)][::-1]
    path, query = f"/api/{person.user_id}/conversations", {"limit": "2"}
    seen: list[str] = []
    while True:
        page = await read(client, person, path, **query)
        seen += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        query["after"] = page["next_cursor"]
        await begun(client, person, "a new one")
        # One that was read already; it goes to the front and comes no second time.
        await person.say(client, "more", conversation_id=ids[1])
        await change(client, person, ids[-1], title="Renaming moves nothing")
    assert seen == ids


# --- a cap on active ones ---


async def test_one_active_conversation_too_many_is_refused_however_it_would_begin(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with running_app(conversations_active_max=2) as running, served(running) as url:
        client = running.client
        one, two = await begun(client, person), await begun(client, person)
        await change(client, person, one, status="paused")
        three = await begun(client, person)
        for refused in (
            await person.say(client, "a fourth"),
            await person.say(client, "wake up", conversation_id=one),
            await change(client, person, one, status="active"),
        ):
            assert (refused.status_code, refused.json()["error_code"]) == (409, "too_many_active")
            assert refused.json()["turn_id"] is None
        assert refused.json()["conversation_id"] == one
        async with socket(url, person) as other:
            await other.next()
            await other.send("start_session", id="s")
            frame = await other.next()
            assert (frame["code"], frame["reply_to"]) == ("TOO_MANY_ACTIVE", "s")
        assert await listed(client, person) == [three, two, one], "nothing was stored"
        assert (await read(client, person, path_of(person, one)))["turns"] == 1
        # What is active goes on, also where there are more than there may be by now.
        async with superuser.begin() as connection:
            await connection.execute(
                text("UPDATE conversations SET status = 'active' WHERE user_id = :o"),
                {"o": person.user_id},
            )
        assert (await person.say(client, "more", conversation_id=one)).status_code == 200
        assert (await change(client, person, one, status="active")).status_code == 200
        for conversation, fields in ((one, {"status": "ended"}), (two, {"status": "paused"})):
            await change(client, person, conversation, **fields)
        assert (await person.say(client, "wake up", conversation_id=two)).status_code == 200
        deleted = await client.delete(path_of(person, three), headers=person.headers)
        assert deleted.status_code == 204
        assert (await person.say(client, "a new one")).status_code == 200


async def test_the_cap_holds_for_many_at_once_over_two_processes_and_for_each_user_alone(
    running_app: AppMaker,
) -> None:
    person, other = Person(), Person()
    async with (
        running_app(conversations_active_max=3) as first,
        running_app(conversations_active_max=3) as second,
    ):
        answers = await asyncio.gather(
            *(person.say(app.client, "hello") for app in (first, second) for _ in range(6)),
            *(other.say(first.client, "hello") for _ in range(3)),
        )
        assert sorted(answer.status_code for answer in answers[:12]) == [200] * 3 + [409] * 9
        assert [answer.status_code for answer in answers[12:]] == [200] * 3
        assert len(await listed(first.client, person, status="active")) == 3


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        ({"active_max": 1, "conversations_max": 10}, TooManyActive),
        ({"active_max": None, "conversations_max": 1}, TooManyConversations),
    ],
)
async def test_who_begins_while_another_process_is_about_to_has_to_wait_for_it(
    database: Database,
    database_url: str,
    settings: Settings,
    limits: dict[str, Any],
    refused: type[ServiceError],
) -> None:
    principal = (await person_in(database)).principal
    elsewhere = Database(database_url, settings)
    async with database.transaction(principal) as connection:
        await service.start_conversation(connection, principal, new_id(), **limits)
        with pytest.raises(DatabaseError):  # noqa: PT012
            async with elsewhere.transaction(principal) as other:
                await other.execute(text("SET LOCAL lock_timeout = '100ms'"))
                await service.start_conversation(other, principal, new_id(), **limits)
    with pytest.raises(refused):
        async with elsewhere.transaction(principal) as other:
            await service.start_conversation(other, principal, new_id(), **limits)
    await elsewhere.close()


# --- idle ones ---


async def test_idle_conversations_are_paused_unless_somebody_is_answered_there(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person, other, slow = Person(), Person(), Slow()
    async with running_app(chain=slow.chain, conversation_idle_h=24, chore_rows_max=1) as running:
        client = running.client
        for _ in range(4):
            slow.let.release()
        idle, ended, fresh = [await begun(client, person) for _ in range(3)]
        anothers = await begun(client, other)
        await change(client, person, ended, status="ended")
        async with queue(running, person, slow, waiting=0) as (busy, _):
            async with superuser.begin() as connection:
                await connection.execute(
                    text(
                        "UPDATE conversations SET updated_at = now() - interval '24 h 1 s'"
                        " WHERE user_id = ANY (:owners) AND id <> :fresh"
                    ),
                    {"owners": [person.user_id, other.user_id], "fresh": fresh},
                )
            await do_chores(running.turns.database, running.turns.settings)
            assert await listed(client, person, status="paused") == [idle]
            assert await listed(client, other, status="paused") == [anothers]
            assert await listed(client, person, status="ended") == [ended]
            assert set(await listed(client, person, status="active")) == {fresh, busy}
        # Made active by hand it is not idle, although nothing was said.
        await change(client, person, idle, status="active")
        never = running.turns.settings.model_copy(update={"conversation_idle_h": 0})
        await do_chores(running.turns.database, never)
        assert busy in await listed(client, person, status="active")
        await do_chores(running.turns.database, running.turns.settings)
        assert set(await listed(client, person, status="active")) == {fresh, idle}


# --- deleting ---


async def test_a_conversation_is_deleted_with_all_it_holds_and_tasks_and_usage_stay(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person = Person()
    kept = await begun(client, person)
    said = await person.say(client, "Add task: Buy groceries", key="k")
    conversation, turn = said.json()["conversation_id"], said.json()["turn_id"]
    usage = await read(client, person, f"/api/{person.user_id}/usage")
    answer = await client.delete(path_of(person, conversation), headers=person.headers)
    assert (answer.status_code, answer.content) == (204, b"")
    for gone in (
        await client.get(path_of(person, conversation), headers=person.headers),
        await client.get(path_of(person, conversation, "/messages"), headers=person.headers),
        await client.get(f"/api/{person.user_id}/turns/{turn}", headers=person.headers),
        await client.get(
            f"/api/{person.user_id}/turns/{turn}/events",
            headers=person.headers | {"Accept": "text/event-stream"},
        ),
        await person.say(client, "still there?", conversation_id=conversation),
        await client.delete(path_of(person, conversation), headers=person.headers),
    ):
        assert (gone.status_code, gone.json()["error_code"]) == (404, "not_found")
    async with superuser.connect() as connection:
        for table in ("messages", "turns"):
            left = await connection.scalar(
                text(f"SELECT count(*) FROM {table} WHERE conversation_id = :id"),
                {"id": conversation},
            )
            assert left == 0, table
        for table in ("tool_calls", "turn_events", "model_calls", "model_answers"):
            left = await connection.scalar(
                text(f"SELECT count(*) FROM {table} WHERE turn_id = :id"), {"id": turn}
            )
            assert left == 0, table
    assert await listed(client, person, archived="all") == [kept]
    tasks = await read(client, person, f"/api/{person.user_id}/tasks")
    assert [task["title"] for task in tasks["data"]] == ["Buy groceries"]
    assert await read(client, person, f"/api/{person.user_id}/usage") == usage
    # The key went with its turn.
    anew = await person.say(client, "Something else", key="k")
    assert anew.status_code == 200
    assert "idempotent-replayed" not in anew.headers


async def test_turns_of_a_deleted_conversation_stop_wherever_they_run_and_are_lost_quietly(
    running_app: AppMaker,
) -> None:
    person, slow = Person(), Slow(calls_tool("add_task", {"title": "Done before"}))
    async with (
        running_app(chain=slow.chain, sse_ping_s=0.1) as here,
        running_app() as there,
        served(here) as url,
    ):
        await asyncio.wait_for(here.listener.listening.wait(), PATIENCE_S)
        conversation = await begun(there.client, person)
        running = asyncio.create_task(
            person.say(here.client, "do it", conversation_id=conversation)
        )
        await until(lambda: slow.asked == 1)
        waiting = asyncio.create_task(
            person.say(there.client, "and this", conversation_id=conversation)
        )
        await until(lambda: len(there.turns.jobs) == 1)
        turns = await read(there.client, person, path_of(person, conversation, "/turns"))
        ids = [turn["id"] for turn in turns["data"]]
        async with following(url, person, ids[1]) as events:
            await events.until("tool_result")
            deleted = await there.client.delete(
                path_of(person, conversation), headers=person.headers
            )
            assert deleted.status_code == 204
            told = (await events.rest())[-1]
        assert (told.type, told.fields["error_code"]) == ("error", "not_found")
        for request, turn in ((running, ids[1]), (waiting, ids[2])):
            answer = await asyncio.wait_for(request, PATIENCE_S)
            assert (answer.status_code, answer.json()["error_code"]) == (404, "not_found")
            assert answer.json()["turn_id"] == turn
        await until(lambda: not len(here.turns.jobs) and not len(there.turns.jobs))
        tasks = await read(there.client, person, f"/api/{person.user_id}/tasks")
        assert [task["title"] for task in tasks["data"]] == ["Done before"]
        # What models used is counted as far as it is on record; the first turn was the offline one.
        usage = await read(there.client, person, f"/api/{person.user_id}/usage")
        used = {one["model"]: one for one in usage["data"][0]["models"]}
        assert (used["slow"]["model_calls"], used["slow"]["turns"]) == (1, 0)


async def test_sockets_of_a_conversation_hear_of_its_end_and_are_closed_when_it_is_deleted(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with (
        running_app() as first,
        running_app() as second,
        served(first) as here,
        served(second) as there,
    ):
        await asyncio.wait_for(second.listener.listening.wait(), PATIENCE_S)
        conversation = await begun(first.client, person)
        other = await begun(first.client, person)
        ended = {"type": "session_ended", "conversation_id": conversation}
        async with (
            socket(here, person, conversation) as one,
            socket(there, person, conversation) as elsewhere,
            socket(here, person, other) as untouched,
        ):
            for each in (one, elsewhere, untouched):
                assert (await each.next())["type"] == "connection"
            await change(first.client, person, conversation, status="ended")
            for each in (one, elsewhere):
                assert await each.next() == ended
            deleted = await first.client.delete(
                path_of(person, conversation), headers=person.headers
            )
            assert deleted.status_code == 204
            for each in (one, elsewhere):
                assert await each.next() == ended
                assert (await each.closed())[0] == 4004
            await untouched.send("ping", id="p")
            assert (await untouched.next())["reply_to"] == "p"
