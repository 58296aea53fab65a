"""The limits of a connection, around apps that answer late, early, or not at all."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from tests.answers import Answer, error_of
from uvicorn.server import ServerState

from taskchat.serving import http_protocol
from taskchat.serving.http_protocol import GuardedProtocol
from taskchat.settings import Settings

App = Callable[[Any, Any, Any], Awaitable[None]]

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
PATIENCE_S = 60


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}
    )
    await send({"type": "http.response.body", "body": b"hello"})


class Gate:
    """An app that answers when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.open.wait()
        await hello(scope, receive, send)


class Reader:
    """An app that reads the whole body, and knows whether it got it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        message: Any = {"type": "http.request", "more_body": True}
        while message.get("more_body"):
            message = await receive()
        self.heard.set_result(message["type"])
        await hello(scope, receive, send)


class Watched(GuardedProtocol):
    """The protocol, counting its timers."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.armed = 0
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()

    def _arm(self, seconds: float) -> None:
        super()._arm(seconds)
        self.armed += 1


class Served:
    """An app behind the protocol, and the protocols that were made for it."""

    def __init__(self, port: int, protocols: list[Watched]) -> None:
        self.port = port
        self.protocols = protocols

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@contextlib.asynccontextmanager
async def serving(app: App, settings: Settings, **limits: float) -> AsyncIterator[Served]:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    config.load()
    state, protocols = ServerState(), list[Watched]()

    def make() -> Watched:
        protocols.append(
            Watched(
                config=config,
                server_state=state,
                app_state={},
                settings=settings.model_copy(update=limits),
            )
        )
        return protocols[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield Served(server.sockets[0].getsockname()[1], protocols)
    finally:
        server.close()
        for protocol in protocols:
            protocol.transport.close()


async def answer_from(reader: asyncio.StreamReader) -> Answer:
    line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    content = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(line.split()[1]), headers, content)


async def test_a_request_in_one_piece_on_an_open_connection_starts_no_timer(
    settings: Settings,
) -> None:
    async with serving(hello, settings) as served:
        reader, writer = await served.connect()
        for _ in range(10):
            writer.write(GET)
            assert (await answer_from(reader)).content == b"hello"
        writer.close()
    # The one that waited for the first request.
    assert [protocol.armed for protocol in served.protocols] == [1]


async def test_half_a_request_has_its_time_from_the_end_of_the_answer_before_it(
    settings: Settings,
) -> None:
    gate = Gate()
    async with serving(gate, settings, header_timeout_s=0.05) as served:
        reader, writer = await served.connect()
        writer.write(GET + GET[:10])
        await gate.asked.wait()
        # Longer than the time that half a request has on its own.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await reader.read(1)
        gate.open.set()
        assert (await answer_from(reader)).status == 200
        error_of(await answer_from(reader), 408)
        assert await reader.read() == b""
        writer.close()


async def test_an_answer_that_is_owed_comes_before_the_end(settings: Settings) -> None:
    gate = Gate()
    async with serving(gate, settings) as served:
        reader, writer = await served.connect()
        writer.write(GET + b"garbage\r\n\r\n" + GET)
        await gate.asked.wait()
        gate.open.set()
        answer = await answer_from(reader)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await reader.read() == b""
        writer.close()


async def test_an_app_that_waits_for_a_refused_body_hears_that_the_client_has_gone(
    settings: Settings,
) -> None:
    app = Reader()
    async with serving(app, settings) as served:
        reader, writer = await served.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        await app.asked.wait()
        writer.write(b"no chunk\r\n")
        error_of(await answer_from(reader), 400)
        assert await app.heard == "http.disconnect"
        assert await reader.read() == b""
        writer.close()


async def test_what_follows_an_early_answer_is_read_for_a_while_only(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "LINGER_S", 0.05)
    async with serving(hello, settings) as served:
        reader, writer = await served.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n")
        assert (await answer_from(reader)).status == 200
        assert await reader.read() == b""
        writer.close()


async def test_the_last_answer_reaches_a_client_that_is_still_sending(settings: Settings) -> None:
    head = b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 10000000\r\n\r\n"
    async with serving(hello, settings) as served:
        reader, writer = await served.connect()
        writer.write(head + b"x" * 200_000)
        assert (await answer_from(reader)).content == b"hello"
        # A connection that was closed with these unread would be reset.
        for _ in range(20):
            writer.write(b"x" * 100_000)
            await writer.drain()
        assert await reader.read() == b""
        assert not served.protocols[0].lost.is_set()
        writer.close()
        await served.protocols[0].lost.wait()


async def test_what_follows_a_refusal_is_thrown_away_for_a_while_only(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "LINGER_S", 0.05)
    async with serving(hello, settings) as served:
        reader, writer = await served.connect()
        writer.write(b"garbage\r\n\r\n")
        error_of(await answer_from(reader), 400)
        assert await reader.read() == b""
        # Our end is still open; theirs is closed for good once the while is over.
        await served.protocols[0].lost.wait()
        writer.close()


async def test_a_connection_that_is_closed_leaves_no_timer(settings: Settings) -> None:
    async with serving(hello, settings) as served:
        reader, writer = await served.connect()
        writer.write(GET)
        await answer_from(reader)
        writer.write(GET[:10])
        await writer.drain()
        writer.close()
        [protocol] = served.protocols
        await protocol.lost.wait()
        assert protocol._timer is None


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """An answer whose length nobody knows."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one ", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def test_an_older_client_reads_a_stream_until_the_connection_is_closed(
    settings: Settings,
) -> None:
    async with serving(stream, settings) as served:
        reader, writer = await served.connect()
        writer.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        writer.close()
    assert body == b"one two"
    assert b"chunked" not in head.lower()
    assert b"connection: close" in head.lower()


async def test_a_newer_client_reads_it_in_chunks(settings: Settings) -> None:
    async with serving(stream, settings) as served:
        reader, writer = await served.connect()
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head.lower()
        assert await reader.readuntil(b"0\r\n\r\n") == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_a_request_that_does_not_name_its_host_once_is_refused(
    settings: Settings, head: bytes
) -> None:
    async with serving(hello, settings) as served:
        reader, writer = await served.connect()
        writer.write(head)
        body = error_of(await answer_from(reader), 400)
        assert "Host" in body["error"]
        assert await reader.read(-1) == b""
        writer.close()


async def test_a_request_to_a_whole_address_is_answered(settings: Settings) -> None:
    paths = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["path"])
        await hello(scope, receive, send)

    async with serving(app, settings) as served:
        reader, writer = await served.connect()
        writer.write(b"GET http://test/there HTTP/1.1\r\nHost: test\r\n\r\n")
        assert (await answer_from(reader)).content == b"hello"
        writer.close()
    assert paths == ["/there"]


async def test_a_request_that_arrived_in_time_is_answered_by_a_loop_that_was_busy(
    settings: Settings,
) -> None:
    async with serving(hello, settings, header_timeout_s=0.2) as served:
        reader, writer = await served.connect()
        while not served.protocols:
            await asyncio.sleep(0)
        writer.write(GET)
        # The client's bytes are in the server's socket, and its time runs out meanwhile.
        time.sleep(0.5)  # noqa: ASYNC251 - a busy loop
        assert (await answer_from(reader)).content == b"hello"
        writer.close()
