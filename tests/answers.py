"""What every answer that is not a success has in common, and a way to ask that allows anything."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import httpx
from fastapi import FastAPI

MARK = "zebra-7c1f"
"""Stands in hostile inputs; an answer that holds it has echoed one."""

KEYS = ["status", "error_code", "error", "conversation_id", "turn_id", "request_id", "details"]
"""Of the error body, in the order of the contract."""

CODES = {
    400: {"invalid_request"},
    401: {"invalid_auth"},
    403: {"forbidden"},
    404: {"not_found"},
    405: {"method_not_allowed"},
    406: {"not_acceptable"},
    408: {"request_timeout"},
    409: {
        "conversation_busy",
        "conversation_ended",
        "too_many_active",
        "too_many_conversations",
        "too_many_versions",
        "too_many_shares",
        "too_many_webhooks",
        "too_many_schedules",
        "too_many_tasks",
        "turn_in_progress",
        "turn_not_cancellable",
        "turn_cancelled",
        "too_many_steering",
        "feedback_closed",
        "awaiting_feedback",
        "already_registered",
    },
    413: {"payload_too_large"},
    415: {"unsupported_media_type"},
    422: {"idempotency_mismatch"},
    429: {"rate_limited", "too_many_at_once"},
    431: {"headers_too_large"},
}
"""Of the contract, below 500."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whatever brought it.

    Attributes:
        whole: False: who asked was gone before its end.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    whole: bool = True

    def json(self) -> Any:
        return json.loads(self.content)


def error_of(answer: Answer | httpx.Response, status: int, *secrets: str) -> dict[str, Any]:
    """The body of an error, which is exactly as the contract has it and echoes nothing.

    Args:
        answer: The answer.
        status: Its expected status.
        secrets: Parts of the input, beside MARK, that must not come back.
    """
    got = answer.status if isinstance(answer, Answer) else answer.status_code
    assert got == status, answer.content
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    assert list(body) == KEYS
    assert body["status"] == "error"
    assert body["error_code"] in CODES[status]
    assert body["error"].endswith((".", "”."))
    for name in ("conversation_id", "turn_id"):
        assert body[name] is None or str(UUID(body[name])) == body[name]
    assert str(UUID(body["request_id"])) == body["request_id"]
    assert answer.headers["x-request-id"] == body["request_id"]
    assert all(set(detail) == {"field", "problem"} for detail in body["details"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) is (status == 401)
    assert ("allow" in answer.headers) is (status == 405)
    text = answer.content.decode()
    for id_ in (body["request_id"], body["conversation_id"], body["turn_id"]):
        # Ours, and random: it may hold any digits.
        text = text.replace(id_, "") if id_ else text
    for secret in (MARK, *secrets):
        assert secret not in text
    for leak in ("Traceback", "sqlalchemy", "asyncpg", "pydantic", "/src/", ".py"):
        assert leak not in text
    return body


def raw_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as `ask` takes them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


async def ask(
    app: FastAPI,
    method: str,
    target: bytes,
    *,
    headers: list[tuple[bytes, bytes]],
    body: bytes | AsyncIterator[bytes] = b"",
    patience_s: float = 0,
) -> Answer:
    """Ask the app itself, as a server would that lets everything through.

    A body that comes in pieces has no end: behind its last piece the client is gone. Behind one
    that does not, it is gone after its patience.
    """
    raw_path, _, query = target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path.decode("latin-1")),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "state": {},
    }
    whole = body if isinstance(body, bytes) else None
    chunks = aiter(body) if not isinstance(body, bytes) else None
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal whole
        if chunks is not None:
            chunk = await anext(chunks, None)
            if chunk is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": chunk, "more_body": True}
        if whole is None:
            if patience_s:
                await asyncio.sleep(patience_s)
            return {"type": "http.disconnect"}
        piece, whole = whole, None
        return {"type": "http.request", "body": piece, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    assert start["type"] == "http.response.start"
    return Answer(
        start["status"],
        {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
        not sent[-1].get("more_body", False),
    )
