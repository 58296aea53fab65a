"""A language model behind a socket that takes its time: OpenAI's Responses API, word by word.

It understands “Add task: …”, “Delete tasks 1 2”, “Ask me: … (one, other)” and “Say: …”, plays the
scenes that it is given, and has something to say about everything else. A reply can be held in the
middle, so that a test decides what happens while it is made.
"""

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.assistant.vendor.responses_api import call, message, response

Item = dict[str, Any]

ADD_TASK = re.compile(r"Add task: (.+)", re.DOTALL)
DELETE_TASKS = re.compile(r"Delete tasks((?: \d+)+)")
SAY = re.compile(r"Say: (.+)", re.DOTALL)
ASK = re.compile(r"Ask me: (.+?) \((.+)\)")
WORD = re.compile(r"\s*\S+")

WORD_S = 0.01
"""A reply comes in some ten events."""


@dataclass(frozen=True)
class Scene:
    """What one message leads to.

    Attributes:
        reply: What is said in the end; None where that is what the model says by itself.
        calls: The tool calls before it, all at once: names with arguments.
    """

    reply: str | None
    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()


class SlowModel:
    """The server. Use as `async with SlowModel() as model:`.

    Attributes:
        scenes: By messages: what is done and said where they are played.
        refused: Messages that are answered with an error.
        word_s: How long a word takes in the reply to a message; a little where nothing is said.
    """

    def __init__(self) -> None:
        self.url = ""
        self.scenes: dict[str, Scene] = {}
        self.refused: set[str] = set()
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
        event = self._held[said] = asyncio.Event()
        return event

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
        if said_last(body["input"])[0] in self.refused:
            writer.write(
                b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            await writer.drain()
            return
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
        said, since = said_last(items)
        outputs = [item for item in since if item.get("type") == "function_call_output"]
        wanted = [] if outputs else self._wanted(said)
        if not wanted:
            scene = self.scenes.get(said, Scene(None))
            reply = scene.reply or reply_to(said, [item["output"] for item in outputs])
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
            wanted = [message(reply)]
        yield {"type": "response.completed", "response": response(*wanted), "sequence_number": 0}

    def _wanted(self, said: str) -> list[Item]:
        """The tool calls that are decided on."""
        if scene := self.scenes.get(said):
            return [self._call(name, **arguments) for name, arguments in scene.calls]
        if task := ADD_TASK.fullmatch(said):
            return [self._call("add_task", title=task[1])]
        if tasks := DELETE_TASKS.fullmatch(said):
            return [self._call("delete_task", task_id=int(number)) for number in tasks[1].split()]
        if asked := ASK.fullmatch(said):
            return [self._call("ask_user", question=asked[1], choices=asked[2].split(", "))]
        return []

    def _call(self, name: str, **arguments: Any) -> Item:
        return call(name, f"call_{next(self._calls)}", **arguments)

    async def _spoken(self, reply: str, said: str) -> AsyncIterator[str]:
        spoken = ""
        for word in WORD.findall(reply):
            if spoken == half(reply) and said in self._held:
                await self._held[said].wait()
            spoken += word
            await asyncio.sleep(self.word_s.get(said, WORD_S))
            yield word


def said_last(items: list[Item]) -> tuple[str, list[Item]]:
    """What the user said last, and what came of it so far."""
    place = max(place for place, item in enumerate(items) if item.get("role") == "user")
    return str(items[place]["content"]), items[place + 1 :]


def half(reply: str) -> str:
    """What is said of a reply that is held."""
    words = WORD.findall(reply)
    return "".join(words[: len(words) // 2])


def reply_to(said: str, outputs: list[Any]) -> str:
    """What the model says in the end."""
    if task := ADD_TASK.fullmatch(said):
        return done(task[1])
    if outputs:
        return f"I have read this: {' '.join(map(str, outputs))}"
    if words := SAY.fullmatch(said):
        return words[1]
    return opinion(said)


def done(title: str) -> str:
    """What the model says once a task is added."""
    return f"Done: “{title}” is on your list now. Is there anything else that you want to remember?"


def opinion(said: str) -> str:
    """What the model says to everything else."""
    return (
        f"You said “{said}”, and I have been thinking about it for a while. There is one side to "
        "it, there is another, and both of them are best looked at slowly, a word at a time."
    )
