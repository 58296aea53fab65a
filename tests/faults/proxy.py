"""Between a service and Postgres: cuts connections at a commit, falls silent, poses as a pooler.

To the service both sides of a commit look alike: the connection was lost and nobody knows whether
it committed. A statement outside of a transaction is its own commit. Silence is what a firewall
does that forgets idle connections: nothing passes, and nothing is said.
"""

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

Side = Literal["before", "after"]

COMMIT = b"Q" + struct.pack("!i", 12) + b"COMMIT;\0"
TERMINATE = b"X" + struct.pack("!i", 4)
KEY_DATA = b"K" + struct.pack("!i", 12)


@dataclass
class Cut:
    """One cut that is to be made.

    Attributes:
        marker: Text of a statement of the transaction whose commit is meant.
        side: Whether the commit reaches the server.
        made: Set once it is done.
    """

    marker: str
    side: Side
    made: asyncio.Event


class Proxy:
    """A proxy on a port of its own. Use as `async with Proxy(socket_path, url) as proxy:`.

    Args:
        socket_path: Where the server listens.
        url: Of the database.
        pools: Whether clients are told of another server process than the one that serves them.
    """

    def __init__(self, socket_path: Path, url: str, *, pools: bool = False) -> None:
        self._pools = pools
        self._socket_path = socket_path
        self._database = urlsplit(url).path
        self._cut: Cut | None = None
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._silent: set[asyncio.Task[None]] = set()
        self.unheard: list[bytes] = []
        self.url = ""

    async def __aenter__(self) -> "Proxy":
        """Listen."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}{self._database}?sslmode=disable"
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop, and cut everybody off."""
        assert self._server is not None
        self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def cut(self, marker: str, side: Side) -> asyncio.Event:
        """Cut the next transaction that holds such a statement; the event says that it is done."""
        self._cut = Cut(marker, side, asyncio.Event())
        return self._cut.made

    def silence(self) -> int:
        """Pass on nothing more for the connections that there are; returns how many.

        New ones work. `unheard` then holds what was said and got no answer, but for farewells.
        """
        self._silent |= self._links
        return len(self._silent)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._link(reader, writer)
        writer.close()
        self._links.discard(task)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(str(self._socket_path))
        link = asyncio.current_task()
        assert link is not None
        back = asyncio.create_task(self._back(from_server, writer, link))
        try:
            last_words = await self._forward(reader, to_server, link)
            if last_words:
                # The answer must not come back, and the commit must be over: the server hangs up
                # when it has read the Terminate behind it.
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
                to_server.write(last_words + TERMINATE)
                await from_server.read(-1)
        finally:
            back.cancel()
            to_server.close()
            await asyncio.gather(back, return_exceptions=True)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        link: asyncio.Task[None],
    ) -> bytes:
        """Client to server, message by message, up to the commit where the cut is made.

        Returns:
            What the server is still to hear: the commit, or nothing.
        """
        length = await reader.readexactly(4)
        startup = await reader.readexactly(struct.unpack("!i", length)[0] - 4)
        to_server.write(length + startup)
        prepared: dict[bytes, bytes] = {}
        said, begun = b"", False
        while True:
            head = await reader.readexactly(5)
            kind, size = head[:1], struct.unpack("!i", head[1:])[0]
            body = await reader.readexactly(size - 4)
            if link in self._silent:
                if kind != TERMINATE[:1]:
                    self.unheard.append(head + body)
                continue
            if kind == b"P":
                name, _, rest = body.partition(b"\0")
                prepared[name] = rest
            elif kind == b"B":
                _portal, _, rest = body.partition(b"\0")
                said += prepared.get(rest.partition(b"\0")[0], b"")
                if not begun and (cut := self._cut_of(said)):
                    whole = head + body
                    while cut.side == "after" and kind != b"S":
                        head = await reader.readexactly(5)
                        kind, size = head[:1], struct.unpack("!i", head[1:])[0]
                        whole += head + await reader.readexactly(size - 4)
                    return whole if cut.side == "after" else b""
            elif kind == b"S" and not begun:
                said = b""
            elif kind == b"Q" and body.upper().startswith(b"COMMIT"):
                if cut := self._cut_of(said):
                    return COMMIT if cut.side == "after" else b""
                said, begun = b"", False
            elif kind == b"Q":
                said, begun = b"", body.upper().startswith(b"BEGIN")
            to_server.write(head + body)
            await to_server.drain()

    def _cut_of(self, said: bytes) -> Cut | None:
        """The cut that is to be made at a commit of these statements."""
        cut = self._cut
        if cut is None or cut.marker.encode() not in said:
            return None
        self._cut = None
        cut.made.set()
        return cut

    async def _back(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: asyncio.Task[None],
    ) -> None:
        """Server to client."""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if link in self._silent:
                    continue
                if self._pools and KEY_DATA in data:
                    place = data.index(KEY_DATA) + len(KEY_DATA)
                    data = data[:place] + struct.pack("!i", 1) + data[place + 4 :]
                writer.write(data)
                await writer.drain()
            if link not in self._silent:
                writer.close()
