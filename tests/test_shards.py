"""Whatever a user asks for, one shard answers: every statement names the owner.

What is not so is tested as well, as docs/scaling.md lists it.
"""

import asyncio
import re
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from unittest.mock import AsyncMock

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from tests.conftest import AppMaker, MakeDatabase, RunningApp
from tests.factories import LIMITED_FAR_OFF, Person
from tests.shards import looked_into, sharded

from taskchat.postgres.connect import open_engine

NOBODY_ELSE = {"webhook_interval_s": 1_000_000, "chore_interval_s": 1_000_000}
"""What looks at the rows of all users stays away."""


@pytest.fixture(scope="module")
async def shards(
    database_url: str, empty_database: MakeDatabase
) -> AsyncIterator[tuple[str, AsyncEngine]]:
    """A database in shards: its address, and a superuser's way in."""
    try:
        script = await asyncio.to_thread(sharded, database_url)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a pg_dump as new as the server is needed: {error.stderr}")
    async with empty_database() as url:
        engine = open_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            driven = (await connection.get_raw_connection()).driver_connection
            assert driven is not None
            await driven.execute(script)
        yield url, engine
        await engine.dispose()


async def looks(engine: AsyncEngine) -> Counter[str]:
    """As `looked_into`, once all that has been done is counted: when its sessions have ended."""
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    async with asyncio.timeout(30):
        while True:
            async with engine.connect() as connection:
                if not await connection.scalar(others):
                    return await looked_into(connection)
            await asyncio.sleep(0.02)


async def asks(running: RunningApp, person: Person) -> None:
    """What a user may ask for, turns first."""
    client = running.client

    async def ask(method: str, path: str, **options: object) -> httpx.Response:
        answer = await client.request(
            method,
            f"/api/{person.user_id}{path}",
            headers=person.headers,
            **options,  # type: ignore[arg-type]
        )
        assert answer.status_code < 300, (method, path, answer.text)
        return answer

    first = (await person.say(client, "Add task: Buy groceries", key="one")).json()
    conversation = first["conversation_id"]
    for key in ("two", "two"):
        again = await person.say(client, "Show my tasks", conversation_id=conversation, key=key)
        assert again.status_code == 200, again.text
    [message, *_] = [one for one in again.json()["messages"] if one["role"] == "assistant"]
    await ask("POST", f"/messages/{message['id']}/regenerate")
    turn = again.json()["turn_id"]
    for path in (
        "/conversations",
        f"/conversations/{conversation}/messages",
        f"/turns/{turn}",
        f"/turns/{turn}/events",
        "/tasks",
        "/usage",
        "/export",
    ):
        await ask("GET", path)
    await ask("PATCH", f"/conversations/{conversation}", json={"title": "Errands"})
    await ask("POST", "/tasks", json={"title": "Water the plants"})
    await ask("DELETE", f"/conversations/{conversation}")


async def looked_at(
    running_app: AppMaker,
    shards: tuple[str, AsyncEngine],
    asks: Callable[[RunningApp, Person], Awaitable[None]],
) -> tuple[set[str], set[str]]:
    """The tables that are looked into for a user in their own shard, and in any other."""
    url, engine = shards
    person = Person()

    async def served(*, asked: bool) -> Counter[str]:
        settings = {**LIMITED_FAR_OFF, **NOBODY_ELSE, "database_url": SecretStr(url)}
        async with running_app(**settings) as running:
            if asked:
                await asks(running, person)
        return await looks(engine)

    made = await looks(engine)
    # A process does so much by itself: at its end it gives back its turns, whosesoever they are.
    idle = await served(asked=False)
    busy = await served(asked=True)
    async with engine.connect() as connection:
        mine = await connection.scalar(
            text("SELECT tableoid::regclass::text FROM users WHERE id = :id"),
            {"id": person.user_id},
        )
    shard = mine.removeprefix("users")
    looked = [name for name in busy if busy[name] - idle[name] != idle[name] - made[name]]
    return (
        {name.removesuffix(shard) for name in looked if name.endswith(shard)},
        {name.partition("_shard")[0] for name in looked if not name.endswith(shard)},
    )


@pytest.fixture(autouse=True)
def _no_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is rehearsed when a process starts is the turn of nobody, in whichever shard."""
    monkeypatch.setattr("taskchat.app.rehearse", AsyncMock())


async def test_what_a_user_asks_for_is_answered_by_their_shard_alone(
    running_app: AppMaker, shards: tuple[str, AsyncEngine]
) -> None:
    own, others = await looked_at(running_app, shards, asks)
    assert own >= {"conversations", "messages", "model_calls", "tasks", "turn_events", "turns"}
    assert others == set()


async def test_a_search_names_its_user_by_a_policy_alone(
    running_app: AppMaker, shards: tuple[str, AsyncEngine]
) -> None:
    async def search(running: RunningApp, person: Person) -> None:
        said = await person.say(running.client, "Hello")
        found = await running.client.get(
            f"/api/{person.user_id}/search?q=hello", headers=person.headers
        )
        assert (said.status_code, found.status_code) == (200, 200)

    _, others = await looked_at(running_app, shards, search)
    assert others == {"messages"}


CHANGE = re.compile(r"\bUPDATE\s+(?:\w+\s+(?:AS\s+\w+\s+)?)?SET\b(.*)", re.DOTALL)
FUNCTIONS = (
    "SELECT proname, pg_get_functiondef(oid) FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS"
    " (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
)


async def test_only_a_limit_changes_rows_by_what_is_volatile(superuser: AsyncEngine) -> None:
    async with superuser.connect() as connection:
        volatile = set(
            await connection.scalars(
                text("SELECT proname FROM pg_proc GROUP BY 1 HAVING bool_or(provolatile = 'v')")
            )
        )
        functions = (await connection.execute(text(FUNCTIONS))).all()
    found = {
        (name, called)
        for name, source in functions
        for statement in re.sub(r"--.*", "", source).split(";")
        for change in CHANGE.findall(statement)
        for called in re.findall(r"\b(\w+)\(", change)
        if called in volatile
    }
    assert found == {("spend_1", "clock_timestamp")}
