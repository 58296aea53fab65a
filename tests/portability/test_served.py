"""The same behind the real server: sockets, bodies that are larger than others, broken ones."""

import asyncio

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.live.served import PATIENCE_S, served, socket
from tests.portability.data import exported, file_of, imported, task_line
from tests.portability.test_export import many_messages

from taskchat.errors import DatabaseError
from taskchat.portability import patience


async def test_an_import_may_be_larger_than_any_other_body(running_app: AppMaker) -> None:
    person = Person()
    lines = file_of(*(task_line(n, description="x" * 2000) for n in range(1, 200)))
    async with running_app(body_bytes_max=1024) as running, served(running) as url:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            assert (await imported(client, person, lines))["tasks"]["added"] == 199
            before = await exported(client, person)
            assert [line["id"] for line in before if line["type"] == "task"] == [*range(1, 200)]


async def test_a_client_sees_that_a_broken_export_is_not_whole(
    offline_app: RunningApp, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await many_messages(superuser, 1, 150)
    monkeypatch.setattr(patience, "WAIT_S", 0)

    async def away(*_: object, **__: object) -> None:
        raise DatabaseError

    monkeypatch.setattr("taskchat.portability.store.find.tasks_after", away)
    async with served(offline_app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            for form in ("json", "jsonl", "markdown"):
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get(
                        f"/api/{person.user_id}/export",
                        params={"format": form},
                        headers=person.headers,
                    )


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_users_sockets_are_told_on_whatever_process(
    running_app: AppMaker, elsewhere: bool
) -> None:
    person, other = Person(), Person()
    async with running_app() as one, running_app() as two, served(one) as url:
        await asyncio.wait_for(one.listener.listening.wait(), PATIENCE_S)
        async with socket(url, person) as new, socket(url, person) as busy:
            async with socket(url, other) as others:
                for each in (new, busy, others):
                    await each.next()
                await busy.send("message", content="Add task: A")
                await busy.until("turn_completed")
                answer = await (two if elsewhere else one).client.delete(
                    f"/api/{person.user_id}", headers=person.headers
                )
                assert answer.status_code == 204
                assert (await new.closed())[0] == (await busy.closed())[0] == 4004
                await others.send("ping")
                assert (await others.next())["type"] == "pong"
        async with socket(url, person) as again:
            assert (await again.next())["type"] == "connection"
            await again.send("message", content="Add task: B")
            await again.until("turn_completed")


async def test_a_stream_of_a_turn_that_is_deleted_ends(
    running_app: AppMaker,
) -> None:
    """Where nobody tells of its end, the log is asked again after a silence."""
    person = Person()
    async with running_app(offline_manner="delay=60", sse_ping_s=0.05) as one:
        async with asyncio.timeout(PATIENCE_S):
            stream = asyncio.create_task(
                one.client.post(
                    person.chat_path,
                    json={"message": "Add task: Never"},
                    headers=person.headers | {"Accept": "text/event-stream"},
                )
            )
            while not one.live.feed._tails:
                await asyncio.sleep(0.01)
            async with one.live.database.transaction(person.principal) as connection:
                await connection.fetch("DELETE FROM conversations")
            told = await stream
        one.turns.jobs.hurry()
    assert told.text.rstrip().count("event: error") == 1
    assert "not_found" in told.text
