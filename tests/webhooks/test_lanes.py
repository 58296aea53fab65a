"""Of a lane one row is the first: it is found at once, and there always is one."""

import asyncio
import json
from typing import Any

from sqlalchemy import text
from tests.factories import Person
from tests.house import do_chores
from tests.webhooks.conftest import Place
from tests.webhooks.receiver import Got, Receiver, status
from tests.webhooks.test_sending import OPERATORS

from taskchat.postgres.database import Connection
from taskchat.webhooks.sending import FOLLOWING_MAX
from taskchat.webhooks.store import lanes, queue
from taskchat.webhooks.store.queue import Held

MANY = 4000
WAITS = (
    "INSERT INTO webhook_deliveries (user_id, id, webhook_id, lane, event, data)"
    " SELECT :owner, gen_random_uuid(), CAST(:hook AS uuid), CAST(:hook AS text) || {lane},"
    " 'task.created', '{{}}' FROM generate_series(1, :many) AS n"
)


async def look(place: Place) -> int:
    """How many pages a look for what is due reads, once all is placed."""
    async with place.database.spare_transaction() as connection:
        for _ in range(2 * MANY // lanes.PLACED_MAX + 1):
            await lanes.place(connection)
    async with place.engine.connect() as connection:
        explained = await connection.execute(
            text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {queue._CLAIM.text}"),
            {"rows_max": 4, "lease_s": 60, "hook_max": 4, "for_operator": True},
        )
        plan: dict[str, Any] = explained.scalar_one()[0]["Plan"]
        assert plan["Actual Rows"] >= 1, json.dumps(plan)
        return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


async def test_however_much_waits_a_look_reads_no_more(place: Place, receiver: Receiver) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    paused = await place.hook(person, receiver.url, events=["task.created"])
    await place.ask(person, "PATCH", f"/{paused['id']}", json={"status": "paused"})
    for title in ("one", "two"):
        await place.task(person, "POST", title=title)
    few = await look(place)
    values = {"owner": person.user_id, "many": MANY}
    await place.sql(WAITS.format(lane="' ' || n % 2"), hook=hook["id"], **values)
    await place.sql(WAITS.format(lane="' ' || n"), hook=paused["id"], **values)
    many = await look(place)
    await place.ask(person, "DELETE", f"/{hook['id']}")
    await place.ask(person, "DELETE", f"/{paused['id']}")
    assert many < few + 200


async def test_a_long_lane_lets_others_in(place: Place, receiver: Receiver) -> None:
    person, other = Person(), Person()
    await place.hook(person, receiver.url, events=["task.created"])
    await place.hook(other, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="oldest")
    await place.task(other, "POST", title="older")
    for number in range(FOLLOWING_MAX + 2):
        await place.task(person, "POST", title=str(number))
    await place.send(webhook_concurrency=1)
    told = [one.json()["data"]["user_id"] for one in receiver.got]
    assert told.index(other.user_id) == FOLLOWING_MAX + 1
    assert len(told) == FOLLOWING_MAX + 4


async def test_who_stops_lets_go_of_what_follows(place: Place, receiver: Receiver) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    for title in ("one", "two"):
        await place.task(person, "POST", title=title)
    second, over = asyncio.Event(), asyncio.Event()

    async def takes_one(one: Got) -> bytes:
        if one.json()["data"]["task_id"] == 2:
            second.set()
            await over.wait()
        return status(200)

    receiver.answering = takes_one
    async with asyncio.timeout(30), place.sender() as sender:
        work = asyncio.create_task(sender.work())
        await second.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    over.set()
    [row] = await place.sql(
        "SELECT attempts, lease, leased_until, is_first FROM webhook_deliveries"
        " WHERE webhook_id = :id AND status = 'pending'",
        id=hook["id"],
    )
    assert tuple(row) == (0, None, None, True)


async def held_of(connection: Connection, hook: dict[str, Any]) -> Held:
    held = await queue.claim(connection, rows_max=9, lease_s=60, hook_max=9, for_operator=False)
    [mine] = [one for one in held if str(one.hook) == hook["id"]]
    return mine


async def test_what_is_noted_while_the_last_of_its_lane_is_finished_is_not_left_behind(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="one")
    async with place.database.spare_transaction() as connection:
        held = await held_of(connection, hook)

    async def look() -> Held:
        async with place.database.spare_transaction() as connection:
            return await held_of(connection, hook)

    async with asyncio.timeout(30):
        async with place.database.transaction(held.principal) as connection:
            await connection.fetch(
                "SELECT * FROM webhook_sent_1($1, $2, $3, $4, 200, $5, 60, true)",
                *(person.user_id, held.id, held.lease, held.hook, lanes.ORDER),
            )
            # Who finished the first saw nothing that follows, and has not said yet that it is over.
            await place.task(person, "POST", title="two")
            looking = asyncio.create_task(look())
            while not await place.sql(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ):
                await asyncio.sleep(0.01)
        assert (await looking).id != held.id
    await place.ask(person, "DELETE", f"/{hook['id']}")


async def test_what_is_replayed_comes_after_what_is_being_tried(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    await place.task(person, "POST", title="one")
    await place.send()
    [first] = await place.deliveries(person, hook)
    for title in ("two", "three"):
        await place.task(person, "POST", title=title)
    receiver.answers = [status(500)]
    await place.send()
    again = await place.ask(person, "POST", f"/{hook['id']}/deliveries/{first['id']}/replay")
    assert again.json()["status"] == "pending"
    await place.send()
    assert len(receiver.got) == 2
    await place.retry_now(person)
    await place.send()
    assert [one.json()["data"]["task_id"] for one in receiver.got] == [1, 2, 2, 1, 3]


async def test_of_a_paused_hook_nothing_is_first(place: Place, receiver: Receiver) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url)

    async def firsts() -> int:
        async with place.database.spare_transaction() as connection:
            await lanes.place(connection)
        [row] = await place.sql(
            "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = :id AND is_first",
            id=hook["id"],
        )
        return int(row[0])

    await place.task(person, "POST", title="one")
    await person.say(place.client, "Hello")
    assert await firsts() == 2
    await place.ask(person, "PATCH", f"/{hook['id']}", json={"status": "paused"})
    assert await firsts() == 0
    await place.ask(person, "PATCH", f"/{hook['id']}", json={"status": "active"})
    assert await firsts() == 2
    await do_chores(place.database, place.settings.model_copy(update={"webhook_pending_max": 1}))
    assert (await place.shown(person, hook))["paused_reason"] == "backlog"
    assert await firsts() == 0
    await place.ask(person, "PATCH", f"/{hook['id']}", json={"status": "active"})
    receiver.answers = [status(410), status(410)]
    await place.send()
    assert (await place.shown(person, hook))["paused_reason"] == "gone"
    assert await firsts() == 0


async def test_an_operators_hook_that_comes_back_is_sent_what_is_left(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    operators: dict[str, Any] = {
        "webhook_url": receiver.url,
        "webhook_secret": type(place.settings.jwt_secret)(OPERATORS),  # type: ignore[misc]
    }
    try:
        async with place.sender(**operators) as sender:
            await sender.start()
            for title in ("one", "two", "three"):
                await place.task(person, "POST", title=title)
            await place.send()
            # As if nobody had had the setting for long, and the chore were half through.
            await place.sql("UPDATE operator_webhooks SET wanted_until = now() - interval '1 hour'")
            await place.sql(
                "DELETE FROM webhook_deliveries WHERE user_id = :owner AND is_first",
                owner=person.user_id,
            )
            await sender.start()
            async with asyncio.timeout(30):
                await sender.work()
    finally:
        await place.sql("DELETE FROM operator_webhooks")
    assert [one.json()["data"]["task_id"] for one in receiver.got] == [2, 3]
