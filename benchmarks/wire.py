"""Between a server and Postgres: tells of every round trip, by the SQL that it carried.

A round trip is one Query, one Sync, or one Flush that is answered: whoever sent it waits.
Source: PostgreSQL's documentation, “Frontend/Backend Protocol”, version 3.
"""

import asyncio
import collections
import contextlib
import itertools
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from taskchat.settings.database_url import is_socket, parse_address

_CANCEL: Final = 80877102
_ASKS_FOR_ENCRYPTION: Final = (80877103, 80877104)
_UNASKED: Final = b"ANS"
"""Notifications, notices and changed parameters answer nobody."""


@dataclass(frozen=True)
class Trip:
    """A round trip that is over.

    Attributes:
        sql: What it executed, or else prepared, in one line.
        connection: A number of the connection.
        transaction: A number that it shares with the trips of the same transaction.
        at: When it was sent, by the monotonic clock.
        said: Everything that was sent, and before it how the connection began: values too.
    """

    sql: str
    connection: int
    transaction: int
    at: float
    said: bytes = field(repr=False)


class Wire:
    """A listening proxy in front of a database; see `wired`.

    Attributes:
        url: The database's address through the proxy.
        trips: What has come through so far, in the order of the answers.
    """

    def __init__(self, url: str) -> None:
        self._target = parse_address(url).hosts[0]
        self._given = make_url(url)
        self._links: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._transactions = itertools.count(1)
        self.url = url
        self.trips: list[Trip] = []

    async def quiet(self, for_s: float = 0.3, within_s: float = 30) -> None:
        """Wait until nothing has come through for a while.

        Raises:
            TimeoutError: there is always something.
        """
        async with asyncio.timeout(within_s):
            seen = -1
            while seen != len(self.trips):
                seen = len(self.trips)
                await asyncio.sleep(for_s)

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        through = self._given.difference_update_query(["host", "port"]).set(
            host="127.0.0.1", port=server.sockets[0].getsockname()[1]
        )
        # What is encrypted can't be read.
        through = through.update_query_dict({"sslmode": "disable"})
        self.url = through.render_as_string(hide_password=False)
        return server

    async def cut_off(self) -> None:
        """End all connections."""
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.close()
        self._links.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await _startup(reader, writer)
        host, port = self._target
        if is_socket(host):
            opened = asyncio.open_unix_connection(Path(host) / f".s.PGSQL.{port}")
        else:
            opened = asyncio.open_connection(host, port)
        from_server, to_server = await opened
        to_server.write(startup)
        link = _Link(next(self._numbers), startup, self._transactions, self.trips)
        back = asyncio.create_task(_back(from_server, writer, link))
        try:
            while struct.unpack_from("!i", startup, 4)[0] != _CANCEL:
                kind, message = await _message(reader)
                link.sent(kind, message)
                to_server.write(message)
                await to_server.drain()
        finally:
            to_server.close()
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)


@contextlib.asynccontextmanager
async def wired(url: str) -> AsyncIterator[Wire]:
    """A proxy in front of the database at this address, on a port of its own."""
    wire = Wire(url)
    server = await wire.listen()
    try:
        yield wire
    finally:
        server.close()
        await wire.cut_off()


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The first message, which has no kind; nobody gets the encryption that is asked for."""
    while True:
        length = await reader.readexactly(4)
        body = await reader.readexactly(struct.unpack("!i", length)[0] - 4)
        if struct.unpack_from("!i", body)[0] not in _ASKS_FOR_ENCRYPTION:
            return length + body
        writer.write(b"N")


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack_from("!i", head, 1)[0] - 4)


async def _back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: "_Link") -> None:
    """Server to client."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            kind, message = await _message(reader)
            link.answered(kind, message)
            writer.write(message)
            await writer.drain()
    writer.close()


class _Link:
    """What one connection has said, and what of it is unanswered."""

    def __init__(
        self, number: int, startup: bytes, transactions: "itertools.count[int]", trips: list[Trip]
    ) -> None:
        self._number = number
        self._startup = startup
        self._transactions = transactions
        self._transaction = next(transactions)
        self._trips = trips
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._executed: list[str] = []
        self._other: list[str] = []
        self._said = b""
        self._flush: Trip | None = None
        self._waiting: collections.deque[Trip] = collections.deque()

    def sent(self, kind: bytes, message: bytes) -> None:
        self._said += message
        # Who says more before an answer did not wait for it.
        self._flush = None
        first, _, rest = message[5:].partition(b"\0")
        if kind == b"P":
            self._statements[first] = _line(rest.partition(b"\0")[0])
            self._other.append(f"prepare: {self._statements[first]}")
        elif kind == b"B":
            self._portals[first] = self._statements.get(rest.partition(b"\0")[0], "unknown")
        elif kind == b"E":
            self._executed.append(self._portals.get(first, "unknown"))
        elif kind == b"C":
            self._other.append("close")
        elif kind == b"Q":
            self._executed.append(_line(first))
        if kind in (b"Q", b"S"):
            self._waiting.append(self._trip())
        elif kind == b"H":
            self._flush = self._trip()

    def answered(self, kind: bytes, message: bytes) -> None:
        if kind == b"Z" and self._waiting:
            self._trips.append(self._waiting.popleft())
            if message[5:] == b"I" and not self._waiting:
                self._transaction = next(self._transactions)
        elif self._flush and kind not in _UNASKED:
            self._trips.append(self._flush)
            self._flush = None

    def _trip(self) -> Trip:
        sql = "; ".join(self._executed or self._other or ["sync"])
        said = self._startup + self._said
        self._executed, self._other, self._said = [], [], b""
        return Trip(sql, self._number, self._transaction, time.monotonic(), said)


def _line(sql: bytes) -> str:
    return " ".join(sql.decode().split())
