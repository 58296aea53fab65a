"""Hooks are their users': made within limits, shown without secrets, changed and deleted."""

import asyncio

import httpx
import pytest
from tests.answers import error_of
from tests.conftest import AppMaker
from tests.factories import Person
from tests.house import do_chores
from tests.webhooks.conftest import Place
from tests.webhooks.receiver import Receiver

from taskchat.settings.webhook_secrets import read_secret

URL = "https://hooks.example.org/hook"
UNKNOWN = "0199f3a0-0000-7000-8000-000000000000"


async def test_a_hook_is_made_listed_changed_and_deleted(place: Place) -> None:
    person = Person()
    made = await place.hook(person, URL, events=["turn.completed", "task.deleted"])
    assert len(read_secret(made.pop("secret"))) == 32
    assert made == {
        "id": made["id"],
        "url": URL,
        "events": ["turn.completed", "task.deleted"],
        "status": "active",
        "paused_reason": None,
        "paused_at": None,
        "failing_since": None,
        "pending": 0,
        "created_at": made["created_at"],
    }
    listed = await place.ask(person, "GET", "")
    assert listed.json() == {"data": [made], "has_more": False, "next_cursor": None}
    assert await place.shown(person, made) == made
    for change, field, value in (
        ({"events": None}, "events", None),
        ({"url": URL + "2"}, "url", URL + "2"),
        ({"status": "paused"}, "paused_reason", "user"),
        ({"status": "active"}, "paused_reason", None),
    ):
        answer = await place.ask(person, "PATCH", f"/{made['id']}", json=change)
        assert answer.status_code == 200, answer.text
        assert answer.json()[field] == value
    assert (await place.ask(person, "DELETE", f"/{made['id']}")).status_code == 204
    assert (await place.ask(person, "GET", f"/{made['id']}")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": ""},
        {"url": 1},
        {"url": URL, "events": []},
        {"url": URL, "events": ["turn.begun"]},
        {"url": URL, "events": "turn.completed"},
        {"url": URL, "secret": "mine"},
        {"url": "https://hooks.example.org/" + "x" * 3000},
        {"url": "https://user:secret@hooks.example.org/"},
    ],
)
async def test_a_body_that_makes_no_hook_gets_400(place: Place, body: dict[str, object]) -> None:
    person = Person()
    error_of(await place.ask(person, "POST", "", json=body), 400, "mine", "xxxx")
    assert (await place.ask(person, "GET", "")).json()["data"] == []


async def test_a_change_that_changes_nothing_gets_400(place: Place) -> None:
    person = Person()
    hook = await place.hook(person, URL)
    for change in ({}, {"url": "https://"}, {"status": "gone"}, {"pending": 0}):
        error_of(await place.ask(person, "PATCH", f"/{hook['id']}", json=change), 400)
    error_of(await place.ask(person, "PATCH", f"/{UNKNOWN}", json={"events": None}), 404)


async def test_of_many_at_once_no_more_are_made_than_may_be(
    running_app: AppMaker, client: httpx.AsyncClient
) -> None:
    person = Person()
    async with running_app(webhooks_max=3) as running:
        answers = await asyncio.gather(
            *(
                running.client.post(
                    f"/api/{person.user_id}/webhooks", json={"url": URL}, headers=person.headers
                )
                for _ in range(8)
            )
        )
        refused = [answer for answer in answers if answer.status_code != 201]
        assert len(refused) == 5
        for answer in refused:
            assert error_of(answer, 409)["error_code"] == "too_many_webhooks"


async def test_pages_of_hooks_and_deliveries_join(place: Place) -> None:
    person = Person()
    made = [(await place.hook(person, URL))["id"] for _ in range(3)]
    for title in ("one", "two", "three"):
        await place.task(person, "POST", title=title)
    for path, count in (("", 3), (f"/{made[0]}/deliveries", 3)):
        ids: list[str] = []
        after = None
        while len(ids) < count:
            query = {"limit": "2"} | ({"after": after} if after else {})
            page = (await place.ask(person, "GET", path, params=query)).json()
            ids += [one["id"] for one in page["data"]]
            after = page["next_cursor"]
            assert page["has_more"] == (len(ids) < count)
        assert len(set(ids)) == count
        assert ids == sorted(ids, reverse=True)


