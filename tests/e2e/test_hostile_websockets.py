"""Whatever comes in on a WebSocket, it is answered, or closed with the code that says why.

Over real sockets to servers in processes of their own. What one client does, no other one notices.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import websockets
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import MARK
from tests.conftest import JWT_SECRET
from tests.e2e.sockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PATIENCE_S,
    PING,
    PONG,
    TEXT,
    RawSocket,
    Server,
    Socket,
    admitted,
    begun,
    dialled,
    ended,
    eventually,
    figure,
    framed,
    started,
    token_of,
    up,
)
from tests.factories import Person
from tests.fuzz.wires import SOCKETS_MAX, end_sockets, sockets_with_frames

from taskchat.auth.issuing import issue_token
from taskchat.auth.tokens import LEEWAY_S
from taskchat.moments import new_id, utc_now

ALLOWED: Final = "https://app.example.org"

IDLE_S: Final = 1.5
"""Of the server that closes idle sockets early; what must go on meanwhile takes milliseconds."""

FRAMES_MAX: Final = 100
"""Frames a minute on a socket of the strict server."""

TURNS_MAX: Final = 2
"""Turns a minute in a conversation on the strict server."""

FRAME_BYTES_MAX: Final = 1024
"""Of the strict server."""

QUEUE_MAX: Final = 100
"""Frames that may wait on a socket of the second server."""

SECONDS_LEFT: Final = 4
"""Of a token that expires while its socket is open."""

UNKNOWN: Final = "0199f3a0-0000-7000-8000-00000000dead"


class Vendor:
    """A model's vendor that leaves requests unanswered until it is told to refuse them."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._told = asyncio.Event()
        self.port = 0

    def refuse(self) -> None:
        """Refuse them: the next model of the chain answers."""
        self._told.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked.set()
            await self._told.wait()
            writer.write(
                b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n"
                b"Content-Type: application/json\r\n\r\n{}"
            )
            await writer.drain()
        writer.close()

    @property
    def settings(self) -> dict[str, str]:
        """Of a server that asks it first."""
        return {
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self.port}/v1",
            "TASKCHAT_MODEL": "silent,offline",
        }


@contextlib.asynccontextmanager
async def silent_vendor() -> AsyncIterator[Vendor]:
    vendor = Vendor()
    listening = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    vendor.port = listening.sockets[0].getsockname()[1]
    try:
        yield vendor
    finally:
        vendor.refuse()
        listening.close()
        await listening.wait_closed()


@dataclass(frozen=True)
class Fleet:
    """Servers on one database.

    Attributes:
        main: As it is by default, and very talkative in its log.
        second: Another process, that takes long messages and lets few frames wait.
        strict: With low limits.
    """

    main: Server
    second: Server
    strict: Server


@pytest.fixture(scope="module")
def fleet(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with contextlib.ExitStack() as stack:

        def start(name: str, **settings: object) -> Server:
            named = {f"TASKCHAT_{key.upper()}": str(value) for key, value in settings.items()}
            return stack.enter_context(started(database_url, folder / name, **named))

        fleet = Fleet(
            main=start(
                "main",
                log_level="debug",
                allowed_origins=f"{ALLOWED}, https://Two.example.org/",
            ),
            second=start(
                "second",
                message_chars_max=100_000,
                websocket_frame_bytes_max=1_000_000,
                websocket_queue_max=QUEUE_MAX,
            ),
            strict=start(
                "strict",
                websocket_frame_bytes_max=FRAME_BYTES_MAX,
                websocket_frames_per_minute=FRAMES_MAX,
                rate_conversation_per_minute=TURNS_MAX,
            ),
        )
        servers = (fleet.main, fleet.second, fleet.strict)
        up(*servers)
        yield fleet
        # All at once, lest each be waited for in turn.
        for server in servers:
            server.process.send_signal(signal.SIGTERM)


@pytest.fixture
def main(fleet: Fleet) -> Server:
    return fleet.main


@pytest.fixture
def user() -> str:
    return Person().user_id


@pytest.fixture
async def one(main: Server, user: str) -> AsyncIterator[Socket]:
    """A socket of the user's, without a conversation yet."""
    async with admitted(main, user) as socket:
        yield socket


async def messages(server: Server, user: str, conversation: str) -> list[str]:
    """What is stored of a conversation."""
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        answer = await client.get(
            f"{server.url}/api/{user}/conversations/{conversation}/messages",
            headers={"Authorization": f"Bearer {token_of(user)}"},
        )
    return [message["content"] for message in answer.json()["data"]]


# --- who may come in: tokens ---

WAYS: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "header": lambda token: {"headers": {"Authorization": f"Bearer {token}"}},
    "subprotocol": lambda token: {"subprotocols": [f"taskchat.bearer.{token}"]},
    "query": lambda token: {"query": f"?token={token}"},
}
"""How a token can be brought."""

any_way = pytest.mark.parametrize("way", list(WAYS))


def brought(server: Server, *, query: str = "", **options: Any) -> Any:
    """A socket to a new conversation, with what is brought along."""
    return dialled(server.chat("new", query), **options)


def expired(user: str, *, seconds_ago: float) -> str:
    """A token that can't be used any more since so long, the leeway included."""
    issued = utc_now() - timedelta(seconds=600 + LEEWAY_S + seconds_ago)
    return issue_token(user, secret=JWT_SECRET, ttl_s=600, issuer=None, audience=None, now=issued)


@any_way
async def test_a_good_token_is_taken_by_each_way(main: Server, user: str, way: str) -> None:
    async with brought(main, **WAYS[way](token_of(user))) as one:
        frame = await one.next()
        assert (frame["type"], frame["user_id"]) == ("connection", user)
        assert await one.works()


@pytest.mark.parametrize("first", [True, False])
async def test_the_plain_subprotocol_is_answered_where_it_is_offered(
    main: Server, user: str, first: bool
) -> None:
    bearer = f"taskchat.bearer.{token_of(user)}"
    offered = ["taskchat", bearer] if first else [bearer, "other", "taskchat"]
    async with dialled(main.chat(), subprotocols=offered) as one:
        assert one.connection.subprotocol == "taskchat"
        assert (await one.next())["type"] == "connection"


