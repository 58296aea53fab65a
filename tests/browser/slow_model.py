"""A language model behind a socket that takes its time: OpenAI's Responses API, word by word.

It understands “Add task: …” and has something to say about everything else. A reply can be held in
the middle, so that a test decides what happens while it is made.
"""

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from tests.assistant.vendor.responses_api import call, message, response

Item = dict[str, Any]

ADD_TASK = re.compile(r"Add task: (.+)", re.DOTALL)
WORD = re.compile(r"\s*\S+")

WORD_S = 0.01
"""A reply comes in some ten events."""


class SlowModel:
    """The server. Use as `async with SlowModel() as model:`.

    Attributes:
        word_s: How long a word takes in the reply to a message; a little where nothing is said.
    """

    def __init__(self) -> None:
        self.url = ""
        self.word_s: dict[str, float] = {}
        self._held: dict[str, asyncio.Event] = {}
        self._calls = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "SlowModel":
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop listening and hang up on everybody."""
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def hold(self, said: str) -> asyncio.Event:
        """Stop in the middle of the reply to this message until the event is set."""
        return self._held.setdefault(said, asyncio.Event())

    def let_go(self) -> None:
        """Hold nothing any more."""
        for event in self._held.values():
            event.set()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._exchange(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"\r\ncontent-length: *(\d+)", head)
        assert length is not None
        body = json.loads(await reader.readexactly(int(length[1])))
        kind = "text/event-stream" if body.get("stream") else "application/json"
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode()
        )
        async for event in self._events(body["input"]):
            if body.get("stream"):
                writer.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            elif "response" in event:
                writer.write(json.dumps(event["response"]).encode())
            await writer.drain()

    async def _events(self, items: list[Item]) -> AsyncIterator[dict[str, Any]]:
        """What a reader of the stream is told; the last event holds the whole answer."""
        last_user = max(place for place, item in enumerate(items) if item.get("role") == "user")
        said = str(items[last_user]["content"])
        outputs = [item for item in items[last_user:] if item.get("type") == "function_call_output"]
        task = ADD_TASK.fullmatch(said)
        if task is not None and not outputs:
            call_id = f"call_{next(self._calls)}"
            output = call("add_task", call_id, title=task[1])
        else:
            reply = done(task[1]) if task is not None else opinion(said)
            async for delta in self._spoken(reply, said):
                yield {
                    "type": "response.output_text.delta",
                    "item_id": "msg_1",
                    "output_index": 0,
                    "content_index": 0,
                    "delta": delta,
                    "logprobs": [],
                    "sequence_number": 0,
                }
            output = message(reply)
        yield {"type": "response.completed", "response": response(output), "sequence_number": 0}

    async def _spoken(self, reply: str, said: str) -> AsyncIterator[str]:
        spoken = ""
        for word in WORD.findall(reply):
            if spoken == half(reply) and said in self._held:
                await self._held[said].wait()
            spoken += word
            await asyncio.sleep(self.word_s.get(said, WORD_S))
            yield word


def half(reply: str) -> str:
    """What is said of a reply that is held."""
    words = WORD.findall(reply)
    return "".join(words[: len(words) // 2])


def done(title: str) -> str:
    """What the model says once a task is added."""
    return f"Done: “{title}” is on your list now. Is there anything else that you want to remember?"


def opinion(said: str) -> str:
    """What the model says to everything else."""
    return (
        f"You said “{said}”, and I have been thinking about it for a while. There is one side to "
        "it, there is another, and both of them are best looked at slowly, a word at a time."
    )
