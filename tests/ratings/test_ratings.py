"""What a user thinks of a reply: kept with it, changed, taken back."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.factories import Person

from taskchat.ratings import repository

UNKNOWN = "0199f3a0-0000-7000-8000-000000000000"


async def said(client: httpx.AsyncClient, person: Person) -> dict[str, Any]:
    return dict((await person.say(client, "Add task: Tea")).json())


async def rate(
    client: httpx.AsyncClient, person: Person, message_id: str, **fields: Any
) -> httpx.Response:
    return await client.put(
        f"/api/{person.user_id}/messages/{message_id}/rating", json=fields, headers=person.headers
    )


async def shown(client: httpx.AsyncClient, person: Person, conversation: str) -> list[Any]:
    page = await client.get(
        f"/api/{person.user_id}/conversations/{conversation}/messages", headers=person.headers
    )
    return [message["rating"] for message in page.json()["data"]]


async def test_a_reply_is_rated_and_the_newest_word_counts(client: httpx.AsyncClient) -> None:
    person = Person()
    answer = await said(client, person)
    reply, talk = answer["messages"][1]["id"], answer["conversation_id"]
    assert await shown(client, person, talk) == [None, None]
    first = await rate(client, person, reply, value="up", comment="  Just what I meant. ")
    assert first.status_code == 200, first.text
    assert first.json()["comment"] == "Just what I meant."
    assert await shown(client, person, talk) == [None, first.json()]
    same = await rate(client, person, reply, value="up", comment="Just what I meant.")
    assert same.json() == first.json(), "the same again is no news"
    changed = await rate(client, person, reply, value="down")
    assert (changed.json()["value"], changed.json()["comment"]) == ("down", None)
    assert changed.json()["rated_at"] > first.json()["rated_at"]
    assert await shown(client, person, talk) == [None, changed.json()]
    path = f"/api/{person.user_id}/messages/{reply}/rating"
    for _ in range(2):
        gone = await client.delete(path, headers=person.headers)
        assert gone.status_code == 204
    assert await shown(client, person, talk) == [None, None]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"value": "good"},
        {"value": None},
        {"value": True},
        {"value": "up", "comment": 7},
        {"value": "up", "comment": "a\x00b"},
        {"value": "up", "comment": "x" * 2001},
        {"value": "up", "user_id": "somebody"},
    ],
)
async def test_a_rating_that_breaks_a_rule_changes_nothing(
    client: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    person = Person()
    answer = await said(client, person)
    refused = await rate(client, person, answer["messages"][1]["id"], **fields)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "invalid_request")
    assert refused.json()["details"]
    assert await shown(client, person, answer["conversation_id"]) == [None, None]


async def test_only_ones_own_replies_are_rated(client: httpx.AsyncClient) -> None:
    person, stranger = Person(), Person()
    mine, theirs = await said(client, person), await said(client, stranger)
    own = await rate(client, person, mine["messages"][0]["id"], value="up")
    assert (own.status_code, own.json()["details"][0]["field"]) == (400, "message_id")
    for message_id in (theirs["messages"][1]["id"], UNKNOWN, "no-uuid"):
        missing = await rate(client, person, message_id, value="up")
        assert (missing.status_code, missing.json()["error_code"]) == (404, "not_found")
        path = f"/api/{person.user_id}/messages/{message_id}/rating"
        missing = await client.delete(path, headers=person.headers)
        assert (missing.status_code, missing.json()["error_code"]) == (404, "not_found")
    assert await shown(client, stranger, theirs["conversation_id"]) == [None, None]


async def test_a_rating_goes_with_its_conversation(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person = Person()
    answer = await said(client, person)
    await rate(client, person, answer["messages"][1]["id"], value="up", comment="\u200b")
    path = f"/api/{person.user_id}/conversations/{answer['conversation_id']}"
    assert (await client.delete(path, headers=person.headers)).status_code == 204
    async with superuser.connect() as connection:
        left = await connection.scalar(
            text("SELECT count(*) FROM ratings WHERE user_id = :owner"), {"owner": person.user_id}
        )
    assert left == 0


async def test_a_reply_that_is_deleted_while_it_is_rated_is_not_found(
    client: httpx.AsyncClient, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    answer = await said(client, person)
    look = repository.role_of

    async def look_and_lose(*args: Any) -> str | None:
        role = await look(*args)
        async with superuser.begin() as connection:
            await connection.execute(
                text("DELETE FROM conversations WHERE user_id = :owner"), {"owner": person.user_id}
            )
        return role

    monkeypatch.setattr(repository, "role_of", look_and_lose)
    missing = await rate(client, person, answer["messages"][1]["id"], value="up")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "not_found")