async def test_without_the_plain_subprotocol_the_one_with_the_token_is_answered(
    main: Server, user: str
) -> None:
    bearer = f"taskchat.bearer.{token_of(user)}"
    # A browser gives up where none that it offered is answered.
    async with dialled(main.chat(), subprotocols=["other", bearer]) as one:
        assert one.connection.subprotocol == bearer
        assert (await one.next())["type"] == "connection"


async def test_a_subprotocol_that_is_not_known_is_not_answered(main: Server, user: str) -> None:
    headers = WAYS["header"](token_of(user))["headers"]
    async with dialled(main.chat(), headers=headers, subprotocols=["other"]) as one:
        assert one.connection.subprotocol is None
        assert (await one.next())["type"] == "connection"


@any_way
@pytest.mark.parametrize("flaw", ["no token at all", "forged", "expired", "unsigned", "long"])
async def test_a_bad_token_is_accepted_and_closed_with_4001(
    main: Server, user: str, way: str, flaw: str
) -> None:
    good = token_of(user)
    token = {
        "no token at all": MARK,
        "forged": f"{good[:-8]}AAAAAAAA",
        "expired": expired(user, seconds_ago=60),
        "unsigned": f"eyJhbGciOiJub25lIn0.{good.split('.')[1]}.AA",
        "long": f"{MARK}.{'x' * 7000}.x",
    }[flaw]
    async with brought(main, **WAYS[way](token)) as one:
        frames, code, reason = await one.closed()
    assert (frames, code) == ([], 4001)
    assert reason == "The token is not valid; get a new one."


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({}, "?tokens=x"),
        ({"Authorization": ""}, ""),
        ({"Authorization": "Bearer"}, ""),
        ({"Authorization": "Bearer "}, ""),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, ""),
        ({}, "?token="),
        ({}, "?token=%ff%00"),
        ({}, "?token=%0d%0aX-Evil:%201"),
    ],
)
async def test_no_token_is_closed_with_4001(
    main: Server, headers: dict[str, str], query: str
) -> None:
    async with dialled(main.chat("new", query), headers=headers) as one:
        frames, code, _ = await one.closed()
    assert (frames, code) == ([], 4001)


@pytest.mark.parametrize(
    "ways",
    [
        ("header", "header"),
        ("subprotocol", "subprotocol"),
        ("query", "query"),
        ("header", "query"),
        ("header", "subprotocol"),
        ("subprotocol", "query"),
    ],
    ids="+".join,
)
async def test_two_tokens_are_one_too_many(main: Server, user: str, ways: tuple[str, ...]) -> None:
    # Two readings of who comes are one too many, even where both say the same.
    token = token_of(user)
    headers = [("Authorization", f"Bearer {token}")] * ways.count("header")
    protocols = [f"taskchat.bearer.{token}"] * ways.count("subprotocol")
    query = "?" + "&".join([f"token={token}"] * ways.count("query"))
    async with brought(main, headers=headers, subprotocols=protocols, query=query) as one:
        frames, code, reason = await one.closed()
    assert (frames, code) == ([], 4001)
    assert reason == "Bring one token: by header, by subprotocol or by ?token=."


async def test_a_token_that_expires_closes_its_socket_with_4001(main: Server, user: str) -> None:
    issued = time.time()
    token = expired(user, seconds_ago=-SECONDS_LEFT)
    # By its own time it is expired already; only the clocks' leeway still lets it in.
    async with brought(main, **WAYS["query"](token)) as one:
        assert (await one.next())["type"] == "connection"
        frames, code, reason = await one.closed()
    assert (frames, code) == ([], 4001)
    assert reason == "The token has expired; connect with a new one."
    # A token's time is in whole seconds.
    assert time.time() >= issued + SECONDS_LEFT - 1.1
    async with brought(main, **WAYS["query"](token)) as one:
        _, code, _ = await one.closed()
    assert code == 4001


# --- who may come in: origins ---


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://127.0.0.1:PORT",
        "https://127.0.0.1:PORT",
        ALLOWED,
        "https://APP.example.org",
        "https://two.example.org",
    ],
)
async def test_its_own_page_an_allowed_one_and_no_page_may_connect(
    main: Server, user: str, origin: str | None
) -> None:
    if origin is not None:
        origin = origin.replace("PORT", str(main.port))
    async with brought(main, origin=origin, **WAYS["query"](token_of(user))) as one:
        assert (await one.next())["type"] == "connection"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1:PORT.evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://127.0.0.1:PORT@evil.example",
        "http://evil.example@127.0.0.1:PORT",
        "http://evil.example/127.0.0.1:PORT",
        "127.0.0.1:PORT",
        f"{ALLOWED}.evil.example",
        f"{ALLOWED}:444",
        "http://app.example.org",
        f"https://evil.example/{ALLOWED}",
        f"https://evil.example, {ALLOWED}",
        "http://[",
        "file://",
    ],
)
async def test_another_page_is_closed_with_4003(main: Server, user: str, origin: str) -> None:
    headers = [("Origin", origin.replace("PORT", str(main.port)))]
    async with brought(main, headers=headers, **WAYS["query"](token_of(user))) as one:
        frames, code, _ = await one.closed()
    assert (frames, code) == ([], 4003)


async def test_a_page_with_two_origins_is_no_page(main: Server, user: str) -> None:
    headers = [("Origin", ALLOWED), ("Origin", ALLOWED)]
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with brought(main, headers=headers, **WAYS["query"](token_of(user))):
            pass
    assert refused.value.response.status_code == 400


# --- who may come in: conversations ---


async def test_nobody_learns_whose_a_conversation_is_or_whether_it_exists(
    main: Server, user: str
) -> None:
    other = Person().user_id
    async with admitted(main, user) as one, admitted(main, other) as two:
        own, _ = await begun(one)
        theirs, _ = await begun(two)
    told = set()
    for address in (
        theirs,
        UNKNOWN,
        "x",
        "NEW",
        "new%20",
        "%00",
        "%ff",
        "..",
        f"%7B{own}%7D",
        own.replace("-", ""),
        f"urn:uuid:{own}",
        f"{own}%0a",
        MARK * 500,
    ):
        headers = WAYS["header"](token_of(user))["headers"]
        async with dialled(main.chat(address), headers=headers) as one:
            frames, code, reason = await one.closed()
        assert (frames, code) == ([], 4004), address
        told.add(reason)
    assert len(told) == 1
    # In the one form that it has, whatever the case of its letters, it is there.
    async with admitted(main, user, own.upper()) as one:
        assert await one.works()


