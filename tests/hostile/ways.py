"""Every way in that there is: the operations of the API's own document."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from taskchat.http.requests import body_limits
from taskchat.settings import Settings

GOOD: Mapping[str, dict[str, Any]] = {
    "POST /api/auth/register": {"email": "a@example.org", "password": "correct horse"},
    "POST /api/auth/login": {"email": "a@example.org", "password": "correct horse"},
    "POST /api/auth/refresh": {"refresh_token": "none"},
    "DELETE /api/auth/me": {"password": "correct horse"},
    "POST /api/auth/password": {
        "current_password": "correct horse",
        "new_password": "battery staple",
    },
    "POST /api/{user_id}/chat": {"message": "hello"},
    "PUT /api/{user_id}/messages/{message_id}": {"message": "hello"},
    "POST /api/{user_id}/turns/{turn_id}/messages": {"message": "hello"},
    "POST /api/{user_id}/feedback/{feedback_id}/respond": {"answer": "approve", "comment": "yes"},
    "PATCH /api/{user_id}/conversations/{conversation_id}": {"title": "mine"},
    "PUT /api/{user_id}/messages/{message_id}/rating": {"value": "up", "comment": "good"},
    "POST /api/{user_id}/conversations/{conversation_id}/shares": {"with_tool_calls": False},
    "POST /api/{user_id}/schedules": {"message": "hello", "rule": "FREQ=DAILY"},
    "PATCH /api/{user_id}/schedules/{schedule_id}": {"message": "hello"},
    "POST /api/{user_id}/tasks": {"title": "mine", "description": "of mine"},
    "PATCH /api/{user_id}/tasks/{task_id}": {"title": "mine"},
    "POST /api/{user_id}/webhooks": {"url": "https://hooks.example.org/"},
    "PATCH /api/{user_id}/webhooks/{webhook_id}": {"url": "https://hooks.example.org/"},
    "POST /api/{user_id}/ui/chat": {
        "id": "a chat",
        "message": {"id": "1", "role": "user", "parts": [{"type": "text", "text": "hello"}]},
    },
    "POST /api/{user_id}/ag-ui": {
        "threadId": "a thread",
        "runId": "a run",
        "messages": [{"id": "1", "role": "user", "content": "hello"}],
    },
    "POST /mcp": {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "add_task", "arguments": {"title": "mine"}},
    },
    "POST /v1/responses": {"input": "hello"},
    "POST /v1/chat/completions": {
        "model": "taskchat",
        "messages": [{"role": "user", "content": "hello"}],
    },
    "SOCKET /ws/chat/{conversation_id}": {"type": "message", "content": "hello"},
}
"""A body that each operation takes which takes one in JSON."""

TEXTS: Mapping[str, tuple[str | int, ...]] = {
    "POST /api/{user_id}/chat": ("message",),
    "PUT /api/{user_id}/messages/{message_id}": ("message",),
    "POST /api/{user_id}/turns/{turn_id}/messages": ("message",),
    "POST /api/{user_id}/schedules": ("message",),
    "PATCH /api/{user_id}/schedules/{schedule_id}": ("message",),
    "POST /api/{user_id}/ui/chat": ("message", "parts", 0, "text"),
    "POST /api/{user_id}/ag-ui": ("messages", 0, "content"),
    "POST /v1/responses": ("input",),
    "POST /v1/chat/completions": ("messages", 0, "content"),
    "POST /api/{user_id}/tasks": ("title",),
    "PATCH /api/{user_id}/tasks/{task_id}": ("title",),
    "PATCH /api/{user_id}/conversations/{conversation_id}": ("title",),
    "POST /api/{user_id}/feedback/{feedback_id}/respond": ("comment",),
    "PUT /api/{user_id}/messages/{message_id}/rating": ("comment",),
    "POST /api/auth/register": ("email",),
    "POST /api/auth/login": ("email",),
    "POST /api/auth/refresh": ("refresh_token",),
    "DELETE /api/auth/me": ("password",),
    "POST /api/auth/password": ("new_password",),
    "POST /api/{user_id}/webhooks": ("url",),
    "PATCH /api/{user_id}/webhooks/{webhook_id}": ("url",),
    "SOCKET /ws/chat/{conversation_id}": ("content",),
}
"""Where in that body a text is that its user wrote."""

SAID = {name for name in TEXTS if name.split("/")[-1] in {"chat", "responses", "completions"}}
SAID |= {"POST /api/{user_id}/ag-ui", "POST /api/{user_id}/turns/{turn_id}/messages"}
SAID |= {"PUT /api/{user_id}/messages/{message_id}"}
SAID |= {"POST /api/{user_id}/schedules", "SOCKET /ws/chat/{conversation_id}"}
"""Where that text is a message, with a message's limits."""

