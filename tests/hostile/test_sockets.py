"""The rows that are about a connection, over real sockets at every way in; and frames of one."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import MARK, Answer
from tests.conftest import AppMaker, RunningApp, in_a_task_of_its_own
from tests.factories import Person
from tests.hostile.rows import FRAME, ROWS, Kind, Row
from tests.hostile.test_rows import check_refusal
from tests.hostile.ways import SOCKET, Way, ways_of
from tests.isolation.test_tables import rows_of
from tests.live.served import PATIENCE_S, served, socket

IDS = "0199f3a0-0000-7000-8000-00000000dead"


@pytest.fixture(scope="module")
async def short(running_app: AppMaker) -> AsyncIterator[tuple[RunningApp, str]]:
    """A service that waits for nobody, and its address."""

    async with in_a_task_of_its_own(running_app(header_timeout_s=1, body_timeout_s=1)) as running:
        async with in_a_task_of_its_own(served(running)) as url:
            yield running, url


@pytest.fixture(scope="module")
async def small(running_app: AppMaker) -> AsyncIterator[tuple[RunningApp, str]]:
    """A service that waits for long, but takes little, and its address."""
    sizes = dict.fromkeys(("body_bytes_max", "ui_body_bytes_max", "import_bytes_max"), 20_000)
    async with in_a_task_of_its_own(running_app(body_timeout_s=PATIENCE_S, **sizes)) as running:
        async with in_a_task_of_its_own(served(running)) as url:
            yield running, url


async def sent(url: str, raw: bytes, *, more: bytes = b"") -> Answer:
    """The answer to these bytes, and to as many more as it takes."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head_read = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    try:
        writer.write(raw)
        async with asyncio.timeout(PATIENCE_S):
            while more and not head_read.done():
                writer.write(more)
                await asyncio.wait({head_read}, timeout=0.005)
            first, *lines = (await head_read).decode("latin-1").rstrip().split("\r\n")
            pairs = (line.partition(": ") for line in lines)
            headers = {name.lower(): value for name, _, value in pairs}
            body = await reader.readexactly(int(headers["content-length"]))
    finally:
        writer.transport.abort()
    return Answer(int(first.split()[1]), headers, body)


def head_of(way: Way, person: Person, *lines: str) -> bytes:
    """The first lines of a request, as good as can be, and these."""
    address = way.address(person.user_id, dict.fromkeys(way.ids, IDS))
    return "\r\n".join(
        [
            f"{way.method} {address} HTTP/1.1",
            "Host: test",
            f"Authorization: {person.headers['Authorization']}",
            "Content-Type: application/json",
            *lines,
            "\r\n",
        ]
    ).encode()


async def test_every_way_in_refuses_what_hides_its_end_or_has_too_many_headers(
    short: tuple[RunningApp, str],
) -> None:
    running, url = short
    person = Person()
    ways = ways_of(running.app, running.turns.settings)
    assert len(ways) >= 70
    both = ("Content-Length: 2", "Transfer-Encoding: chunked")
    many = tuple(f"X-{number}: {MARK}" for number in range(101))
    for way in ways:
        smuggled = head_of(way, person, *both) + b"0\r\n\r\nGET /livez HTTP/1.1\r\n\r\n"
        check_refusal(await sent(url, smuggled), 400, way.path)
        check_refusal(await sent(url, head_of(way, person, *many)), 431, way.path)


def with_a_body(running: RunningApp) -> list[Way]:
    """The ways in that read a body."""
    ways = [
        way
        for way in ways_of(running.app, running.turns.settings)
        # A token of others opens no account, and its routes read no body then.
        if way.has_body and not (way.path.startswith("/api/auth/") and way.is_secured)
    ]
    assert len(ways) >= 20
    return ways


async def test_every_way_in_that_takes_a_body_ends_one_that_does_not(
    small: tuple[RunningApp, str], superuser: AsyncEngine
) -> None:
    running, url = small
    person = Person()
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    for way in with_a_body(running):
        endless = await sent(url, head_of(way, person, "Transfer-Encoding: chunked"), more=chunk)
        check_refusal(endless, 413, way.path)
    rows = await rows_of(superuser, person)
    assert {table for table, kept in rows.items() if kept} <= {"users"}


async def test_every_way_in_that_takes_a_body_waits_for_it_no_longer_than_it_may(
    short: tuple[RunningApp, str], superuser: AsyncEngine
) -> None:
    running, url = short
    person = Person()
    ways = with_a_body(running)
    halves = await asyncio.gather(
        *(sent(url, head_of(way, person, "Content-Length: 100") + b'{"') for way in ways)
    )
    for way, half in zip(ways, halves, strict=True):
        check_refusal(half, 408, way.path)
    rows = await rows_of(superuser, person)
    assert {table for table, kept in rows.items() if kept} <= {"users"}


FRAMES = [row for row in ROWS if row.kind in {Kind.BODY, Kind.TEXT, Kind.MESSAGE}]
FRAMES = [row for row in FRAMES if row.socket == FRAME]


@pytest.mark.parametrize("row", FRAMES, ids=lambda row: row.words[:60])
async def test_a_row_in_a_frame_is_refused_by_a_frame_and_the_socket_stays(
    short: tuple[RunningApp, str], superuser: AsyncEngine, row: Row
) -> None:
    person = Person()
    async with socket(short[1], person) as one:
        await one.next()
        for content in row.sent.values():
            raw = content(SOCKET) if row.kind is Kind.BODY else SOCKET.saying(content)
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                # It ends the socket: tests/e2e/test_hostile_websockets.py.
                continue
            await one.connection.send(text)
            frame = await one.next()
            assert (frame["type"], frame["code"][:8]) == ("error", "INVALID_"), text[:100]
            assert MARK not in json.dumps(frame)
        await one.send("ping")
        assert (await one.next())["type"] == "pong"
    assert (await rows_of(superuser, person))["messages"] == []
