"""Clients of `/mcp`: the SDK's own, and one that writes its messages by hand."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult
from tests.factories import Person

ERAS = ("legacy", "2026-07-28")
"""The protocol with a handshake, and the one in which each request stands for itself."""

MODERN = "2026-07-28"

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
VERSION = "io.modelcontextprotocol/protocolVersion"


@contextlib.asynccontextmanager
async def connected(url: str, person: Person, era: str, **options: Any) -> AsyncIterator[Client]:
    """The SDK's client, as somebody has configured it with their token."""
    async with httpx2.AsyncClient(headers=person.headers, timeout=30) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, mode=era, **options) as client:
            yield client


def message(method: str, params: dict[str, Any] | None = None, *, can_ask: bool = False) -> Any:
    """One request of the newer protocol."""
    capabilities: dict[str, Any] = {"elicitation": {"form": {}}} if can_ask else {}
    meta = {VERSION: MODERN, CAPABILITIES: capabilities}
    return {
        "jsonrpc": "2.0",
        "id": 7,
        "method": method,
        "params": {**(params or {}), "_meta": meta},
    }


async def post(client: httpx.AsyncClient, person: Person, body: Any) -> httpx.Response:
    """Post one request of the newer protocol, with the headers that it asks for."""
    headers = {
        **person.headers,
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": body["method"],
    }
    if "name" in body["params"]:
        headers["Mcp-Name"] = body["params"]["name"]
    return await client.post("/mcp", json=body, headers=headers)


async def call(
    client: httpx.AsyncClient, person: Person, name: str, arguments: dict[str, Any], **more: Any
) -> httpx.Response:
    """Post one tool call; its client's user can be asked."""
    params = {"name": name, "arguments": arguments, **more}
    return await post(client, person, message("tools/call", params, can_ask=True))


def text_of(result: CallToolResult) -> str:
    """What a tool said, as text."""
    return "".join(part.text for part in result.content if part.type == "text")