async def test_a_deleted_conversation_was_never_there(
    main: Server, superuser: AsyncEngine, user: str, one: Socket
) -> None:
    conversation, _ = await begun(one)
    async with superuser.begin() as connection:
        await connection.execute(
            text("DELETE FROM conversations WHERE user_id = :user AND id = :conversation"),
            {"user": user, "conversation": conversation},
        )
    headers = WAYS["header"](token_of(user))["headers"]
    async with dialled(main.chat(conversation), headers=headers) as late:
        frames, code, _ = await late.closed()
    assert (frames, code) == ([], 4004)
    await one.send("message", content="still there?", id="m")
    frame = await one.refused()
    assert (frame["code"], frame["reply_to"]) == ("NOT_FOUND", "m")
    assert await one.works()


@pytest.mark.parametrize("address", ["/", "/ws/chat/", "/ws/chat/new/", "/ws/chat/a%2Fb", "/api"])
async def test_where_no_socket_is_a_browser_is_told_so(main: Server, address: str) -> None:
    async with websockets.connect(f"ws://127.0.0.1:{main.port}{address}") as socket:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4004
    assert closed.value.rcvd.reason.startswith("There is no socket here")


async def test_a_browser_that_offers_subprotocols_is_told_of_no_socket_too(main: Server) -> None:
    async with websockets.connect(
        f"ws://127.0.0.1:{main.port}/nowhere", subprotocols=[websockets.Subprotocol("taskchat")]
    ) as socket_:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket_.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4004


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"POST /ws/chat/new HTTP/1.1", b"400"), (b"GET /livez HTTP/1.0", b"200")],
)
def test_what_can_not_become_a_socket_is_answered(main: Server, line: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", main.port), timeout=60) as wire:
        wire.sendall(
            line + b"\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert wire.recv(65536).split()[1] == status


def test_another_version_of_the_protocol_is_told_which_one_there_is(main: Server) -> None:
    with socket.create_connection(("127.0.0.1", main.port), timeout=60) as wire:
        wire.sendall(
            b"GET /ws/chat/new HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 8\r\n\r\n"
        )
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nsec-websocket-version: 13\r\n" in answer.lower()


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"Sec-WebSocket-Key: short\r\n",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" * 2,
    ],
    ids=["none", "short", "two"],
)
def test_a_handshake_without_one_good_key_gets_400_and_is_forgotten(
    main: Server, keys: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", main.port), timeout=60) as wire:
        wire.sendall(
            b"GET /ws/chat/new HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" + keys + b"\r\n"
        )
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400 ")
    # What goes wrong when the connection is lost is in the log only, through which `started` looks.


# --- how many may come in ---


async def refused_as_too_many(server: Server, user: str) -> bool:
    """Whether another socket of the user's is refused; it is closed either way."""
    headers = WAYS["header"](token_of(user))["headers"]
    async with dialled(server.chat(), headers=headers) as one:
        first = await one.next()
        if first["type"] == "connection":
            return False
        frames, code, reason = await one.closed()
    assert (first["type"], first["code"]) == ("error", "MAX_CONNECTIONS")
    assert (frames, code, reason) == ([], 4029, first["error"])
    return True


async def is_admitted(server: Server, user: str) -> bool:
    return not await refused_as_too_many(server, user)


async def test_a_sixth_socket_of_a_user_is_closed_with_4029(main: Server, user: str) -> None:
    async with AsyncExitStack() as stack:
        open_ = [await stack.enter_async_context(admitted(main, user)) for _ in range(SOCKETS_MAX)]
        assert await refused_as_too_many(main, user)
        assert [await one.works() for one in open_] == [True] * SOCKETS_MAX
        # Another user has sockets of their own.
        assert await is_admitted(main, Person().user_id)
        await open_[2].connection.close()
        await eventually(lambda: is_admitted(main, user))


async def test_sockets_are_counted_over_all_processes(fleet: Fleet, user: str) -> None:
    async with AsyncExitStack() as stack:
        for server in (fleet.main, fleet.second, fleet.main, fleet.second):
            await stack.enter_async_context(admitted(server, user))
        last = await stack.enter_async_context(admitted(fleet.strict, user))
        for server in (fleet.main, fleet.second, fleet.strict):
            assert await refused_as_too_many(server, user)
        await last.connection.close()
        await eventually(lambda: is_admitted(fleet.main, user))


async def test_of_many_that_come_at_once_five_are_admitted(fleet: Fleet, user: str) -> None:
    headers = WAYS["header"](token_of(user))["headers"]
    enough = asyncio.Event()
    heard: list[str] = []

    async def come(server: Server) -> None:
        async with dialled(server.chat(), headers=headers) as one:
            frame = await one.next()
            heard.append(frame.get("code", frame["type"]))
            if len(heard) == 12:
                enough.set()
            await enough.wait()

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        for server in (fleet.main, fleet.second) * 6:
            group.create_task(come(server))
    assert sorted(heard) == ["MAX_CONNECTIONS"] * 7 + ["connection"] * SOCKETS_MAX


async def test_sockets_that_leave_without_a_word_count_no_more(main: Server, user: str) -> None:
    for leave in (RawSocket.abort, lambda raw: raw.socket.close()):
        for raw in [RawSocket(main, user) for _ in range(SOCKETS_MAX)]:
            assert raw.next() is not None
            leave(raw)
        await eventually(lambda: is_admitted(main, user))
    async with AsyncExitStack() as stack:

        async def all_fit() -> bool:
            for _ in range(SOCKETS_MAX):
                headers = WAYS["header"](token_of(user))["headers"]
                one = await stack.enter_async_context(dialled(main.chat(), headers=headers))
                if (await one.next())["type"] != "connection":
                    await stack.aclose()
                    return False
            return True

        await eventually(all_fit)


async def test_sockets_of_a_killed_process_count_until_its_lease_has_run_out(
    fleet: Fleet, database_url: str, tmp_path: Path, user: str
) -> None:
    with started(database_url, tmp_path, TASKCHAT_LEASE_S="1") as doomed:
        up(doomed)
        async with AsyncExitStack() as stack:
            for _ in range(SOCKETS_MAX):
                await stack.enter_async_context(admitted(doomed, user))
            # Not by a bare assertion: a machine that stands still may let the lease run out.
            await eventually(lambda: refused_as_too_many(fleet.main, user))
            os.kill(doomed.process.pid, signal.SIGKILL)
            await eventually(lambda: is_admitted(fleet.main, user))


# --- silence ---


@pytest.fixture(scope="module")
async def vendor() -> AsyncIterator[Vendor]:
    async with silent_vendor() as vendor:
        yield vendor


@pytest.fixture(scope="module")
def idle(
    vendor: Vendor, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that closes idle sockets early, and whose turns take as long as they are let."""
    with started(
        database_url,
        tmp_path_factory.mktemp("idle"),
        TASKCHAT_WEBSOCKET_IDLE_TIMEOUT_S=str(IDLE_S),
        **vendor.settings,
    ) as server:
        up(server)
        yield server


async def test_a_silent_socket_is_closed_with_4008_and_one_that_pings_is_not(
    idle: Server, user: str
) -> None:
    async with admitted(idle, user) as pinging, admitted(idle, user) as silent:
        closed = asyncio.create_task(silent.closed())
        while not closed.done():
            assert await pinging.works()
            await asyncio.wait({closed}, timeout=IDLE_S / 10)
        assert await pinging.works()
        frames, code, reason = await closed
        assert (frames, code) == ([], 4008)
        assert reason == "Nothing was said for too long; connect again."
        # Noise of the protocol is nothing that a person has said.
        await (await pinging.connection.ping())
        frames, code, _ = await pinging.closed()
        assert (frames, code) == ([], 4008)


async def test_a_socket_is_not_silent_while_its_turn_is_under_way(
    idle: Server, vendor: Vendor, user: str
) -> None:
    async with admitted(idle, user) as waiting:
        await waiting.send("message", content="hello")
        await waiting.until("openai_call", model="silent")
        # Silent for as long as this one, and then some.
        async with admitted(idle, Person().user_id) as silent:
            assert (await silent.closed())[1] == 4008
        vendor.refuse()
        assert (await waiting.until("turn_completed"))[-1]["result"]["model"] == "offline"
        # From here on it is silent like any other.
        assert (await waiting.closed())[1:2] == (4008,)


# --- what is no WebSocket frame, or none that is taken ---


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([framed(BINARY, b"{}")], 1003),
        ([framed(BINARY, b'{"type":"ping"}')], 1003),
        ([framed(BINARY, b"{", fin=False), framed(CONTINUATION, b"}")], 1003),
        ([framed(TEXT, b"\xff\xfe")], 1007),
        ([framed(TEXT, b'{"type":"ping","id":"\xed\xa0\x80"}')], 1007),
        ([framed(TEXT, b'{"type":"ping","id":"\xc0\xaf"}')], 1007),
        ([framed(TEXT, b"\xe2\x82", fin=False), framed(CONTINUATION, b"\x28")], 1007),
        ([framed(TEXT, b'{"type":"ping"}', masked=False)], 1002),
        ([framed(TEXT, b'{"type":"ping"}', reserved=4)], 1002),
        ([framed(TEXT, b'{"type":"ping"}', reserved=1)], 1002),
        ([framed(0x3, b"x")], 1002),
        ([framed(0xB, b"x")], 1002),
        ([framed(CONTINUATION, b"x")], 1002),
        ([framed(TEXT, b"x", fin=False), framed(TEXT, b"x")], 1002),
        ([framed(PING, b"x", fin=False)], 1002),
        ([framed(PING, b"x" * 126)], 1002),
        ([framed(CLOSE, b"\x03")], 1002),
        ([framed(CLOSE, (999).to_bytes(2, "big"))], 1002),
        ([framed(CLOSE, (1005).to_bytes(2, "big"))], 1002),
        ([framed(CLOSE, (1000).to_bytes(2, "big") + b"\xff")], 1007),
    ],
    ids=[
        "binary",
        "binary JSON",
        "binary in pieces",
        "no UTF-8",
        "surrogate in UTF-8",
        "overlong UTF-8",
        "broken UTF-8 over two pieces",
        "unmasked",
        "compressed",
        "reserved bit",
        "reserved opcode",
        "reserved control opcode",
        "continuation of nothing",
        "message within a message",
        "control in pieces",
        "long control",
        "half a code",
        "no code",
        "code that is never sent",
        "reason in no UTF-8",
    ],
)
def test_what_breaks_the_protocol_is_closed_with_its_code(
    main: Server, user: str, frames: list[bytes], code: int
) -> None:
    with RawSocket(main, user) as raw, RawSocket(main, user) as other:
        assert raw.next() is not None
        assert other.next() is not None
        raw.send(*frames)
        assert raw.closed() == code
        other.send(framed(TEXT, b'{"type":"ping"}'))
        assert other.next() == (TEXT, b'{"type":"pong"}')


@pytest.mark.parametrize(
    "frames",
    [
        [framed(TEXT, b" " * (FRAME_BYTES_MAX + 1))],
        [framed(TEXT, b"", length=2**62)],
        [framed(TEXT, b" " * FRAME_BYTES_MAX, fin=False), framed(CONTINUATION, b" ")],
        [framed(TEXT, b" " * 600, fin=False), framed(CONTINUATION, b"", length=600, fin=False)],
        [framed(BINARY, b" " * (FRAME_BYTES_MAX + 1))],
    ],
    ids=["one too many", "exabytes", "in two pieces", "announced", "binary"],
)
def test_a_frame_that_is_too_long_is_closed_with_1009(
    fleet: Fleet, user: str, frames: list[bytes]
) -> None:
    with RawSocket(fleet.strict, user) as raw:
        assert raw.next() is not None
        raw.send(*frames)
        assert raw.closed() == 1009


def test_a_frame_may_be_as_long_as_it_may_and_come_in_any_pieces(fleet: Fleet, user: str) -> None:
    ping = '{"type":"ping","id":"zü"}'.encode()
    pong = (TEXT, '{"type":"pong","reply_to":"zü"}'.encode())
    with RawSocket(fleet.strict, user) as raw:
        assert raw.next() is not None
        raw.send(framed(TEXT, ping.ljust(FRAME_BYTES_MAX)))
        assert raw.next() == pong
        # Byte by byte in frames of their own, through the middle of a character, with a ping of
        # the protocol in between.
        pieces = [
            framed(CONTINUATION if at else TEXT, ping[at : at + 1], fin=at == len(ping) - 1)
            for at in range(len(ping))
        ]
        raw.send(*pieces[:5], framed(PING, b"hey"), *pieces[5:])
        assert raw.next() == (PONG, b"hey")
        assert raw.next() == pong
        # And byte by byte on the wire.
        for byte in framed(TEXT, ping):
            raw.send(bytes([byte]))
        assert raw.next() == pong


def test_pongs_that_nobody_asked_for_and_empty_frames_are_no_end(main: Server, user: str) -> None:
    with RawSocket(main, user) as raw:
        assert raw.next() is not None
        raw.send(framed(PONG, b"x") * 100, framed(PING))
        assert raw.next() == (PONG, b"")
        raw.send(framed(TEXT))
        frame = raw.next()
        assert frame is not None
        assert json.loads(frame[1])["code"] == "INVALID_JSON"


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_who_closes_is_answered_with_the_same_code(main: Server, user: str, code: int) -> None:
    with RawSocket(main, user) as raw:
        assert raw.next() is not None
        raw.send(framed(CLOSE, code.to_bytes(2, "big") + b"bye"))
        assert raw.closed() == code


async def test_mutated_frames_and_sudden_ends_stop_nobody(main: Server, user: str) -> None:
    dice = random.Random(11)
    async with admitted(main, user) as bystander:
        for _ in range(8):
            with sockets_with_frames(main, dice, people=4) as raws:
                assert await bystander.works()
                end_sockets(raws)
            assert await bystander.works()


# --- what is no frame of ours ---

NESTED: Final = "[" * 20_000

HOSTILE: Final[dict[str, tuple[str, str]]] = {
    # What is no JSON.
    "nothing": ("", "INVALID_JSON"),
    "blank": (" \n", "INVALID_JSON"),
    "words": (f"hello {MARK}", "INVALID_JSON"),
    "half an object": ('{"type":"ping"', "INVALID_JSON"),
    "two objects": ('{"type":"ping"}{"type":"ping"}', "INVALID_JSON"),
    "single quotes": ("{'type':'ping'}", "INVALID_JSON"),
    "trailing comma": ('{"type":"ping",}', "INVALID_JSON"),
    "comment": ('{"type":"ping"/**/}', "INVALID_JSON"),
    "byte order mark": ('\ufeff{"type":"ping"}', "INVALID_JSON"),
    "raw NUL": ('{"type":"ping","id":"\x00"}', "INVALID_JSON"),
    "raw newline": ('{"type":"ping","id":"\n"}', "INVALID_JSON"),
    "lone surrogate": (r'{"type":"message","content":"\ud800"}', "INVALID_JSON"),
    "lone surrogate in a key": (r'{"type":"ping","\udc00":1}', "INVALID_JSON"),
    "turned surrogates": (r'{"type":"message","content":"\udc00\ud800"}', "INVALID_JSON"),
    # What is JSON to the letter, and more than a parser need take (RFC 8259, section 9).
    "deep arrays": (NESTED + "]" * len(NESTED), "INVALID_JSON"),
    "deep objects": ('{"a":' * 10_000 + "1" + "}" * 10_000, "INVALID_JSON"),
    "deep in a key": ('{"type":"ping","x":' + NESTED, "INVALID_JSON"),
    "endless number": ("9" * 50_000, "INVALID_JSON"),
    "endless place": (
        f'{{"type":"resume","turn_id":"{UNKNOWN}","after_seq":{"9" * 5000}}}',
        "INVALID_JSON",
    ),
    # JSON that is no frame.
    "null": ("null", "INVALID_MESSAGE"),
    "number": ("1", "INVALID_MESSAGE"),
    "large number": ("9" * 300, "INVALID_MESSAGE"),
    "NaN": ("NaN", "INVALID_MESSAGE"),
    "text": (f'"{MARK}"', "INVALID_MESSAGE"),
    "array": ('[{"type":"ping"}]', "INVALID_MESSAGE"),
    "empty array": ("[]", "INVALID_MESSAGE"),
    "empty object": ("{}", "INVALID_MESSAGE"),
    "unknown type": (f'{{"type":"{MARK}"}}', "INVALID_MESSAGE"),
    "type of another case": ('{"type":"Ping"}', "INVALID_MESSAGE"),
    "server's type": ('{"type":"turn_completed"}', "INVALID_MESSAGE"),
    "no type": ('{"content":"hello"}', "INVALID_MESSAGE"),
    "null type": ('{"type":null}', "INVALID_MESSAGE"),
    "type in an array": ('{"type":["ping"]}', "INVALID_MESSAGE"),
    "NaN type": ('{"type":NaN}', "INVALID_MESSAGE"),
    # Frames with something wrong in them.
    "extra key": (f'{{"type":"ping","{MARK}":"{MARK}"}}', "INVALID_MESSAGE"),
    "prototype": ('{"type":"ping","__proto__":{"type":"x"}}', "INVALID_MESSAGE"),
    "key twice": ('{"type":"ping","id":"a","id":"b"}', "INVALID_MESSAGE"),
    "type twice": ('{"type":"end_session","type":"ping"}', "INVALID_MESSAGE"),
    "key twice by escape": (r'{"type":"ping","id":"a","\u0069d":"b"}', "INVALID_MESSAGE"),
    "number as id": ('{"type":"ping","id":1}', "INVALID_MESSAGE"),
    "NaN as id": ('{"type":"ping","id":NaN}', "INVALID_MESSAGE"),
    "object as id": ('{"type":"ping","id":{}}', "INVALID_MESSAGE"),
    "long id": (f'{{"type":"ping","id":"{MARK}{"x" * 64}"}}', "INVALID_MESSAGE"),
    "no content": ('{"type":"message"}', "INVALID_MESSAGE"),
    "null content": ('{"type":"message","content":null}', "INVALID_MESSAGE"),
    "number as content": ('{"type":"message","content":7}', "INVALID_MESSAGE"),
    "array as content": ('{"type":"message","content":["x"]}', "INVALID_MESSAGE"),
    "empty content": ('{"type":"message","content":""}', "INVALID_MESSAGE"),
    "blank content": ('{"type":"message","content":" \\n\\t "}', "INVALID_MESSAGE"),
    "invisible content": (
        r'{"type":"message","content":"\u200b\u2060\ufeff\u3164\u2800"}',
        "INVALID_MESSAGE",
    ),
    "NUL in content": (rf'{{"type":"message","content":"{MARK}\u0000"}}', "INVALID_MESSAGE"),
    "5,001 characters": (
        json.dumps({"type": "message", "content": MARK + "x" * (5001 - len(MARK))}),
        "INVALID_MESSAGE",
    ),
    "conversation in a message": (
        f'{{"type":"message","content":"x","conversation_id":"{UNKNOWN}"}}',
        "INVALID_MESSAGE",
    ),
    "empty key": ('{"type":"message","content":"x","idempotency_key":""}', "INVALID_MESSAGE"),
    "long key": (
        json.dumps({"type": "message", "content": "x", "idempotency_key": "k" * 256}),
        "INVALID_MESSAGE",
    ),
    "newline in a key": (
        r'{"type":"message","content":"x","idempotency_key":"k\n"}',
        "INVALID_MESSAGE",
    ),
    "umlaut in a key": (
        '{"type":"message","content":"x","idempotency_key":"ü"}',
        "INVALID_MESSAGE",
    ),
    "no turn": ('{"type":"cancel"}', "INVALID_MESSAGE"),
    "number as turn": ('{"type":"cancel","turn_id":1}', "INVALID_MESSAGE"),
    "word as turn": (f'{{"type":"cancel","turn_id":"{MARK}"}}', "INVALID_MESSAGE"),
    "turn in braces": (f'{{"type":"cancel","turn_id":"{{{UNKNOWN}}}"}}', "INVALID_MESSAGE"),
    "no place": (f'{{"type":"resume","turn_id":"{UNKNOWN}"}}', "INVALID_MESSAGE"),
    **{
        f"place {place[:8]}": (
            f'{{"type":"resume","turn_id":"{UNKNOWN}","after_seq":{place}}}',
            "INVALID_MESSAGE",
        )
        for place in ("-1", "2147483648", "1.5", "1.0", "1e3", "true", '"1"', "null", "9" * 99)
    },
    "empty answer": (
        f'{{"type":"feedback_response","feedback_id":"{UNKNOWN}","answer":""}}',
        "INVALID_MESSAGE",
    ),
}


@pytest.mark.parametrize("case", list(HOSTILE))
async def test_what_is_no_frame_is_refused_without_an_echo_and_the_socket_stays(
    one: Socket, case: str
) -> None:
    hostile, code = HOSTILE[case]
    await one.connection.send(hostile)
    frame = await one.refused()
    assert set(frame) == {"type", "code", "error", "conversation_id", "turn_id", "request_id"}
    assert frame["code"] == code
    assert frame["error"].endswith(".")
    assert MARK not in json.dumps(frame)
    assert len(frame["error"]) < 300
    assert await one.works()


async def test_behind_all_that_a_socket_takes_messages_and_has_stored_nothing_else(
    main: Server, user: str, one: Socket
) -> None:
    for hostile, _ in HOSTILE.values():
        await one.connection.send(hostile)
    codes = [(await one.refused())["code"] for _ in HOSTILE]
    assert codes == [code for _, code in HOSTILE.values()]
    content = "x" * 4999 + "\U0001f600"
    await one.send("message", content=f"  {content}\n")
    frames = await one.until("turn_completed")
    assert next(f for f in frames if f["type"] == "turn_started")["content"] == content
    stored = await messages(main, user, frames[-1]["conversation_id"])
    assert stored[0] == content
    assert len(stored) == 2


# --- too many ---


async def test_over_the_rate_a_message_is_refused_and_not_stored_and_the_socket_stays(
    fleet: Fleet, user: str
) -> None:
    async with admitted(fleet.strict, user) as one:
        for _ in range(TURNS_MAX):
            conversation, _ = await begun(one)
        for number in range(3):
            frame = await one.answer("message", content=MARK, id=f"m{number}")
            assert set(frame) == {"type", "code", "error", "retry_after", "reply_to"}
            assert (frame["type"], frame["code"]) == ("rate_limit_exceeded", "RATE_LIMITED")
            assert frame["reply_to"] == f"m{number}"
            assert 1 <= frame["retry_after"] <= 60 / TURNS_MAX
        assert await one.works()
        # Another conversation has a bucket of its own.
        async with admitted(fleet.strict, user) as two:
            await begun(two)
        assert await one.works()
    assert MARK not in await messages(fleet.strict, user, conversation)
    assert len(await messages(fleet.strict, user, conversation)) == 2 * TURNS_MAX


async def test_too_many_frames_are_refused_each_and_the_socket_stays(
    fleet: Fleet, user: str
) -> None:
    async with admitted(fleet.strict, user) as one, admitted(fleet.strict, user) as two:
        for number in range(2 * FRAMES_MAX):
            # Whether they are any good makes no difference.
            await one.connection.send('{"type":"ping"}' if number % 2 else f"{{{MARK}")
        frames = [await one.next() for _ in range(2 * FRAMES_MAX)]
        refused = [frame for frame in frames if frame.get("code") == "RATE_LIMITED"]
        assert not any(frame in refused for frame in frames[:FRAMES_MAX])
        # Only what a slow machine lets the bucket regain meanwhile is missing.
        assert len(refused) > FRAMES_MAX / 2
        assert refused[0]["error"] == f"{FRAMES_MAX} frames a minute are allowed; slow down."
        # Each socket has a bucket of its own, and it fills again.
        assert await two.works()

        async def is_heard() -> bool:
            return await one.answer("ping") == {"type": "pong"}

        await eventually(is_heard)


# --- what has ended ---


async def test_an_ended_session_is_told_to_all_of_its_sockets_and_to_nobody_else(
    fleet: Fleet, user: str, one: Socket
) -> None:
    conversation, _ = await begun(one)
    other = Person().user_id
    async with (
        admitted(fleet.main, user, conversation) as here,
        admitted(fleet.second, user, conversation) as there,
        admitted(fleet.main, user) as elsewhere,
        admitted(fleet.main, other) as stranger,
    ):
        await begun(stranger)
        ended_ = {"type": "session_ended", "conversation_id": conversation}
        assert await one.answer("end_session", id="e") == {**ended_, "reply_to": "e"}
        assert await here.next() == ended_
        assert await there.next() == ended_
        for socket in (one, here, there):
            frame = await socket.answer("message", content=MARK, id="m")
            assert (frame["type"], frame["code"]) == ("error", "CONVERSATION_ENDED")
            assert (frame["reply_to"], frame["conversation_id"]) == ("m", conversation)
            frame = await socket.answer("start_session")
            assert (frame["type"], frame["code"]) == ("error", "CONVERSATION_ENDED")
        # Nothing has been said in between on those that have nothing to do with it.
        for socket in (one, here, there, elsewhere, stranger):
            assert await socket.works()
    assert MARK not in await messages(fleet.main, user, conversation)


async def test_a_session_that_never_began_cannot_be_ended(one: Socket) -> None:
    frame = await one.answer("end_session", id="e")
    assert (frame["type"], frame["code"], frame["reply_to"]) == ("error", "NOT_FOUND", "e")
    assert await one.works()


# --- once is once ---


def events(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [frame for frame in frames if "seq" in frame]


async def test_the_same_key_is_the_same_turn_on_every_process(fleet: Fleet, user: str) -> None:
    key = {"content": "hello", "idempotency_key": new_id().hex}
    async with admitted(fleet.main, user) as one:
        conversation, _ = await begun(one)
        await one.send("message", **key)
        first = await one.until("turn_completed")
        assert first[0]["replayed"] is False
        for server in (fleet.main, fleet.second):
            async with admitted(server, user, conversation) as again:
                await again.send("message", **key, id="m")
                frames = await again.until("turn_completed")
                assert frames[0] == {
                    "type": "acknowledgment",
                    "turn_id": first[0]["turn_id"],
                    "conversation_id": conversation,
                    "replayed": True,
                    "reply_to": "m",
                }
                assert events(frames) == events(first)
                assert await again.works()
        # Who did not ask has not heard it twice.
        assert await one.works()
    assert len(await messages(fleet.main, user, conversation)) == 4


async def test_the_same_key_with_something_else_is_refused(
    main: Server, user: str, one: Socket
) -> None:
    conversation, _ = await begun(one)
    key = new_id().hex
    await one.send("message", content="hello", idempotency_key=key)
    await one.until("turn_completed")
    frame = await one.answer("message", content=MARK, idempotency_key=key, id="m")
    assert (frame["type"], frame["code"]) == ("error", "IDEMPOTENCY_MISMATCH")
    assert frame["reply_to"] == "m"
    assert MARK not in json.dumps(frame)
    assert await one.works()
    assert MARK not in await messages(main, user, conversation)


async def test_the_same_key_at_another_user_is_another_turn(main: Server) -> None:
    turns = set()
    key = new_id().hex
    for _ in range(2):
        async with admitted(main, Person().user_id) as one:
            await one.send("message", content="hello", idempotency_key=key)
            frames = await one.until("turn_completed")
            assert frames[1]["replayed"] is False
            turns.add(frames[1]["turn_id"])
    assert len(turns) == 2


# --- other people's turns ---


async def test_of_turns_that_are_not_its_own_a_socket_learns_nothing(
    main: Server, user: str, one: Socket
) -> None:
    async with admitted(main, user) as two, admitted(main, Person().user_id) as stranger:
        _, own = await begun(one)
        _, elsewhere = await begun(two)
        _, theirs = await begun(stranger)
        told: dict[str, set[str]] = {"resume": set(), "cancel": set(), "feedback_response": set()}
        for turn in (theirs, UNKNOWN):
            for type_, fields in (
                ("resume", {"turn_id": turn, "after_seq": 0}),
                ("cancel", {"turn_id": turn}),
                ("feedback_response", {"feedback_id": turn, "answer": "approve"}),
            ):
                frame = await one.answer(type_, **fields, id="x")
                assert (frame["type"], frame["code"]) == ("error", "NOT_FOUND")
                assert (frame["reply_to"], frame["conversation_id"]) == ("x", None)
                told[type_].add(frame["error"].replace(turn, "ID"))
        assert {type_: len(sentences) for type_, sentences in told.items()} == {
            "resume": 1,
            "cancel": 1,
            "feedback_response": 1,
        }
        # Nor does one that follows another conversation, or none, tell of its owner's turns.
        frame = await one.answer("resume", turn_id=elsewhere, after_seq=0)
        assert frame["code"] == "NOT_FOUND"
        async with admitted(main, user) as new:
            frame = await new.answer("resume", turn_id=own, after_seq=0)
            assert frame["code"] == "NOT_FOUND"
            assert await new.works()
        for socket in (one, two, stranger):
            assert await socket.works()


async def test_a_turn_that_is_over_cannot_be_cancelled(one: Socket) -> None:
    conversation, turn = await begun(one)
    frame = await one.answer("cancel", turn_id=turn, id="c")
    assert (frame["type"], frame["code"]) == ("error", "TURN_NOT_CANCELLABLE")
    assert (frame["reply_to"], frame["turn_id"]) == ("c", turn)
    assert frame["conversation_id"] == conversation
    assert await one.works()


async def test_a_place_behind_the_last_is_the_end_of_the_turn(one: Socket) -> None:
    await one.send("message", content="hello")
    told = await one.until("turn_completed")
    turn, last = told[-1]["turn_id"], told[-1]["seq"]
    await one.send("resume", turn_id=turn, after_seq=last - 1)
    assert await one.next() == told[-1]
    await one.send("resume", turn_id=turn, after_seq=2**31 - 1)
    assert await one.works()
    # Whoever went astray can still go back.
    await one.send("resume", turn_id=turn, after_seq=0)
    assert events(await one.until("turn_completed")) == events(told)


# --- who does not read ---


async def test_who_does_not_read_is_closed_and_who_does_is_told_everything(
    fleet: Fleet, user: str
) -> None:
    server = fleet.second
    # More than what the operating system holds for a peer, in fewer frames than may wait.
    content = "\U0001f600" * 60_000
    closes = 'taskchat_websocket_closes_total{code="1013"}'
    assert await figure(server, closes) == 0
    async with admitted(server, user) as one:
        conversation, _ = await begun(one)
        with RawSocket(server, user, conversation, receive_buffer=4096) as slow:
            turns: list[str] = []
            heard: list[dict[str, Any]] = []
            # Closed for the frames that wait, or on a slow machine for the seconds without a byte.
            while (
                not await figure(server, closes)
                and await figure(server, "websocket_active_connections") > 1
            ):
                assert len(turns) < 100
                await one.send("message", content=content)
                frames = await one.until("turn_completed")
                turns.append(frames[-1]["turn_id"])
                heard += events(frames)
            # Had anything been lost to this one, its numbers would have gaps.
            for turn in turns:
                numbers = [event["seq"] for event in heard if event["turn_id"] == turn]
                assert numbers == list(range(1, len(numbers) + 1))
            assert await one.works()
            assert slow.closed() in {1013, None}
        # It connects again and resumes, and has missed nothing either.
        async with admitted(server, user, conversation) as again:
            await again.send("resume", turn_id=turns[0], after_seq=0)
            told: list[dict[str, Any]] = []
            while not told or (told[-1]["turn_id"], told[-1]["type"]) != (
                turns[-1],
                "turn_completed",
            ):
                told.append(await again.next())
            assert told == heard
            assert await again.works()


# --- a process that stops ---


async def test_a_stopping_process_tells_its_sockets_finishes_their_turns_and_closes_with_1012(
    database_url: str, tmp_path: Path, user: str
) -> None:
    async with silent_vendor() as vendor, AsyncExitStack() as stack:
        server = stack.enter_context(started(database_url, tmp_path, **vendor.settings))
        up(server)
        busy = await stack.enter_async_context(admitted(server, user))
        await busy.send("message", content="hello")
        frames = await busy.until("openai_call", model="silent")
        conversation = frames[-1]["conversation_id"]
        idle = [
            await stack.enter_async_context(admitted(server, user, conversation)),
            await stack.enter_async_context(admitted(server, Person().user_id)),
        ]
        # It neither reads nor answers a close.
        mute = stack.enter_context(RawSocket(server, user))
        assert mute.next() is not None
        server.process.send_signal(signal.SIGTERM)
        for one in (busy, *idle):
            notice = (await one.until("system"))[-1]
            assert (notice["type"], notice["action"]) == ("system", "shutdown")
            assert 0.5 <= notice["reconnect_after"] <= 3.0
        # Who comes only now is sent on, but not without a token.
        headers = WAYS["header"](token_of(user))["headers"]
        async with dialled(server.chat(), headers=headers) as late:
            frames, code, _ = await late.closed()
            assert [frame["type"] for frame in frames] == ["system"]
            assert code == 1012
        async with dialled(server.chat()) as nobody:
            assert (await nobody.closed())[1] == 4001
        # What runs is finished; nothing new begins.
        frame = await busy.answer("message", content=MARK)
        assert (frame["type"], frame["code"]) == ("error", "SHUTTING_DOWN")
        for one in (busy, *idle):
            assert await one.works()
        vendor.refuse()
        assert (await busy.until("turn_completed"))[-1]["result"]["model"] == "offline"
        frames, code, reason = await busy.closed()
        assert (frames, code, reason) == ([], 1012, "This server restarts; connect again.")
        assert (await idle[0].until("turn_completed"))[-1]["conversation_id"] == conversation
        for one in idle:
            frames, code, _ = await one.closed()
            assert (frames, code) == ([], 1012)
        assert await ended(server.process) == 0
        left = list(mute.rest())
        assert [opcode for opcode, _ in left] == [TEXT, CLOSE]
        assert json.loads(left[0][1])["type"] == "system"
        assert left[1][1][:2] == (1012).to_bytes(2, "big")


async def test_without_a_database_a_socket_is_told_so_and_closed_with_1013(
    tmp_path: Path, user: str
) -> None:
    with started("postgresql://nobody@127.0.0.1:1/nowhere", tmp_path) as server:
        up(server)
        headers = WAYS["header"](token_of(user))["headers"]
        for conversation in ("new", UNKNOWN):
            async with dialled(server.chat(conversation), headers=headers) as one:
                frames, code, reason = await one.closed()
            assert [(frame["type"], frame["code"]) for frame in frames] == [
                ("error", "DATABASE_ERROR")
            ]
            assert code == 1013
            assert "127.0.0.1" not in json.dumps(frames) + reason
        # Who it is, is known without one.
        async with dialled(server.chat()) as nobody:
            assert (await nobody.closed())[1] == 4001


# --- what is written down ---


async def test_no_token_and_no_message_is_in_the_log(main: Server, user: str) -> None:
    good, old = token_of(user), expired(user, seconds_ago=60)
    for token in (good, old, f"{MARK}.{MARK}.{MARK}"):
        for way in WAYS.values():
            async with brought(main, **way(token)) as one:
                first = None
                with contextlib.suppress(websockets.ConnectionClosed):
                    first = await one.next()
                if first is not None:
                    await one.connection.send(MARK)
                    await one.refused()
                    await begun(one, f"Add task: {MARK}")
                    await one.connection.send(MARK.encode())
                    assert (await one.closed())[1] == 1003
    written = main.log.read_text()
    assert '"level": "debug"' in written
    for secret in (MARK, "eyJ", good.split(".")[2], "token="):
        assert secret not in written
