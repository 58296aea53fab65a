"""What tests of searching have in common: things to find, and looking for them."""

from typing import Any

import httpx
from sqlalchemy import text
from tests.factories import Person

from taskchat.moments import new_id
from taskchat.postgres.database import Database


async def searched(client: httpx.AsyncClient, person: Person, q: str, **more: Any) -> Any:
    """The page that a search answers."""
    answer = await client.get(
        f"/api/{person.user_id}/search", params={"q": q, **more}, headers=person.headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def joined(hit: dict[str, Any]) -> str:
    return "".join(part["text"] for part in hit["excerpt"])


def marked(hit: dict[str, Any]) -> list[str]:
    return [part["text"] for part in hit["excerpt"] if part["match"]]


async def found(client: httpx.AsyncClient, person: Person, q: str, **more: Any) -> list[str]:
    """What a search finds, as texts."""
    return [joined(hit) for hit in (await searched(client, person, q, **more))["data"]]


async def wrote(database: Database, person: Person, *messages: str) -> None:
    """A conversation of these messages, the oldest first."""
    conversation = new_id()
    async with database.transaction(person.principal) as connection:
        values: dict[str, Any] = {"owner": person.user_id, "conversation": conversation}
        await connection.execute(
            text("INSERT INTO conversations (user_id, id) VALUES (:owner, :conversation)"), values
        )
        for number, message in enumerate(messages, 1):
            values |= {"turn": new_id(), "number": number, "id": new_id(), "content": message}
            await connection.execute(
                text(
                    "INSERT INTO turns (user_id, id, conversation_id, number, channel, status)"
                    " VALUES (:owner, :turn, :conversation, :number, 'rest', 'completed')"
                ),
                values,
            )
            await connection.execute(
                text(
                    "INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number,"
                    " position, role, content, created_at) VALUES (:owner, :id, :conversation,"
                    " :turn, :number, 0, 'user', :content, clock_timestamp())"
                ),
                values,
            )
