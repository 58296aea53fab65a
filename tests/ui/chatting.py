"""Requests as the AI SDK's clients make them, and readers of what they get."""

import json
from typing import Any

import httpx
from tests.factories import Person

Chunk = dict[str, Any]


def path(person: Person, *parts: str) -> str:
    return "/".join([f"/api/{person.user_id}/ui/chat", *parts])


def user(text: str, id_: str = "m1") -> dict[str, Any]:
    """A message as `useChat` makes it of a text."""
    return {"id": id_, "role": "user", "parts": [{"type": "text", "text": text}]}


async def send(
    client: httpx.AsyncClient,
    person: Person,
    *messages: dict[str, Any],
    chat: str = "c1",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    """What `DefaultChatTransport` sends."""
    body = {"id": chat, "messages": list(messages), "trigger": "submit-message", **fields}
    return await client.post(
        path(person), json=body, headers={**person.headers, "Accept": "*/*", **(headers or {})}
    )


def chunks(answer: httpx.Response) -> list[Chunk]:
    """The chunks of a stream that was told to its end."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    blocks = [block for block in answer.text.split("\n\n") if block and not block.startswith(":")]
    told = [block.removeprefix("data: ") for block in blocks]
    assert told[-1] == "[DONE]"
    return [json.loads(one) for one in told[:-1]]


def kinds(told: list[Chunk]) -> list[str]:
    """Their types, without statuses, and with one for all the deltas of a text."""
    found: list[str] = []
    for chunk in told:
        if chunk["type"] != "data-status" and found[-1:] != [chunk["type"]]:
            found.append(chunk["type"])
    return found


def text(told: list[Chunk]) -> str:
    """What was said at last."""
    return "".join(chunk["delta"] for chunk in told if chunk["type"] == "text-delta")


async def hydrated(
    client: httpx.AsyncClient, person: Person, chat: str = "c1"
) -> list[dict[str, Any]]:
    """What a client begins with."""
    answer = await client.get(path(person, chat, "messages"), headers=person.headers)
    assert answer.status_code == 200, answer.text
    messages: list[dict[str, Any]] = answer.json()["data"]
    return messages
