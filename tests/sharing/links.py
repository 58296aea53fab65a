"""Conversations with links to them, as these tests make and read them."""

from typing import Any

import httpx
from tests.factories import Person

Shared = dict[str, Any]


def shares_path(person: Person, conversation: str, share: str = "") -> str:
    return f"/api/{person.user_id}/conversations/{conversation}/shares" + (share and f"/{share}")


async def talk(client: httpx.AsyncClient, person: Person, *messages: str) -> str:
    """A conversation in which all of this was said."""
    conversation = None
    for message in messages:
        answer = await person.say(client, message, conversation_id=conversation)
        assert answer.status_code == 200, answer.text
        conversation = answer.json()["conversation_id"]
    assert conversation is not None
    return str(conversation)


async def ask_for_link(
    client: httpx.AsyncClient, person: Person, conversation: str, **wanted: Any
) -> httpx.Response:
    return await client.post(shares_path(person, conversation), json=wanted, headers=person.headers)


async def link_to(
    client: httpx.AsyncClient, person: Person, conversation: str, **wanted: Any
) -> Shared:
    """A link that was just made."""
    answer = await ask_for_link(client, person, conversation, **wanted)
    assert answer.status_code == 201, answer.text
    made: Shared = answer.json()
    return made


async def read_by(client: httpx.AsyncClient, token: str, **query: str | int) -> Shared:
    """What a link shows, to somebody without any token of a user's."""
    answer = await client.get(f"/share/{token}", params=query)
    assert answer.status_code == 200, answer.text
    shown: Shared = answer.json()
    return shown
