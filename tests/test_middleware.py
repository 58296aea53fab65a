"""The gate that every request passes."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

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
