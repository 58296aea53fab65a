"""Who is killed between sending and noting has sent it; the next one sends the same again."""

import asyncio
import os
import sys

import pytest
from tests.conftest import MakeDatabase
from tests.factories import Person
from tests.webhooks.conftest import Place
from tests.webhooks.receiver import Got, Receiver, status
from tests.webhooks.storm import run, violations


async def test_killed_between_sending_and_noting_the_same_id_is_sent_again(
    place: Place, receiver: Receiver
) -> None:
    person = Person()
    hook = await place.hook(person, receiver.url, events=["task.created"])
    for title in ("one", "two"):
        await place.task(person, "POST", title=title)
    arrived, over = asyncio.Event(), asyncio.Event()

    async def never(one: Got) -> bytes:
        arrived.set()
        await over.wait()
        return status(200)

    receiver.answering = never
    assert place.settings.database_url is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.webhooks.sending_process"),
        env={
            **os.environ,
            "DATABASE_URL": place.settings.database_url.get_secret_value(),
            "WEBHOOK_TIMEOUT_S": "600",
        },
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        await arrived.wait()
    process.kill()
    await process.wait()
    over.set()
    receiver.answering = None
    # It is still the dead one's, and what follows it waits.
    await place.send()
    assert len(receiver.got) == 1
    await place.sql(
        "UPDATE webhook_deliveries SET leased_until = now() WHERE webhook_id = :id", id=hook["id"]
    )
    await place.send()
    assert [one.json()["data"]["task_id"] for one in receiver.got] == [1, 1, 2]
    assert receiver.got[0].id == receiver.got[1].id
    assert receiver.got[0].body == receiver.got[1].body


@pytest.mark.long
async def test_through_a_few_kills_nothing_is_lost_or_out_of_order(
    migrated_database: MakeDatabase,
) -> None:
    async with migrated_database() as url:
        storm, broken = await run(url, kills=6, places=2)
        got = storm.receiver.got
        assert broken == []
        assert storm.kills >= 6
        assert got
        # What is found is what is looked for.
        changed = Got(got[0].path, got[0].headers, b"another")
        assert await violations(url, [*got, changed])
        assert await violations(url, [one for one in got if one.id != got[0].id])
        assert await violations(url, got[::-1])
