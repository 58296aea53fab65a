"""The way from a page to the service, which can be cut, and can go silent.

What a browser calls “offline” does not touch a WebSocket that is open; this does.
"""

import asyncio
import contextlib
import socket
from urllib.parse import urlsplit


class Network:
    """A TCP proxy on a port of its own. Use as `async with Network(url) as network:`.

    Args:
        url: Where the service is.
        delay_s: How far away it is, one way.
    """

    def __init__(self, url: str, *, delay_s: float = 0.0) -> None:
        self._service = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._flows = True
        self._delay_s = delay_s
        # Keeps the port while nobody listens; what is bound and does not listen refuses.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._holder.bind(("127.0.0.1", 0))
        self._port: int = self._holder.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> "Network":
        """Let connections through."""
        await self.restore()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop, and cut everybody off."""
        await self.cut()
        self._holder.close()

    async def restore(self) -> None:
        """Let new connections through; those of before the silence stay silent."""
        self._flows = True
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accepted, "127.0.0.1", self._port, reuse_port=True
            )

    async def cut(self) -> None:
        """End all connections at once and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def lead_to(self, url: str) -> None:
        """Let new connections end elsewhere, as a balancer does; those that are there stay."""
        self._service = urlsplit(url)

    def silence(self) -> None:
        """Let nothing through any more, and close nothing either."""
        self._flows = False

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        writers, copying = [writer], []
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._unless_silent()
                from_service, to_service = await asyncio.open_connection(
                    self._service.hostname, self._service.port
                )
                writers.append(to_service)
                copying = [
                    asyncio.create_task(self._copy(reader, to_service)),
                    asyncio.create_task(self._copy(from_service, writer)),
                ]
                await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for copy in copying:
                copy.cancel()
            await asyncio.gather(*copying, return_exceptions=True)
            for one in writers:
                one.transport.abort()
            self._links.discard(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._unless_silent()
                await asyncio.sleep(self._delay_s)
                writer.write(data)
                await writer.drain()

    async def _unless_silent(self) -> None:
        """Go on, or never: what was silent once stays so."""
        if not self._flows:
            await asyncio.Event().wait()