GROUPS = {
    "OpenAI": r"/v1/",
    "MCP": r"/mcp|/\.well-known/oauth",
    "AI SDK": r"/api/{user_id}/ui/",
    "AG-UI": r"/api/{user_id}/ag-ui",
    "Durable Streams": r"/api/{user_id}/turns/{turn_id}/stream",
    "accounts": r"/api/auth/|/\.well-known/jwks",
    "links": r"/share/|.*/shares",
    "webhooks": r"/api/{user_id}/webhooks",
    "chat": r"/api/{user_id}/(chat|messages/{message_id}(/regenerate)?|turns/.*)$",
    "REST": "/",
}
"""The ways in as readers of the docs know them, by the first that fits an address."""


@dataclass(frozen=True)
class Way:
    """One operation.

    Attributes:
        method: Its method.
        path: Its address, with names in braces.
        parameters: Its query parameters and headers.
        has_body: Whether it takes a body in JSON.
        is_secured: Whether it asks for a token.
        body_bytes_max: How large a body it takes.
    """

    method: str
    path: str
    parameters: frozenset[str]
    has_body: bool
    is_secured: bool
    body_bytes_max: int

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def group(self) -> str:
        return next(group for group, shape in GROUPS.items() if re.match(shape, self.path))

    @property
    def ids(self) -> list[str]:
        """The names of ids in its address but for the user's."""
        return [name for name in re.findall(r"{(\w+)}", self.path) if name != "user_id"]

    @property
    def good(self) -> dict[str, Any]:
        """A body that it takes."""
        body: dict[str, Any] = json.loads(json.dumps(GOOD[self.name]))
        return body

    @property
    def headers(self) -> dict[str, str]:
        """What its clients say besides."""
        if self.path != "/mcp":
            return {}
        return {"accept": "application/json", "mcp-protocol-version": "2025-11-25"}

    def address(self, user_id: str, ids: Mapping[str, str]) -> str:
        """Its address with ids in place of names."""
        return re.sub(r"{(\w+)}", lambda name: {"user_id": user_id, **ids}[name[1]], self.path)

    def saying(self, raw: bytes) -> bytes:
        """The body with this JSON in place of its text."""
        body = self.good
        part: Any = body
        *above, last = TEXTS[self.name]
        for key in above:
            part = part[key]
        part[last] = "HERE"
        return json.dumps(body).encode().replace(b'"HERE"', raw)


def ways_of(app: FastAPI, settings: Settings) -> list[Way]:
    """Every operation that the API's own document has."""
    return [
        Way(
            method=method.upper(),
            path=path,
            parameters=frozenset(each["name"] for each in operation.get("parameters", ())),
            has_body="application/json" in operation.get("requestBody", {}).get("content", {}),
            is_secured=bool(operation.get("security")),
            body_bytes_max=body_limits(
                {"method": method.upper(), "path": path}, settings
            ).bytes_max,
        )
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    ]


SOCKET = Way("SOCKET", "/ws/chat/{conversation_id}", frozenset(), True, True, 65_536)
"""Messages of a WebSocket: no operation of the document, and a way in all the same."""