async def test_a_strangers_hook_is_not_there(place: Place) -> None:
    person, stranger = Person(), Person()
    hook = await place.hook(person, URL)
    await place.task(person, "POST", title="one")
    [delivery] = await place.deliveries(person, hook)
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"status": "paused"}),
        ("DELETE", "", None),
        ("POST", "/secret", None),
        ("GET", "/deliveries", None),
        ("POST", f"/deliveries/{delivery['id']}/replay", None),
    ):
        answer = await place.ask(stranger, method, f"/{hook['id']}{path}", json=body)
        error_of(answer, 404)
    assert (await place.shown(person, hook))["status"] == "active"


async def test_what_waits_goes_with_its_hook(place: Place, receiver: Receiver) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url)
    await place.task(person, "POST", title="one")
    await place.ask(person, "DELETE", f"/{hook['id']}")
    await place.send()
    assert receiver.got == []


async def test_a_paused_hook_is_sent_nothing_until_it_is_active_again(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url)
    await place.ask(person, "PATCH", f"/{hook['id']}", json={"status": "paused"})
    await place.task(person, "POST", title="one")
    await place.send()
    assert receiver.got == []
    await place.ask(person, "PATCH", f"/{hook['id']}", json={"status": "active"})
    await place.send()
    assert receiver.types == ["task.created"]


async def test_with_too_much_waiting_a_hook_is_paused_and_notes_no_more(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url)
    few = place.settings.model_copy(update={"webhook_pending_max": 2})
    for title in ("one", "two"):
        await place.task(person, "POST", title=title)
    await do_chores(place.database, few)
    assert (await place.shown(person, hook))["status"] == "active"
    await place.task(person, "POST", title="three")
    await do_chores(place.database, few)
    await place.task(person, "POST", title="four")
    shown = await place.shown(person, hook)
    assert (shown["paused_reason"], shown["pending"]) == ("backlog", 3)
    await place.ask(person, "PATCH", f"/{hook['id']}", json={"status": "active"})
    await place.task(person, "POST", title="five")
    await place.send()
    assert [one.json()["data"]["task_id"] for one in receiver.got] == [1, 2, 3, 5]


async def test_what_is_over_is_forgotten_after_its_time_and_nothing_else(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url)
    for title in ("one", "two", "three", "four"):
        await place.task(person, "POST", title=title)
    for task, status, hours in (
        (1, "delivered", 73),
        (2, "delivered", 71),
        (3, "dead", 73),
    ):
        await place.sql(
            "UPDATE webhook_deliveries SET status = :status,"
            " finished_at = now() - make_interval(hours => :hours)"
            " WHERE webhook_id = :hook AND CAST(data AS json) ->> 'task_id' = :task",
            status=status,
            hours=hours,
            hook=hook["id"],
            task=str(task),
        )
    await do_chores(place.database, place.settings)
    left = await place.deliveries(person, hook)
    assert [one["task_id"] for one in left] == [4, 3, 2]
    await place.ask(person, "DELETE", f"/{hook['id']}")


async def test_nobody_is_told_what_an_import_brings(place: Place, receiver: Receiver) -> None:
    person, other = Person(), Person()
    await person.say(place.client, "Add task: Buy milk")
    exported = await place.client.get(
        f"/api/{person.user_id}/export", params={"format": "jsonl"}, headers=person.headers
    )
    hook = await place.hook(other, receiver.url)
    brought = await place.client.post(
        f"/api/{other.user_id}/import",
        content=exported.content,
        headers=other.headers | {"Content-Type": "application/x-ndjson"},
    )
    assert brought.status_code in (200, 201), brought.text
    assert await place.deliveries(other, hook) == []


async def test_whoever_deletes_all_they_have_has_no_hook_and_nothing_waiting(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    await place.hook(person, receiver.url)
    await place.task(person, "POST", title="one")
    gone = await place.client.delete(f"/api/{person.user_id}", headers=person.headers)
    assert gone.status_code in (200, 204), gone.text
    for table in ("webhooks", "webhook_deliveries"):
        rows = await place.sql(
            f"SELECT count(*) FROM {table} WHERE user_id = :owner", owner=person.user_id
        )
        assert rows[0][0] == 0
