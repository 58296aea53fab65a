"""A `/v1/embeddings` of our own: it knows a few ideas, and does what it is told to."""

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

IDEAS = {
    "dentist": 0,
    "tooth": 0,
    "teeth": 0,
    "milk": 1,
    "dairy": 1,
    "cheese": 1,
    "holiday": 2,
    "vacation": 2,
    "beach": 2,
}
"""Words, and which idea each is of; any other word is an idea of its own."""

DIMENSIONS = 64


def vectors_of(texts: Sequence[str]) -> list[list[float]]:
    return [vector_of(said) for said in texts]


def vector_of(said: str) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", said.lower()):
        digest = int(hashlib.sha256(word.encode()).hexdigest(), 16)
        vector[IDEAS.get(word, 3 + digest % (DIMENSIONS - 3))] += 1.0
    return vector if any(vector) else [1.0] * DIMENSIONS


@dataclass
class Endpoint:
    """What it does, and what it was asked.

    Attributes:
        vectors: What makes the vectors.
        url: For TASKCHAT_EMBEDDING_BASE_URL.
        asked: The texts of each request.
        bodies: Each request's JSON.
        keys: Each request's Authorization.
        status: What it answers with in place of vectors, if not 200.
        retry_after: What such an answer says of when to ask again.
        fails: After so many such answers it is well again.
        refuses: A text that it takes in no batch.
        answer: What it answers in place of vectors, whatever it is asked.
        held: While it is clear, nothing is answered.
    """

    vectors: Callable[[Sequence[str]], list[list[float]]] = vectors_of
    url: str = ""
    asked: list[list[str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    status: int = 200
    retry_after: str | None = None
    fails: int | None = None
    refuses: str | None = None
    answer: Any = None
    held: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.held.set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield
        finally:
            self.held.set()
            server.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)content-length: (\d+)", head)
                assert length is not None
                body = json.loads(await reader.readexactly(int(length[1])))
                assert head.startswith("POST /v1/embeddings ")
                key = re.search(r"(?i)authorization: (.*)\r\n", head)
                self.keys.append(key[1] if key else "")
                self.bodies.append(body)
                self.asked.append(body["input"])
                self.arrived.set()
                await self.held.wait()
                status, told = self._answered(body["input"])
                content = json.dumps(told).encode()
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
                    f"{self._again(status)}content-length: {len(content)}\r\n\r\n".encode()
                    + content
                )
                await writer.drain()
        writer.close()

    def _again(self, status: int) -> str:
        return f"retry-after: {self.retry_after}\r\n" if self.retry_after and status != 200 else ""

    def _answered(self, texts: list[str]) -> tuple[int, Any]:
        if self.status != 200 and self.fails != 0:
            self.fails = self.fails and self.fails - 1
            return self.status, {"error": {"message": "no"}}
        if self.refuses is not None and any(self.refuses in said for said in texts):
            return 400, {"error": {"message": "no such texts"}}
        if self.answer is not None:
            return 200, self.answer
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(self.vectors(texts))
        ]
        # In any order: the index counts.
        return 200, {"object": "list", "data": data[::-1], "model": "m", "usage": {}}
