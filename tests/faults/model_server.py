"""A language model behind a socket: OpenAI's Responses API, as strict as a provider, never wrong.

What it answers follows from the input alone (see `scripts`), whether it streams from the request.
What can be told to it from outside is how slowly it answers, that it fails or breaks off, and what
else happens at the moment when it is asked, or has said some words.
"""

import asyncio
import contextlib
import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.assistant.vendor.responses_api import events_of, is_piece, message, response
from tests.faults.scripts import (
    Item,
    Script,
    last_user,
    next_calls,
    reply_to,
    script_of,
    text_of,
    unsound,
)


@dataclass(frozen=True)
class ModelCall:
    """One request to the model.

    Attributes:
        message: The id of the message that is to be answered.
        number: The how-manieth request for this message it is, from 1.
        caller: Who asks: the API key it came with.
        places: Its input, as places in `ModelServer.items`: histories share most of what they hold.
        problems: What is unsound in the input.
        streamed: Whether it asks for a stream.
    """

    message: str
    number: int
    caller: str
    places: tuple[int, ...]
    problems: tuple[str, ...]
    streamed: bool = False


@dataclass(frozen=True)
class Failure:
    """What a hook answers with in place of the model: an HTTP status, or 0 to hang up."""

    status: int


Hook = Callable[[ModelCall], Awaitable[Failure | None]]


@dataclass
class Manner:
    """How the model behaves at the moment.

    Attributes:
        delay_s: From the question to the answer.
        pace_s: Between two words of a stream.
        failing: The status that every call gets, where there is one; 0 hangs up.
        hanging: Whether it does not answer at all.
        cutting: Whether it hangs up in the middle of every stream.
    """

    delay_s: float = 0.0
    pace_s: float = 0.0
    failing: int | None = None
    hanging: bool = False
    cutting: bool = False


