"""Reading conversations and messages, page by page."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker
from tests.factories import Person, calls_tool, scripted


async def get(client: httpx.AsyncClient, person: Person, path: str, **params: str) -> Any:
    answer = await client.get(
        f"/api/{person.user_id}/{path}", params=params, headers=person.headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_conversations_are_listed_by_newest_activity(client: httpx.AsyncClient) -> None:
    person = Person()
    ids = [
        (await person.say(client, f"hello number {number}")).json()["conversation_id"]
        for number in range(3)
    ]
    await person.say(client, "hello again", conversation_id=ids[0])
    first = await get(client, person, "conversations", limit="2")
    assert [one["id"] for one in first["data"]] == [ids[0], ids[2]]
    assert first["has_more"] is True
    second = await get(client, person, "conversations", limit="2", after=first["next_cursor"])
    assert [one["id"] for one in second["data"]] == [ids[1]]
    assert second["next_cursor"] is None
    assert first["data"][0]["turns"] == 2
    assert first["data"][0]["title"] == "hello number 0"
    assert (await get(client, person, "conversations", status="ended"))["data"] == []
    one = await get(client, person, f"conversations/{ids[0]}")
    assert one == first["data"][0]


async def test_messages_are_read_in_both_directions(client: httpx.AsyncClient) -> None:
    person = Person()
    conversation = None
    for number in range(3):
        answer = await person.say(client, f"Add task: T{number}", conversation_id=conversation)
        conversation = answer.json()["conversation_id"]
    path = f"conversations/{conversation}/messages"
    whole = (await get(client, person, path))["data"]
    assert [message["role"] for message in whole] == ["user", "assistant"] * 3
    assert [message["content"] for message in whole[::2]] == [
        f"Add task: T{number}" for number in range(3)
    ]
    assert [len(message["tool_calls"]) for message in whole] == [0, 1] * 3
    page = await get(client, person, path, limit="4")
    assert page["data"] == whole[:4]
    rest = await get(client, person, path, limit="4", after=page["next_cursor"])
    assert rest["data"] == whole[4:]
    assert rest["has_more"] is False
    back = await get(client, person, path, limit="2", before=page["next_cursor"])
    assert back["data"] == whole[1:3]
    further = await get(client, person, path, limit="2", before=back["next_cursor"])
    assert further["data"] == whole[:1]
    assert further["next_cursor"] is None


@pytest.mark.parametrize(
    "params",
    [
        {"after": "x"},
        {"after": "W10"},
        {"after": "WzEsIngiXQ"},
        {"after": "y" * 300},
        {"after": "Wy0xLDAsMF0"},
        {"after": "WzEsMF0"},
        {"after": "WzEsMSwxXQ", "before": "WzEsMSwxXQ"},
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "many"},
    ],
)
async def test_a_bad_cursor_or_limit_is_refused(
    client: httpx.AsyncClient, params: dict[str, str]
) -> None:
    person = Person()
    conversation = (await person.say(client, "hello")).json()["conversation_id"]
    answer = await client.get(
        f"/api/{person.user_id}/conversations/{conversation}/messages",
        params=params,
        headers=person.headers,
    )
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_request")


@pytest.mark.parametrize("after", ["WyJ4IiwieSJd", "WyIwMDAxLTAxLTAxVDAwOjAwIiwieSJd"])
async def test_a_made_up_cursor_of_conversations_is_refused(
    client: httpx.AsyncClient, after: str
) -> None:
    person = Person()
    answer = await client.get(
        f"/api/{person.user_id}/conversations", params={"after": after}, headers=person.headers
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "spelling", ["{0}x", "urn:uuid:{0}", "{{{0}}}", "not-a-uuid", "0199f3a000007000"]
)
async def test_an_id_has_one_spelling(client: httpx.AsyncClient, spelling: str) -> None:
    person = Person()
    conversation = (await person.say(client, "hello")).json()["conversation_id"]
    answer = await client.get(
        f"/api/{person.user_id}/conversations/{spelling.format(conversation)}",
        headers=person.headers,
    )
    assert answer.status_code == 404


async def test_what_a_failed_turn_did_stands_on_the_users_message(
    running_app: AppMaker,
) -> None:
    person = Person()
    _, chain = scripted(
        [calls_tool("add_task", {"title": "Done before the failure"})],
        RuntimeError("the vendor's bug"),
    )
    async with running_app(chain=chain) as running:
        failed = await person.say(running.client, "do it")
        assert failed.status_code == 502
        body = failed.json()
        assert body["error_code"] == "model_error"
        page = await get(
            running.client, person, f"conversations/{body['conversation_id']}/messages"
        )
    [message] = page["data"]
    assert message["role"] == "user"
    [call] = message["tool_calls"]
    assert call["parameters"] == {"title": "Done before the failure"}


async def test_paused_conversations_are_listed_and_a_message_makes_one_active(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person = Person()
    paused, other = [
        (await person.say(client, "hello")).json()["conversation_id"] for _ in range(2)
    ]
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE conversations SET status = 'paused' WHERE id = :id"), {"id": paused}
        )

    async def of(status: str) -> list[str]:
        answer = await client.get(
            f"/api/{person.user_id}/conversations",
            params={"status": status},
            headers=person.headers,
        )
        return [conversation["id"] for conversation in answer.json()["data"]]

    assert (await of("paused"), await of("active")) == ([paused], [other])
    assert (await person.say(client, "again", conversation_id=paused)).status_code == 200
    assert (await of("paused"), await of("active")) == ([], [paused, other])
