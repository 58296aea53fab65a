"""Clients of the live side, as cheap for the machine as can be: what they cost is measured too."""

import asyncio
import functools
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, cast

import httpx
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.live_stage import Person, Server
from benchmarks.token_server import Recitation, delays_ms


@dataclass(frozen=True)
class Said:
    """Milliseconds from sending a message to its acknowledgment, and to the turn's end."""

    acknowledged: float
    completed: float


class Socket:
    """One WebSocket that was admitted."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def say(self, text: str) -> Said:
        began = time.perf_counter()
        await self._send(type="message", content=text)
        acknowledged = 0.0
        while True:
            frame = await self._frame()
            if frame["type"] == "acknowledgment":
                acknowledged = time.perf_counter() - began
            elif frame["type"] == "turn_completed":
                break
        return Said(acknowledged * 1000, (time.perf_counter() - began) * 1000)

    async def ping(self) -> float:
        """Milliseconds until the pong: both sides' loops, and no statement."""
        began = time.perf_counter()
        await self._send(type="ping")
        while (await self._frame())["type"] != "pong":
            pass
        return (time.perf_counter() - began) * 1000

    async def listen(self, recitation: Recitation) -> list[float]:
        """Milliseconds from the model to here, token by token."""
        await self._send(type="message", content=recitation.message)
        delays: list[float] = []
        while True:
            frame = await self._frame()
            if frame["type"] == "stream_chunk":
                delays += delays_ms(frame["delta"])
            elif frame["type"] == "turn_completed":
                return complete(delays, recitation)

    async def close(self) -> None:
        await self._connection.close()

    async def _send(self, **frame: Any) -> None:
        await self._connection.send(json.dumps(frame))

    async def _frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(await self._connection.recv())
        if frame["type"] in {"error", "rate_limit_exceeded", "system"}:
            raise RuntimeError(f"not what a client expects: {frame}")
        return frame


async def open_socket(server: Server, person: Person, conversation_id: str = "new") -> Socket:
    """Connect and be admitted: the first frame says so."""
    connection = await connect(
        f"ws://127.0.0.1:{server.port}/ws/chat/{conversation_id}",
        additional_headers=person.headers,
        compression=None,
        proxy=None,
        # The server pings; one of the two is enough.
        ping_interval=None,
        open_timeout=30,
    )
    first = json.loads(await connection.recv())
    if first["type"] != "connection":
        raise RuntimeError(f"not admitted: {first}")
    return Socket(connection)


async def stream_turn(
    server: Server, person: Person, recitation: Recitation
) -> AsyncGenerator[dict[str, Any], None]:
    """Say something over HTTP; the events that come of it, as they arrive."""
    url = f"http://127.0.0.1:{server.port}/api/{person.id}/chat"
    headers = {**person.headers, "Accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
        client.stream(
            "POST", url, headers=headers, json={"message": recitation.message}
        ) as response,
    ):
        if response.status_code != 200:
            raise RuntimeError(f"{response.status_code} {(await response.aread()).decode()}")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


async def listen_to_stream(server: Server, person: Person, recitation: Recitation) -> list[float]:
    """The same delays as on a socket, by an event stream."""
    delays: list[float] = []
    async for event in stream_turn(server, person, recitation):
        if event["type"] == "stream_chunk":
            delays += delays_ms(event["delta"])
    return complete(delays, recitation)


def complete(delays: list[float], recitation: Recitation) -> list[float]:
    """The delays, if none of the tokens is missing or there twice."""
    if len(delays) != recitation.tokens:
        raise RuntimeError(f"{len(delays)} tokens of {recitation.tokens}")
    return delays


class Reader(asyncio.Protocol):
    """One reader of a turn's event stream. It notes what comes and when; it is read afterwards.

    Attributes:
        ended: Done once the stream is over.
    """

    def __init__(self, request: bytes) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._arrivals: list[tuple[int, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self._arrivals.append((time.monotonic_ns(), data))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    @functools.cached_property
    def chunks(self) -> list[tuple[int, bytes]]:
        """What the server sent at once, and when the last of it was here, in nanoseconds."""
        raw = b"".join(data for _, data in self._arrivals)
        head, _, _ = raw.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        arrivals = iter(self._arrivals)
        moment, here, at = 0, 0, len(head) + 4
        found: list[tuple[int, bytes]] = []
        while True:
            begin = raw.index(b"\r\n", at) + 2
            size = int(raw[at:begin], 16)
            at = begin + size + 2
            while here < at:
                moment, data = next(arrivals)
                here += len(data)
            if not size:
                return found
            found.append((moment, raw[begin : begin + size]))

    @property
    def body(self) -> bytes:
        return b"".join(chunk for _, chunk in self.chunks)

    @property
    def joined_at(self) -> int:
        """When its first event was here."""
        return next(moment for moment, chunk in self.chunks if b"data: " in chunk)

    def delays_ms(self, since: int) -> list[float]:
        """How long the tokens took that were sent after that moment."""
        found: list[float] = []
        for moment, chunk in self.chunks:
            for line in chunk.splitlines():
                if line.startswith(b'data: {"type":"stream_chunk"'):
                    sent = map(int, json.loads(line[6:])["delta"].split())
                    found += [(moment - at) / 1e6 for at in sent if at > since]
        return found


async def open_reader(server: Server, person: Person, turn_id: str) -> Reader:
    """Begin to read a turn's events, from its first."""
    request = (
        f"GET /api/{person.id}/turns/{turn_id}/events HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {person.token}\r\nAccept: text/event-stream\r\n"
        "Connection: close\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    _, reader = await loop.create_connection(
        lambda: Reader(request.encode()), "127.0.0.1", server.port
    )
    return reader