class ModelServer:
    """The server. Use as `async with ModelServer() as model:`."""

    def __init__(self) -> None:
        self.manner = Manner()
        self.calls: list[ModelCall] = []
        self.items: list[Item] = []
        self._place_of: dict[str, int] = {}
        self._asked: Counter[str] = Counter()
        self._hooks: dict[tuple[str, int], Hook] = {}
        self._in_streams: dict[tuple[str, int], tuple[int, Hook]] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._readers: dict[tuple[str, int], asyncio.StreamReader] = {}
        self.decided: dict[str, list[Item]] = {}
        self.url = ""

    async def __aenter__(self) -> "ModelServer":
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, backlog=1024)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop listening and hang up on everybody."""
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def when(self, message: str, number: int, hook: Hook) -> None:
        """Call the hook when the n-th request for a message arrives, before it is answered."""
        self._hooks[message, number] = hook

    def when_saying(self, message: str, number: int, hook: Hook, *, words: int = 3) -> None:
        """Call the hook in the middle of the stream that answers the n-th request for a message.

        Args:
            message: Its id.
            number: Of the request, from 1.
            hook: What to do. A failure that it returns cuts the stream.
            words: How many have been said by then; of a tool call, how many pieces.
        """
        self._in_streams[message, number] = (words, hook)

    def asked(self, message: str) -> list[ModelCall]:
        """The requests for one message, in order."""
        return [call for call in self.calls if call.message == message]

    def input_of(self, call: ModelCall) -> list[Item]:
        """The input of a request, whole."""
        return [self.items[place] for place in call.places]

    def is_left(self, message: str, number: int) -> bool:
        """Whether the caller of the n-th request for a message has closed its connection."""
        return self._readers[message, number].at_eof()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # A client that was killed leaves its connection in whatever state.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
        }
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))))
        caller = headers.get("authorization", "").removeprefix("Bearer ")
        call, answer = await self._answer(body, caller, reader)
        if isinstance(answer, Failure):
            if not answer.status:
                writer.transport.abort()
                return False
            status, answer = answer.status, {"error": {"message": "told to fail", "type": "x"}}
        else:
            status = 400 if "error" in answer and answer.get("object") != "response" else 200
        if call.streamed and status == 200:
            return await self._stream(writer, call, answer)
        content = json.dumps(answer).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
            # The client's own retries would only make tests of failures slow.
            f"x-should-retry: false\r\ncontent-length: {len(content)}\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        return True

    async def _stream(
        self, writer: asyncio.StreamWriter, call: ModelCall, answer: dict[str, Any]
    ) -> bool:
        """Tell an answer piece by piece; False when the connection was cut in the middle."""
        manner = self.manner
        words, hook = self._in_streams.get((call.message, call.number), (0, None))
        events = list(events_of(answer))
        in_all = sum(is_piece(event) for event in events)
        writer.write(
            b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
            b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        said = 0
        for event in events:
            if is_piece(event):
                failure = None
                if hook is not None and said == words:
                    failure = await hook(call)
                if failure is not None or (manner.cutting and said == in_all // 2):
                    writer.transport.abort()
                    return False
                if manner.pace_s and said:
                    await asyncio.sleep(manner.pace_s)
                said += 1
            line = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _answer(
        self, body: dict[str, Any], caller: str, reader: asyncio.StreamReader
    ) -> tuple[ModelCall, dict[str, Any] | Failure]:
        items: list[Item] = body["input"]
        said = text_of(items[last_user(items)])
        # What says itself again and again can't have an id of its own each time.
        script = script_of(said) or Script(said, (), thinks=False)
        self._asked[script.id] += 1
        call = ModelCall(
            script.id,
            self._asked[script.id],
            caller,
            tuple(self._place(item) for item in items),
            (*unsound(items), *self._unfaithful(items)),
            streamed=bool(body.get("stream")),
        )
        self.calls.append(call)
        self._readers[call.message, call.number] = reader
        manner = self.manner
        hook = self._hooks.get((script.id, call.number))
        if hook is not None:
            failure = await hook(call)
            if failure is not None:
                return call, failure
        if manner.hanging:
            await asyncio.sleep(3600)
        if manner.delay_s:
            await asyncio.sleep(manner.delay_s)
        if manner.failing is not None:
            return call, Failure(manner.failing)
        if call.problems:
            error = {"message": "; ".join(call.problems), "type": "invalid_request"}
            return call, {"error": error}
        mark = secrets.token_hex(4)
        output = next_calls(script, items, mark)
        if output and script.thinks:
            output.insert(
                0,
                {
                    "type": "reasoning",
                    "id": f"rs_{mark}",
                    "summary": [{"type": "summary_text", "text": f"About {script.id}."}],
                    "encrypted_content": f"sealed-{mark}-" + "x" * 40,
                },
            )
        if not output:
            output = [message(reply_to(script, items), id_=f"msg_{mark}")]
        self.decided.setdefault(script.id, []).extend(output)
        model = str(body.get("model"))
        return call, response(*output, model=model, id_=f"resp_{mark}")

    def _place(self, item: Item) -> int:
        text = json.dumps(item, sort_keys=True)
        place = self._place_of.get(text)
        if place is None:
            place = self._place_of[text] = len(self.items)
            self.items.append(item)
        return place

    def _unfaithful(self, items: list[Item]) -> list[str]:
        """Calls of this turn that came back without the reasoning they were made with."""
        problems = []
        current = items[last_user(items) :]
        sealed = {item["id"]: item for item in current if item.get("type") == "reasoning"}
        for given in self.decided.get(getattr(script_of(text_of(current[0])), "id", ""), ()):
            if given["type"] != "reasoning":
                continue
            mark = given["id"].removeprefix("rs_")
            if any(str(item.get("call_id", "")).endswith(mark) for item in current):
                back = sealed.get(given["id"])
                if back is None:
                    problems.append(f"{given['id']} did not come back with its call")
                elif back["encrypted_content"] != given["encrypted_content"]:
                    problems.append(f"{given['id']} came back changed")
        return problems


@dataclass
class Gate:
    """A hook that holds the model's answer, or the rest of it, back until it is opened.

    Attributes:
        reached: Set when the request has arrived, or so much has been said.
        opened: Set it to let the answer go.
    """

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _call: ModelCall) -> None:
        """Wait at the gate."""
        self.reached.set()
        await self.opened.wait()
