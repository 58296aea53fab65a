"""One user on one kept-alive connection, as cheap for the machine as can be."""

import asyncio
import json
from typing import Any, Final

MESSAGE: Final = "Add task: Buy groceries"


class Client:
    """Says a message and awaits the whole answer; one turn at a time."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    def __init__(self, port: int, user: str, token: str) -> None:
        self.user = user
        self._port = port
        self._token = token

    @classmethod
    async def connect(cls, port: int, user: str, token: str) -> "Client":
        client = cls(port, user, token)
        await client._connect()
        return client

    async def _connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def say(
        self,
        conversation_id: Any = None,
        *,
        message: str = MESSAGE,
        query: str = "",
        tool_calls: int = 1,
    ) -> dict[str, Any]:
        """One turn; what it answers.

        Raises:
            RuntimeError: it is not the turn that was asked for.
        """
        if self._reader.at_eof():
            # A server idles while another one is loaded, for longer than it keeps a connection.
            self._writer.close()
            await self._connect()
        body = json.dumps({"message": message, "conversation_id": conversation_id}).encode()
        self._writer.write(
            f"POST /api/{self.user}/chat{query} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        answer = await self._reader.readexactly(length)
        if not head.startswith("http/1.1 200"):
            raise RuntimeError(f"{head.splitlines()[0]} {answer.decode()}")
        parsed: dict[str, Any] = json.loads(answer)
        if not parsed["response"] or len(parsed["tool_calls"]) != tool_calls:
            raise RuntimeError(f"not the turn that was asked for: {answer.decode()}")
        return parsed

    def close(self) -> None:
        self._writer.close()
