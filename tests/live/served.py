"""An app on a real socket, a model that speaks when it is told to, and readers of what comes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
import websockets
from agents.testing import assistant_message
from starlette.types import ASGIApp
from tests.conftest import RunningApp
from tests.factories import Person
from websockets.asyncio.client import ClientConnection

from taskchat.assistant.models.asking import NamedModel
from taskchat.assistant.models.offline import OfflineModel
from taskchat.assistant.models.telling import told
from taskchat.serving import server
from taskchat.serving.listening import listen, url_of
from taskchat.settings import Settings

PATIENCE_S = 60
"""Longer than anything here takes on a slow machine; then the wait is given up."""


@contextlib.asynccontextmanager
async def served(running: RunningApp) -> AsyncIterator[str]:
    """The app on a socket, as `taskchat serve` has it; yields its address."""
    async with on_a_socket(running.app, running.live.settings) as address:
        yield address


@contextlib.asynccontextmanager
async def on_a_socket(app: ASGIApp, settings: Settings) -> AsyncIterator[str]:
    """The same for what is no app of ours, or not it alone."""
    sock = listen("127.0.0.1", 0)
    config = server._config(app, settings)
    # The fixture sees to the app's life, and to signals nobody does.
    config.lifespan = "off"
    uvicorn_server = uvicorn.Server(config)
    serving = asyncio.create_task(uvicorn_server._serve(sockets=[sock]))
    try:
        yield url_of(sock)
    finally:
        uvicorn_server.should_exit = True
        await serving


class Speaker(OfflineModel):
    """Says the same words each time, one whenever it is let; then it is done.

    Args:
        words: What it says.
    """

    def __init__(self, *words: str) -> None:
        self.words = words
        self.asked = 0
        self._let = asyncio.Semaphore(0)
        self.speaking = asyncio.Event()

    def let(self, words: int | None = None) -> None:
        """Let it say some more words, or all."""
        for _ in range(words if words is not None else len(self.words) + 1):
            self._let.release()

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        self.asked += 1
        said = assistant_message("".join(self.words))
        for event in told([said]):
            if not event.type.endswith("text.delta"):
                if event.type == "response.completed":
                    await self._let.acquire()
                yield event
                continue
            if event.sequence_number > 3:
                continue
            for word in self.words:
                await self._let.acquire()
                self.speaking.set()
                yield event.model_copy(update={"delta": word})

    @property
    def chain(self) -> list[NamedModel]:
        return [NamedModel("speaker", self)]


@dataclass(frozen=True)
class Told:
    """One event, as a stream told it."""

    id: int
    type: str
    data: str

    @property
    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.data)
        return fields


class EventSource:
    """One event stream that is being read.

    Attributes:
        response: Its head.
        comments: The comments so far.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments: list[str] = []
        self._lines = response.aiter_lines()

    async def next(self) -> Told | None:
        """The next event; None behind the last."""
        found: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments.append(line)
                elif line:
                    name, _, value = line.partition(": ")
                    found[name] = value
                elif "data" in found:
                    return Told(int(found.get("id", 0)), found["event"], found["data"])
                else:
                    found.clear()
        return None

    async def until(self, type_: str) -> list[Told]:
        """Events up to one of this type."""
        told: list[Told] = []
        while not told or told[-1].type != type_:
            event = await self.next()
            assert event is not None, f"the stream ended before {type_}: {told}"
            told.append(event)
        return told

    async def rest(self) -> list[Told]:
        """Events up to the end."""
        told = []
        while (event := await self.next()) is not None:
            told.append(event)
        return told


@contextlib.asynccontextmanager
async def posting(
    url: str, person: Person, message: str, **options: Any
) -> AsyncIterator[EventSource]:
    """Say something, and read what comes of it."""
    headers = person.headers | {"Accept": "text/event-stream"} | options.pop("headers", {})
    body = {"message": message, "conversation_id": options.pop("conversation_id", None)}
    async with (
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client,
        client.stream("POST", person.chat_path, json=body, headers=headers) as response,
    ):
        yield EventSource(response)


@contextlib.asynccontextmanager
async def following(
    url: str, person: Person, turn_id: str, *, after: int | None = None
) -> AsyncIterator[EventSource]:
    """Read a turn's events, from behind one where it is given."""
    headers = person.headers | ({"Last-Event-ID": str(after)} if after is not None else {})
    path = f"/api/{person.user_id}/turns/{turn_id}/events"
    async with (
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client,
        client.stream("GET", path, headers=headers) as response,
    ):
        yield EventSource(response)


class Socket:
    """One WebSocket of a person's."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, type_: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": type_, **fields}))

    async def next_text(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            text = await self.connection.recv()
        assert isinstance(text, str)
        return text

    async def next(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(await self.next_text())
        return frame

    async def until(self, type_: str, **fields: Any) -> list[dict[str, Any]]:
        """Frames up to one of this type with these fields."""
        heard: list[dict[str, Any]] = []
        while True:
            heard.append(await self.next())
            if heard[-1]["type"] == type_ and fields.items() <= heard[-1].items():
                return heard

    async def closed(self) -> tuple[int, str]:
        """Code and reason, once the server has closed it."""
        async with asyncio.timeout(PATIENCE_S):
            await self.connection.wait_closed()
        return self.connection.close_code or 0, self.connection.close_reason or ""


@contextlib.asynccontextmanager
async def socket(url: str, person: Person, conversation: str = "new") -> AsyncIterator[Socket]:
    """A socket to a conversation, its first frame not yet read."""
    address = f"{url.replace('http', 'ws', 1)}/ws/chat/{conversation}"
    async with websockets.connect(
        address, additional_headers=person.headers, compression=None, open_timeout=PATIENCE_S
    ) as connection:
        yield Socket(connection)


class Silent:
    """A socket that answers nothing, no ping either: a phone that sleeps, a route that is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def next(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next frame; None at the end of the connection."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                head, size = await self._reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await self._reader.readexactly(2), "big")
                return head & 0x0F, await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def until(self, opcode: int) -> bytes:
        """The payload of the next frame of this kind."""
        while (frame := await self.next()) is not None:
            if frame[0] == opcode:
                return frame[1]
        raise AssertionError(f"the connection ended before a frame {opcode}")

    def say(self, opcode: int, payload: bytes = b"") -> None:
        """Answer after all, with a frame of less than 126 bytes."""
        head = bytes([0x80 | opcode, 0x80 | len(payload)])
        self._writer.write(head + b"\x00" * 4 + payload)


@contextlib.asynccontextmanager
async def silent(
    url: str, person: Person, address: str = "new", headers: Sequence[bytes] = ()
) -> AsyncIterator[Silent]:
    """A silent socket, its first frame not yet read."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [
        f"GET /ws/chat/{address} HTTP/1.1".encode(),
        f"Host: {host}:{port}".encode(),
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Authorization: {person.headers['Authorization']}".encode(),
        *headers,
    ]
    try:
        writer.write(b"\r\n".join([*lines, b"", b""]))
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield Silent(reader, writer)
    finally:
        writer.transport.abort()
