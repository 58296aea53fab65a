"""A receiver of webhooks: a real server, which keeps what it got and answers as it is told."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Answering = Callable[["Got"], Awaitable[bytes]]


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def json(self) -> Any:
        return json.loads(self.body)


def status(code: int, *headers: str, body: str = "") -> bytes:
    lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


@dataclass
class Receiver:
    """Where hooks point."""

    port: int = 0
    connections: int = 0
    got: list[Got] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    """For the next requests; after them 204."""
    answering: Answering | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def types(self) -> list[str]:
        return [one.json()["type"] for one in self.got]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers["content-length"]))
            one = Got(head[0].split()[1], headers, body)
            self.got.append(one)
            if self.answering is not None:
                answer = await self.answering(one)
            else:
                answer = self.answers.pop(0) if self.answers else status(204)
            writer.write(answer)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def receiving(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


def is_signed(one: Got, secret: str, *, tolerance_s: float = 300, now: float) -> bool:
    """Whether a request is genuine and fresh: written from the specification alone."""
    if abs(now - int(one.headers["webhook-timestamp"])) > tolerance_s:
        return False
    content = b".".join([one.id.encode(), one.headers["webhook-timestamp"].encode(), one.body])
    key = base64.b64decode(secret.split("_", 1)[1])
    expected = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return any(
        hmac.compare_digest(signature, f"v1,{expected}")
        for signature in one.headers["webhook-signature"].split(" ")
    )
