"""WebSockets of real processes: a client that keeps the protocol, and one that need not."""

import asyncio
import contextlib
import json
import re
import secrets
import select
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import websockets
from tests.conftest import JWT_SECRET
from tests.e2e.processes import Forked, environment
from websockets.asyncio.client import ClientConnection
from websockets.typing import Origin, Subprotocol

from taskchat.auth.issuing import issue_token

PATIENCE_S: Final = 60
"""The longest that anything here is waited for; a loaded machine is slow, not dead."""

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0


def token_of(user_id: str) -> str:
    return issue_token(user_id, secret=JWT_SECRET, ttl_s=600, issuer=None, audience=None)


# --- servers ---


@dataclass(frozen=True)
class Server:
    """A `taskchat serve` of its own."""

    process: Forked
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def chat(self, conversation: str = "new", query: str = "") -> str:
        return f"ws://127.0.0.1:{self.port}/ws/chat/{conversation}{query}"

    def listens(self) -> bool:
        with contextlib.suppress(ConnectionError):
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S).close()
            return True
        return False


@contextlib.contextmanager
def started(database_url: str, folder: Path, **settings: str) -> Iterator[Server]:
    """A server until the block ends; it may not be up yet when the block begins."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir(exist_ok=True)
    # What is tested here says more in a second than people in a minute.
    rates = {
        f"TASKCHAT_RATE_{scope}_PER_MINUTE": "0"
        for scope in ("USER", "CONVERSATION", "CHANNEL", "TOKENS")
    }
    variables = {
        "DATABASE_URL": database_url,
        "TASKCHAT_JWT_SECRET": JWT_SECRET,
        "TASKCHAT_MODEL": "offline",
        "TASKCHAT_LOG_FORMAT": "json",
        **rates,
        **settings,
    }
    with (folder / "log").open("wb") as log:
        process = Forked(
            ["serve", "--port", str(port)],
            folder,
            environment(**variables),
            stdout=log.fileno(),
            stderr=log.fileno(),
        )
    server = Server(process, port, folder / "log")
    try:
        yield server
    finally:
        process.end(PATIENCE_S)
    written = server.log.read_text().splitlines()
    # Whatever was sent to it, it was a case that somebody had thought of.
    for trace in ("Traceback", "crashed", "Exception", "exception"):
        assert not any(trace in line for line in written), "\n".join(written)


def up(*servers: Server) -> None:
    """Wait until servers accept requests."""
    deadline = time.monotonic() + PATIENCE_S
    for server in servers:
        while not server.listens():
            assert server.process.poll() is None, server.log.read_text()
            assert time.monotonic() < deadline, server.log.read_text()
            select.select([], [], [], 0.05)


async def figure(server: Server, name: str) -> float:
    """One of a server's metrics; 0 where it has not been counted yet."""
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        text = (await client.get(f"{server.url}/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


# --- a client that keeps the protocol ---


class Socket:
    """One WebSocket of a person's."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, type_: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": type_, **fields}))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            frame: dict[str, Any] = json.loads(await self.connection.recv())
        return frame

    async def until(self, type_: str, **fields: Any) -> list[dict[str, Any]]:
        """Frames up to one of this type with these fields."""
        heard: list[dict[str, Any]] = []
        while True:
            heard.append(await self.next())
            if heard[-1]["type"] == type_ and fields.items() <= heard[-1].items():
                return heard

    async def answer(self, type_: str, **fields: Any) -> dict[str, Any]:
        """What a frame is answered with; nothing else may come."""
        await self.send(type_, **fields)
        return await self.next()

    async def works(self) -> bool:
        """Whether it still hears and answers, with nothing said in between."""
        id_ = secrets.token_hex(8)
        return await self.answer("ping", id=id_) == {"type": "pong", "reply_to": id_}

    async def refused(self) -> dict[str, Any]:
        """The next frame, which is an error."""
        frame = await self.next()
        assert frame["type"] == "error", frame
        return frame

    async def closed(self) -> tuple[list[dict[str, Any]], int, str]:
        """What is still said, then code and reason of the server's close."""
        frames = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                frames.append(await self.next())
        received = self.connection.protocol.close_rcvd
        assert received is not None, "the connection ended without a close frame"
        return frames, received.code, received.reason


@contextlib.asynccontextmanager
async def dialled(
    url: str,
    *,
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    origin: str | None = None,
    subprotocols: list[str] | None = None,
) -> AsyncIterator[Socket]:
    """A WebSocket as it is asked for."""
    async with websockets.connect(
        url,
        additional_headers=headers,
        origin=None if origin is None else Origin(origin),
        subprotocols=[Subprotocol(name) for name in subprotocols] if subprotocols else None,
        compression=None,
        max_size=None,
        open_timeout=PATIENCE_S,
        # Its own pings would tell a test nothing, and would end it on a machine that is slow.
        ping_interval=None,
        proxy=None,
    ) as connection:
        yield Socket(connection)


@contextlib.asynccontextmanager
async def admitted(
    server: Server, user_id: str, conversation: str = "new"
) -> AsyncIterator[Socket]:
    """A WebSocket with a good token, its first frame read."""
    headers = {"Authorization": f"Bearer {token_of(user_id)}"}
    async with dialled(server.chat(conversation), headers=headers) as one:
        frame = await one.next()
        assert frame["type"] == "connection", frame
        yield one


async def begun(one: Socket, content: str = "hello") -> tuple[str, str]:
    """Say something and hear the answer; conversation and turn."""
    await one.send("message", content=content)
    last = (await one.until("turn_completed"))[-1]
    return last["conversation_id"], last["turn_id"]


# --- a client that need not ---


class RawSocket:
    """One WebSocket, at the level of bytes.

    Args:
        server: Whom to connect to.
        user_id: Whose token to bring.
        conversation: Which.
        receive_buffer: How much the operating system may keep for it.
    """

    def __init__(
        self,
        server: Server,
        user_id: str,
        conversation: str = "new",
        *,
        receive_buffer: int | None = None,
    ) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE_S)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        lines = [
            f"GET /ws/chat/{conversation} HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            f"Authorization: Bearer {token_of(user_id)}",
        ]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self._rest:
            self._receive()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def __enter__(self) -> "RawSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def abort(self) -> None:
        """Be gone without a word, as by a reset."""
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
        )
        self.socket.close()

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def next(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next frame; None: the connection has ended."""
        try:
            head = self._take(2)
            size = head[1]
            assert size < 128, "a server masks nothing"
            if size == 126:
                size = int.from_bytes(self._take(2), "big")
            elif size == 127:
                size = int.from_bytes(self._take(8), "big")
            return head[0] & 0x0F, self._take(size)
        except (EOFError, ConnectionError):
            return None

    def rest(self) -> Iterator[tuple[int, bytes]]:
        """Frames up to the end of the connection."""
        while (frame := self.next()) is not None:
            yield frame

    def closed(self) -> int | None:
        """The code of the server's close, behind which the connection ends; None without one."""
        code = None
        for opcode, payload in self.rest():
            assert code is None, "a frame behind the close"
            if opcode == CLOSE:
                code = int.from_bytes(payload[:2], "big")
                with contextlib.suppress(ConnectionError):
                    self.send(framed(CLOSE, payload[:2]))
        return code

    def _take(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._receive()
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def _receive(self) -> None:
        received = self.socket.recv(65_536)
        if not received:
            raise EOFError
        self._rest += received


def framed(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """A frame of a client's, or what looks like one.

    Args:
        opcode: Which kind.
        payload: What it holds.
        fin: Whether it ends its message.
        reserved: The three bits that must be 0.
        masked: As a client has to.
        length: What it claims to hold.
    """
    size = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65_536:
        head += bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + size.to_bytes(8, "big")
    # The mask of zeros leaves the payload readable here; any mask will do.
    return head + (b"\x00" * 4 if masked else b"") + payload


# Kept here so that a test can wait without a sleep of its own.
async def eventually(ask: Any, *, every_s: float = 0.05) -> None:
    """Ask again and again until the answer is yes."""
    deadline = time.monotonic() + PATIENCE_S
    while not await ask():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(every_s)


async def ended(process: Forked) -> int:
    """The exit code of a process that is about to end."""

    async def is_over() -> bool:
        return process.poll() is not None

    await eventually(is_over)
    assert process.returncode is not None
    return process.returncode
