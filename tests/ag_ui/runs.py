"""Runs of AG-UI clients, by their bare requests."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from ag_ui.core import Event
from pydantic import TypeAdapter
from tests.factories import Person
from tests.live.served import PATIENCE_S

EVENT: TypeAdapter[Any] = TypeAdapter(Event)

ENDS = ("RUN_FINISHED", "RUN_ERROR")


def user(text: str, id_: str = "m 1") -> dict[str, Any]:
    """What a client sends for something that its user says."""
    return {"id": id_, "role": "user", "content": text}


def body(thread: str, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request, as clients send it."""
    return {
        "threadId": thread,
        "runId": "run 1",
        "messages": list(messages),
        "state": {},
        "tools": [],
        "context": [],
        "forwardedProps": {},
        "protocolVersion": "1.0",
        **more,
    }


def path_of(person: Person) -> str:
    return f"/api/{person.user_id}/ag-ui"


def told(text: str) -> list[dict[str, Any]]:
    """The events of a stream, each of them one of the protocol's."""
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    for line in lines:
        EVENT.validate_json(line)
    return [json.loads(line) for line in lines]


async def run(
    client: httpx.AsyncClient, person: Person, thread: str, *messages: dict[str, Any], **more: Any
) -> list[dict[str, Any]]:
    """One run, to its end."""
    answer = await client.post(
        path_of(person), json=body(thread, *messages, **more), headers=person.headers
    )
    assert answer.status_code == 200, answer.text
    events = told(answer.text)
    assert events[0]["type"] == "RUN_STARTED"
    assert (events[0]["threadId"], events[0]["runId"]) == (thread, "run 1")
    assert [event["type"] for event in events if event["type"] in ENDS] == [events[-1]["type"]]
    return events


@contextlib.asynccontextmanager
async def running(
    url: str, person: Person, thread: str, *messages: dict[str, Any]
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """A run that is read while it goes on."""
    async with (
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client,
        client.stream(
            "POST", path_of(person), json=body(thread, *messages), headers=person.headers
        ) as answer,
    ):

        async def events() -> AsyncIterator[dict[str, Any]]:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

        yield events()


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def said(events: list[dict[str, Any]]) -> str:
    """All the text of the assistant's that was told."""
    return "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")


def snapshot(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages of the only snapshot."""
    [found] = [event for event in events if event["type"] == "MESSAGES_SNAPSHOT"]
    messages: list[dict[str, Any]] = found["messages"]
    return messages
