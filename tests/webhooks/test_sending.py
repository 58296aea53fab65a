"""What becomes true is told: signed, in order, at least once, and to nobody whom it is not for."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from tests.conftest import AppMaker
from tests.factories import Person
from tests.webhooks.conftest import Place
from tests.webhooks.receiver import Got, Receiver, is_signed, receiving, status

from taskchat.settings.webhook_secrets import read_secret
from taskchat.webhooks.signing import signed_headers

OPERATORS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


# --- what is sent ---


async def test_a_turn_that_ends_is_told_by_its_ids_and_no_word_of_it(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["turn.completed"])
    turn = (await person.say(place.client, "Add task: Buy a secret")).json()
    await place.send()
    [one] = receiver.got
    assert one.path == "/hook"
    assert one.headers["content-type"] == "application/json"
    body = one.json()
    told_at = datetime.fromisoformat(body.pop("timestamp"))
    assert abs((datetime.now(UTC) - told_at).total_seconds()) < 60
    assert body == {
        "type": "turn.completed",
        "data": {
            "user_id": person.user_id,
            "conversation_id": turn["conversation_id"],
            "turn_id": turn["turn_id"],
            "turn_number": 1,
            "status": "completed",
        },
    }
    assert b"secret" not in one.body
    [delivery] = await place.deliveries(person, hook)
    assert (delivery["id"], delivery["status"], delivery["attempts"]) == (one.id, "delivered", 1)
    assert delivery["turn_id"] == turn["turn_id"]


async def test_tasks_are_told_whichever_way_they_change(place: Place, receiver: Receiver) -> None:
    person = Person()
    await place.hook(
        person,
        receiver.url,
        events=["task.created", "task.updated", "task.completed", "task.deleted"],
    )
    await place.task(person, "POST", title="Secret one")
    await person.say(place.client, "Add task: Secret two")
    await place.task(person, "PATCH", "/1", title="Secret still")
    await place.task(person, "PATCH", "/1", completed=True)
    await place.task(person, "PATCH", "/1", completed=True)
    await place.task(person, "PATCH", "/1", completed=False)
    await place.task(person, "DELETE", "/1")
    missing = await place.client.delete(f"/api/{person.user_id}/tasks/9", headers=person.headers)
    assert missing.status_code == 404
    await place.send()
    assert [(one.json()["type"], one.json()["data"]["task_id"]) for one in receiver.got] == [
        ("task.created", 1),
        ("task.created", 2),
        ("task.updated", 1),
        ("task.completed", 1),
        ("task.updated", 1),
        ("task.updated", 1),
        ("task.deleted", 1),
    ]
    assert [one.json()["data"]["completed"] for one in receiver.got] == [
        *(False, False, False, True, True, False, None)
    ]
    assert not any(b"ecret" in one.body for one in receiver.got)


async def test_a_turn_that_is_cancelled_is_told(place: Place, receiver: Receiver) -> None:
    person = Person()
    await place.hook(person, receiver.url)
    turn = (await person.say(place.client, "Hello")).json()
    # As one that waits: the offline model is too quick to be stopped.
    await place.sql("UPDATE turns SET status = 'queued' WHERE id = :id", id=turn["turn_id"])
    answer = await place.client.post(
        f"/api/{person.user_id}/turns/{turn['turn_id']}/cancel", headers=person.headers
    )
    assert answer.status_code == 200
    await place.send()
    assert receiver.types == ["turn.completed", "turn.cancelled"]
    assert receiver.got[1].json()["data"]["status"] == "cancelled"


async def test_a_turn_that_waits_for_its_user_is_told_and_its_end_when_it_has_one(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    for title in ("one", "two"):
        await place.task(person, "POST", title=title)
    await place.hook(person, receiver.url)
    asked = (await person.say(place.client, "Delete tasks 1 and 2")).json()
    await place.send()
    [waits] = receiver.got
    assert waits.json()["type"] == "turn.awaiting_feedback"
    assert waits.json()["data"]["turn_id"] == asked["turn_id"]
    assert waits.json()["data"]["status"] == "awaiting_feedback"
    cancelled = await place.client.post(
        f"/api/{person.user_id}/turns/{asked['turn_id']}/cancel", headers=person.headers
    )
    assert cancelled.status_code == 200
    await place.send()
    assert receiver.types == ["turn.awaiting_feedback", "turn.cancelled"]


async def test_a_turn_that_fails_is_told(place: Place, receiver: Receiver) -> None:
    person = Person()
    await place.hook(person, receiver.url)
    answer = await place.client.post(
        person.chat_path,
        json={"message": "Hello"},
        headers=person.headers | {"Offline-Model": "fail=error"},
    )
    assert answer.status_code == 502
    await place.send()
    assert receiver.types == ["turn.failed"]


async def test_what_nobody_asks_for_is_not_even_noted(place: Place, receiver: Receiver) -> None:
    person, hookless = Person(), Person()
    await place.hook(person, receiver.url, events=["task.deleted"])
    for one in (person, hookless):
        await one.say(place.client, "Add task: Buy milk")
    rows = await place.sql(
        "SELECT count(*) FROM webhook_deliveries WHERE user_id IN (:one, :other)",
        one=person.user_id,
        other=hookless.user_id,
    )
    assert rows[0][0] == 0


async def test_a_hook_is_told_of_nobody_elses_events(place: Place, receiver: Receiver) -> None:
    person, stranger = Person(), Person()
    await place.hook(person, receiver.url)
    await stranger.say(place.client, "Add task: Buy milk")
    await person.say(place.client, "Hello")
    await place.send()
    assert {one.json()["data"]["user_id"] for one in receiver.got} == {person.user_id}


async def test_what_is_rolled_back_is_never_told(place: Place, receiver: Receiver) -> None:
    person = Person()
    await place.hook(person, receiver.url)
    connection = place.database.transaction(person.principal)
    opened = await connection.__aenter__()
    await opened.fetch("SELECT task_add_1($1, 'x', '')", person.user_id)
    undone = RuntimeError()
    assert not await connection.__aexit__(RuntimeError, undone, None)
    await place.send()
    assert receiver.got == []


# --- signatures ---


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
        [read_secret(OPERATORS)],
    )
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_receiver_can_tell_what_is_genuine(place: Place, receiver: Receiver) -> None:
    person = Person()
    secret = (await place.hook(person, receiver.url))["secret"]
    other = (await place.hook(person, receiver.url, events=["task.deleted"]))["secret"]
    await person.say(place.client, "Hello")
    await place.send()
    [one] = receiver.got
    assert is_signed(one, secret, now=time.time())
    assert not is_signed(one, other, now=time.time())
    assert not is_signed(one, secret, now=time.time() + 3600)
    changed = Got(one.path, one.headers, one.body.replace(b"completed", b"cancelled"))
    assert not is_signed(changed, secret, now=time.time())


async def test_after_a_rotation_both_secrets_sign_until_the_old_one_ends(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    answer = await place.ask(person, "POST", f"/{hook['id']}/secret")
    new = answer.json()["secret"]
    assert new != hook["secret"]
    await place.task(person, "POST", title="one")
    await place.send()
    await place.sql(
        "UPDATE webhooks SET previous_until = now() WHERE user_id = :owner", owner=person.user_id
    )
    await place.task(person, "POST", title="two")
    await place.send()
    assert [
        [is_signed(one, secret, now=time.time()) for secret in (hook["secret"], new)]
        for one in receiver.got
    ] == [[True, True], [False, True]]
    shown = await place.ask(person, "GET", "")
    assert "whsec_" not in shown.text


# --- order ---


async def test_a_conversation_is_told_in_order_even_if_an_attempt_fails(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    await place.hook(person, receiver.url, events=["turn.completed"])
    first = (await person.say(place.client, "Hello")).json()
    for _ in range(3):
        await person.say(place.client, "Hello", conversation_id=first["conversation_id"])
    await person.say(place.client, "Hello")
    failed: list[str] = []

    async def fails_once(one: Got) -> bytes:
        if one.json()["data"]["conversation_id"] == first["conversation_id"] and not failed:
            failed.append(one.id)
            return status(500)
        return status(200)

    receiver.answering = fails_once
    await place.send()
    # The other conversation did not wait for this one.
    assert len(receiver.got) == 2
    await place.retry_now(person)
    await place.send()
    told = [
        one.json()["data"]["turn_number"]
        for one in receiver.got
        if one.json()["data"]["conversation_id"] == first["conversation_id"]
    ]
    assert told == [1, 1, 2, 3, 4]
    assert receiver.got[2].id == failed[0]


async def test_of_one_lane_nothing_is_sent_while_its_first_is_under_way(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    await place.hook(person, receiver.url, events=["task.created"])
    for title in ("one", "two", "three"):
        await place.task(person, "POST", title=title)
    at_once = most = 0

    async def slowly(one: Got) -> bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(20):
            await asyncio.sleep(0)
        at_once -= 1
        return status(200)

    receiver.answering = slowly
    async with place.sender() as one, place.sender() as other:
        await asyncio.gather(one.work(), other.work())
        # Who looked while the first was under way found nothing to do.
        await asyncio.gather(one.work(), other.work())
    assert [got.json()["data"]["task_id"] for got in receiver.got] == [1, 2, 3]
    assert most == 1


async def test_a_slow_hook_leaves_room_for_others(place: Place, receiver: Receiver) -> None:
    person, other = Person(), Person()
    slow_until = asyncio.Event()

    async def slowly(one: Got) -> bytes:
        await slow_until.wait()
        return status(200)

    async with receiving() as slow:
        slow.answering = slowly
        await place.hook(person, slow.url, events=["turn.completed"])
        for _ in range(4):
            await person.say(place.client, "Hello")
        await place.hook(other, receiver.url, events=["turn.completed"])
        await other.say(place.client, "Hello")
        async with place.sender(webhook_concurrency=4, webhook_hook_concurrency=2) as sender:
            work = asyncio.create_task(sender.work())
            async with asyncio.timeout(10):
                while not receiver.got:
                    await asyncio.sleep(0.01)
            assert len(slow.got) <= 2
            slow_until.set()
            await work
        assert len(slow.got) in range(2, 5)


# --- failures ---


@pytest.mark.parametrize(
    "answer",
    [
        status(500),
        status(404),
        status(302, "Location: http://127.0.0.1:1/elsewhere"),
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_whatever_is_no_success_is_repeated_under_the_same_id(
    place: Place, receiver: Receiver, answer: bytes
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="one")
    receiver.answers = [answer]
    await place.send()
    [waiting] = await place.deliveries(person, hook)
    assert (waiting["status"], waiting["attempts"]) == ("pending", 1)
    assert waiting["last_error"]
    shown = await place.shown(person, hook)
    assert shown["failing_since"] is not None
    assert shown["pending"] == 1
    await place.send()
    assert len(receiver.got) == 1
    await place.retry_now(person)
    await place.send()
    assert receiver.got[0].id == receiver.got[1].id
    assert receiver.got[0].body == receiver.got[1].body
    assert (await place.shown(person, hook))["failing_since"] is None


async def test_a_redirect_leads_nowhere(place: Place, receiver: Receiver) -> None:
    person = Person()
    async with receiving() as other:
        hook = await place.hook(person, receiver.url, events=["task.created"])
        await place.task(person, "POST", title="one")
        receiver.answers = [status(307, f"Location: {other.url}")]
        await place.send()
        assert other.got == []
    [waiting] = await place.deliveries(person, hook)
    assert (waiting["last_status"], waiting["last_error"]) == (307, "status 307")


async def test_the_wait_doubles_up_to_its_limit_and_follows_retry_after(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="one")
    waits = []
    for answer in (*[status(500)] * 5, status(503, "Retry-After: 55")):
        receiver.answers = [answer]
        await place.retry_now(person)
        await place.send(webhook_retry_s=10, webhook_retry_max_s=60)
        [row] = await place.sql(
            "SELECT extract(epoch FROM next_at - now()) AS wait FROM webhook_deliveries"
            " WHERE webhook_id = :id",
            id=hook["id"],
        )
        waits.append(float(row.wait))
    for wait, most in zip(waits, (10, 20, 40, 60, 60, 60), strict=True):
        assert most / 2 - 2 < wait <= most
    assert waits[5] > 53


async def test_an_answer_that_never_ends_is_not_read_to_its_end(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="one")
    receiver.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100_000]
    await place.send()
    [sent] = await place.deliveries(person, hook)
    assert sent["status"] == "delivered"


async def test_an_answer_that_does_not_come_is_a_failure(place: Place, receiver: Receiver) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="one")
    over = asyncio.Event()

    async def never(one: Got) -> bytes:
        await over.wait()
        return status(200)

    receiver.answering = never
    await place.send(webhook_timeout_s=0.2)
    over.set()
    [waiting] = await place.deliveries(person, hook)
    assert (waiting["status"], waiting["last_error"]) == ("pending", "timeout")


async def test_if_no_request_can_leave_it_waits_and_says_why(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="one")
    monkeypatch.setenv("SSL_CERT_FILE", "/gone")
    await place.send()
    [waiting] = await place.deliveries(person, hook)
    assert waiting["status"] == "pending"
    assert waiting["last_error"].startswith("no request can leave with SSL_CERT_FILE")
    monkeypatch.delenv("SSL_CERT_FILE")
    await place.retry_now(person)
    await place.send()
    assert receiver.types == ["task.created"]


async def test_after_its_day_it_is_dead_and_can_be_replayed(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    for title in ("one", "two"):
        await place.task(person, "POST", title=title)
    receiver.answers = [status(500)]
    await place.sql(
        "UPDATE webhook_deliveries SET due_since = now() - interval '25 hours'"
        " WHERE webhook_id = :id AND data LIKE '%\"task_id\" : 1,%'",
        id=hook["id"],
    )
    await place.send()
    # What followed it went on.
    assert [one.json()["data"]["task_id"] for one in receiver.got] == [1, 2]
    [dead] = await place.deliveries(person, hook, status="dead")
    assert (dead["task_id"], dead["last_error"]) == (1, "status 500")
    assert dead["next_at"] is None
    again = await place.ask(person, "POST", f"/{hook['id']}/deliveries/{dead['id']}/replay")
    assert (again.status_code, again.json()["status"]) == (200, "pending")
    await place.send()
    assert receiver.got[2].id == dead["id"]
    assert await place.deliveries(person, hook, status="dead") == []


async def test_a_hook_that_nothing_gets_through_to_is_paused_and_keeps_what_waits(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="one")
    receiver.answers = [status(500), status(500)]
    await place.send()
    await place.sql(
        "UPDATE webhooks SET failing_since = now() - interval '25 hours' WHERE id = :id",
        id=hook["id"],
    )
    await place.retry_now(person)
    await place.send()
    shown = await place.shown(person, hook)
    assert (shown["status"], shown["paused_reason"]) == ("paused", "failing")
    assert shown["paused_at"] is not None
    await place.task(person, "POST", title="two")
    await place.retry_now(person)
    await place.send()
    assert len(receiver.got) == 2
    answer = await place.ask(person, "PATCH", f"/{hook['id']}", json={"status": "active"})
    assert (answer.json()["status"], answer.json()["pending"]) == ("active", 2)
    await place.send()
    assert [one.json()["data"]["task_id"] for one in receiver.got] == [1, 1, 1, 2]


async def test_a_receiver_that_is_gone_is_left_alone_at_once(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="one")
    receiver.answers = [status(410)]
    await place.send()
    shown = await place.shown(person, hook)
    assert (shown["paused_reason"], shown["pending"]) == ("gone", 1)


# --- the operator's ---


async def test_a_service_with_an_operators_hook_starts_while_the_database_is_away(
    running_app: AppMaker, receiver: Receiver
) -> None:
    away: dict[str, Any] = {
        "database_url": SecretStr("postgresql://127.0.0.1:1/none"),
        "webhook_url": receiver.url,
        "webhook_secret": SecretStr(OPERATORS),
    }
    async with running_app(**away) as running:
        ready = await running.client.get("/readyz")
    assert (ready.status_code, ready.json()["database"]) == (503, False)


async def test_the_operators_hook_is_told_of_all_users(place: Place, receiver: Receiver) -> None:
    person, other = Person(), Person()
    operators: dict[str, Any] = {
        "webhook_url": receiver.url,
        "webhook_secret": type(place.settings.jwt_secret)(OPERATORS),  # type: ignore[misc]
        # Whoever runs the service says where it is.
        "webhook_private_addresses": False,
    }
    try:
        async with place.sender(**operators) as sender:
            await sender.start()
            await person.say(place.client, "Add task: Buy milk")
            await other.say(place.client, "Hello")
            # Without the setting nobody sends it.
            await place.send()
            assert receiver.got == []
            await sender.work()
    finally:
        await place.sql("DELETE FROM operator_webhooks")
    told = sorted((one.json()["data"]["user_id"], one.json()["type"]) for one in receiver.got)
    assert told == sorted(
        [
            (person.user_id, "task.created"),
            (person.user_id, "turn.completed"),
            (other.user_id, "turn.completed"),
        ]
    )
    assert all(is_signed(one, OPERATORS, now=time.time()) for one in receiver.got)
    await person.say(place.client, "Hello")
    rows = await place.sql(
        "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND webhook_id IS NULL"
    )
    assert rows[0][0] == 0
