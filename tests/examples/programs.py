"""Running an example as somebody would, and a connection that breaks when it hurts."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tests import programs
from tests.factories import Person

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def told(url: str, person: Person) -> dict[str, str]:
    """The variables that every example reads."""
    token = person.headers["Authorization"].removeprefix("Bearer ")
    return {"URL": url, "TOKEN": token, "USER_ID": person.user_id}


async def run(
    *command: str | Path, folder: Path, variables: Mapping[str, str], code: int = 0
) -> str:
    """What a program prints; it must end with that code."""
    ended = await programs.run(*command, folder=folder, env={**os.environ, **variables})
    assert ended.code == code, f"{ended.out}\n{ended.err}"
    return ended.out + (ended.err if code else "")


class Breaking:
    """The way to a service, on which the first connection breaks at these bytes of an answer.

    Attributes:
        url: Where it listens.
        requests: The first line of each request that went through.
    """

    def __init__(self, url: str, at: bytes) -> None:
        self._service = urlsplit(url)
        self._at: bytes | None = at
        self.url = ""
        self.requests: list[str] = []
        self._links: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Breaking"]:
        """Listen within the block."""

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._links.add(asyncio.ensure_future(self._linked(reader, writer)))

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for link in self._links:
                link.cancel()
            await asyncio.gather(*self._links, return_exceptions=True)

    async def _linked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service, to_service = await asyncio.open_connection(
            self._service.hostname, self._service.port
        )

        async def forth() -> None:
            while data := await reader.read(65_536):
                self.requests.append(data.partition(b"\r\n")[0].decode())
                to_service.write(data)

        going = asyncio.create_task(forth())
        try:
            answered = b""
            while data := await service.read(65_536):
                answered += data
                if self._at is not None and self._at in answered:
                    # Half of what is being said arrives, as it does in a tunnel.
                    writer.write(data.partition(self._at)[0])
                    self._at = None
                    break
                writer.write(data)
        finally:
            going.cancel()
            for each in (writer, to_service):
                each.close()
