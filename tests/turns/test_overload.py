"""More turns than connections: they wait, and only a full line refuses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from agents.testing import ModelCall, ModelStep, ScriptedModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says

from taskchat.assistant.models.asking import NamedModel
from taskchat.postgres.line import Precedence

SYSTEM = Person("holder").principal


@contextlib.asynccontextmanager
async def connection_taken(running: RunningApp) -> AsyncIterator[None]:
    """The app's only connection is in use."""
    database = running.turns.database
    async with database.transaction(SYSTEM, Precedence.ACCEPTED):
        yield


async def stored_messages(superuser: AsyncEngine, *people: Person) -> int:
    async with superuser.connect() as connection:
        count = await connection.scalar(
            text("SELECT count(*) FROM messages WHERE user_id = ANY (:users) AND position = 0"),
            {"users": [person.user_id for person in people]},
        )
    return int(count or 0)


async def test_a_refused_message_is_not_stored_and_comes_through_when_it_was_told_to_return(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    people = [Person() for _ in range(3)]
    async with running_app(db_pool_size=1, db_line_max=2) as running:
        for person in people:
            assert (await person.say(running.client, "Add task: Warm up")).status_code == 200
        async with connection_taken(running):
            waiting = [
                asyncio.create_task(person.say(running.client, "Add task: Buy milk"))
                for person in people[:2]
            ]
            figures = ""
            while 'line_waiting{precedence="arriving"} 2.0' not in figures:
                await asyncio.sleep(0.01)
                figures = (await running.client.get("/metrics")).text
            refused = await people[2].say(running.client, "Add task: Buy milk", key="again")
            assert await stored_messages(superuser, *people) == 3
        assert [(await job).status_code for job in waiting] == [200, 200]
        assert refused.status_code == 503
        assert refused.json()["error_code"] == "overloaded"
        assert refused.json()["turn_id"] is None
        await asyncio.sleep(int(refused.headers["retry-after"]))
        again = await people[2].say(running.client, "Add task: Buy milk", key="again")
        assert again.status_code == 200
        assert "idempotent-replayed" not in again.headers
    assert await stored_messages(superuser, *people) == 6


async def test_an_accepted_turn_waits_for_a_connection_for_longer_than_its_time_limits(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def decide(_call: ModelCall) -> Any:
        asked.set()
        await let_go.wait()
        return [calls_tool("add_task", {"title": "Buy milk"})]

    model = ScriptedModel([ModelStep.respond(decide), says("Added.")])
    async with running_app(
        chain=[NamedModel("scripted", model)],
        db_pool_size=1,
        pool_timeout_s=0.1,
        # Of the transaction that holds the connection.
        statement_timeout_s=60,
        tool_timeout_s=5,
        run_timeout_s=5,
    ) as running:
        saying = asyncio.create_task(person.say(running.client, "Buy milk"))
        await asked.wait()
        async with connection_taken(running):
            let_go.set()
            # Longer than the run as a whole may take.
            await asyncio.sleep(6)
        answer = await saying
    assert answer.status_code == 200, answer.text
    assert [call["status"] for call in answer.json()["tool_calls"]] == ["completed"]
    assert len(model.calls) == 2
    async with superuser.connect() as connection:
        attempt = await connection.scalar(
            text("SELECT attempt FROM turns WHERE user_id = :user"), {"user": person.user_id}
        )
    assert attempt == 1


async def test_two_hundred_turns_at_once_share_two_connections(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    people = [Person() for _ in range(200)]
    async with running_app(db_pool_size=2, pool_timeout_s=5) as running:
        answers = await asyncio.gather(
            *(person.say(running.client, "Add task: Buy milk", timeout=600) for person in people)
        )
    assert {answer.status_code for answer in answers} == {200}
    async with superuser.connect() as connection:
        tasks = await connection.scalar(
            text("SELECT count(*) FROM tasks WHERE user_id = ANY (:users)"),
            {"users": [person.user_id for person in people]},
        )
    assert tasks == 200
