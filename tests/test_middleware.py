"""The gate that every request passes."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send
from tests.conftest import AppMaker
from tests.factories import Person

from taskchat.http.gate import RequestGate
from taskchat.settings import Settings


async def test_a_request_that_the_server_gives_up_on_is_told_to_go_elsewhere() -> None:
    waiting = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        waiting.set()
        await asyncio.Event().wait()

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/livez",
        "raw_path": b"/livez",
        "query_string": b"",
        "headers": [],
    }
    gate = RequestGate(endless, Settings(_env_file=None))
    request = asyncio.create_task(gate(scope, receive, send))
    await waiting.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    start, body = sent
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert json.loads(body["body"])["error_code"] == "shutting_down"


@pytest.mark.parametrize("path", ["/livez", "/openapi.json", "/api/{}/tasks", "/nowhere"])
async def test_no_answer_is_kept_sniffed_or_named_to_another_page(
    client: httpx.AsyncClient, path: str
) -> None:
    person = Person()
    answer = await client.get(path.format(person.user_id), headers=person.headers)
    assert {
        name: answer.headers[name]
        for name in (
            "cache-control",
            "x-content-type-options",
            "referrer-policy",
            "content-security-policy",
        )
    } == {
        "content-security-policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }


@pytest.mark.parametrize(
    ("changes", "scheme", "told"),
    [
        ({}, "https", "max-age=31536000"),
        ({"hsts_subdomains": True}, "https", "max-age=31536000; includeSubDomains"),
        ({"hsts_s": 0}, "https", None),
        ({}, "http", None),
    ],
)
async def test_who_came_by_https_is_told_to_come_by_nothing_else(
    running_app: AppMaker, changes: dict[str, object], scheme: str, told: str | None
) -> None:
    async with running_app(**changes) as running:
        for path in ("/livez", "/nowhere", "/"):
            answer = await running.client.get(f"{scheme}://test{path}")
            assert answer.headers.get("strict-transport-security") == told, path
