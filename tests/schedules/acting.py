"""What tests of schedules do: make one, let its time come, and look at what it has said."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import RunningApp
from tests.factories import Person

from taskchat.schedules.saying import Speaker


async def make(running: RunningApp, person: Person, **fields: Any) -> httpx.Response:
    """POST a schedule; one that says hello every day unless told otherwise."""
    if "at" not in fields:
        # Far from now, whatever the time is: what is due is due because a test says so.
        fields = {"rule": f"FREQ=DAILY;BYHOUR={(datetime.now(UTC).hour + 12) % 24}"} | fields
    return await running.client.post(
        f"/api/{person.user_id}/schedules",
        json={"message": "Add task: Water the plants"} | fields,
        headers=person.headers,
    )


async def made(running: RunningApp, person: Person, **fields: Any) -> str:
    """The id of a new schedule."""
    answer = await make(running, person, **fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def ask(
    running: RunningApp, person: Person, id_: str, method: str = "GET", **fields: Any
) -> httpx.Response:
    """Anything about one schedule."""
    return await running.client.request(
        method,
        f"/api/{person.user_id}/schedules/{id_}",
        headers=person.headers,
        json=fields if method == "PATCH" else None,
    )


async def read(running: RunningApp, person: Person, id_: str) -> dict[str, Any]:
    """One schedule."""
    answer = await ask(running, person, id_)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def let_come(superuser: AsyncEngine, id_: str, *, ago_s: float = 1) -> None:
    """Let the next time of a schedule have come so long ago."""
    async with superuser.begin() as connection:
        done = await connection.execute(
            text(
                "UPDATE schedules SET next_at = date_trunc('second', now())"
                " - make_interval(secs => :ago_s), try_at = now() WHERE id = :id"
            ),
            {"id": UUID(id_), "ago_s": ago_s},
        )
        assert done.rowcount == 1


async def let_try(superuser: AsyncEngine, id_: str) -> None:
    """Let a schedule be looked at again."""
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE schedules SET try_at = now() WHERE id = :id"), {"id": UUID(id_)}
        )


async def say_due(running: RunningApp) -> None:
    """Say what is due, as the app does every few seconds; and see the turns through."""
    await Speaker(running.turns).say_due()


async def turns_of(superuser: AsyncEngine, person: Person) -> list[Any]:
    """The turns of a person, in order, with their messages."""
    async with superuser.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT t.id, t.conversation_id, t.channel, t.status, t.circumstances, m.content"
                " FROM turns AS t JOIN messages AS m ON m.user_id = t.user_id"
                " AND m.turn_id = t.id AND m.position = 0 WHERE t.user_id = :owner ORDER BY t.id"
            ),
            {"owner": person.user_id},
        )
        return list(rows)
