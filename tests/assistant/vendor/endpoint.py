"""The endpoint: it answers each model's requests by that model's script and keeps what it got."""

import asyncio
import contextlib
import itertools
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tests.assistant.vendor import chat_api, responses_api
from tests.assistant.vendor.sending import (
    STREAM,
    head,
    reset,
    send,
    send_bytes,
    send_chunk,
    send_failure,
)
from tests.assistant.vendor.steps import (
    Always,
    Answer,
    Failure,
    Garbage,
    Hang,
    Held,
    Reset,
    Shaped,
    Step,
    fails,
)

API = Literal["responses", "chat_completions"]

NAME = re.compile("[a-zA-Z0-9_-]{1,64}")
"""What OpenAI takes for the name of a tool."""

Scripts = Mapping[str, Sequence[Step]]
"""Models, and what each of them does in order."""

PATHS: dict[str, API] = {
    "/v1/responses": "responses",
    "/v1/chat/completions": "chat_completions",
}


@dataclass(frozen=True)
class Request:
    """One request that arrived.

    Attributes:
        path: Where.
        model: Which model it asks.
        stream: Whether it asks for a stream.
        body: Its JSON.
        headers: Names in lower case.
        at: When, on this machine's monotonic clock.
    """

    path: str
    model: str
    stream: bool
    body: dict[str, Any]
    headers: Mapping[str, str]
    at: float

    @property
    def api(self) -> API:
        return PATHS[self.path]

    @property
    def names(self) -> list[str]:
        """The tools that the calls in it name."""
        if self.api == "responses":
            return [item["name"] for item in self.items if item.get("type") == "function_call"]
        return [
            call["function"]["name"] for item in self.items for call in item.get("tool_calls", ())
        ]

    @property
    def items(self) -> list[dict[str, Any]]:
        """What the model is told, in the form of its API; without the system's instructions."""
        if self.api == "responses":
            given: str | list[dict[str, Any]] = self.body["input"]
            return [{"role": "user", "content": given}] if isinstance(given, str) else given
        return [item for item in self.body["messages"] if item["role"] != "system"]


class Vendor:
    """One endpoint.

    Attributes:
        requests: Oldest first.
        url: Its address, to be set as OPENAI_BASE_URL.
        unscripted: Models that were asked once more than their scripts foresee.
        answering: How many requests wait for their answers, or for the rest of them.
        checks_names: Whether names of calls must be of the letters that OpenAI takes.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.url = ""
        self.unscripted: list[str] = []
        self.answering = 0
        self.checks_names = False
        self._shared: deque[Step] = deque()
        self._scripts: dict[str, deque[Step]] = defaultdict(deque)
        self._marks = itertools.count(1)
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def asked(self) -> list[str]:
        """Each request's model, oldest first."""
        return [request.model for request in self.requests]

    def then(self, *steps: Step, model: str | None = None) -> None:
        """Go on with these steps: for one model, or for whichever has no script of its own."""
        (self._shared if model is None else self._scripts[model]).extend(steps)

    def instead(self, *steps: Step, model: str | None = None) -> None:
        """Go on with these steps, and with none that was still to come."""
        (self._shared if model is None else self._scripts[model]).clear()
        self.then(*steps, model=model)

    def gaps_s(self, model: str) -> list[float]:
        """Seconds between a model's requests, as they arrived."""
        moments = [request.at for request in self.requests if request.model == model]
        return [later - earlier for earlier, later in itertools.pairwise(moments)]

    @contextlib.asynccontextmanager
    async def serving(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[None]:
        """Listen while the block lasts."""
        server = await asyncio.start_server(self._accepted, host, port, backlog=1024)
        self.url = f"http://{host}:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False where the connection is over."""
        asked = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        at = time.monotonic()
        first, *lines = asked.rstrip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        if method == "GET" and path.startswith("/v1/models/"):
            await self._model(writer, path.removeprefix("/v1/models/"))
            return True
        if path not in PATHS or method != "POST":
            await send_failure(writer, fails(404), f"Unknown request URL: {method} {path}.")
            return True
        body = json.loads(content)
        request = Request(path, body["model"], bool(body.get("stream")), body, headers, at)
        self.requests.append(request)
        refused = (
            responses_api.unsound(request.items)
            if request.api == "responses"
            else chat_api.unsound(request.items)
        )
        if refused is None and self.checks_names:
            refused = next((name for name in request.names if not NAME.fullmatch(name)), None)
        if refused is not None:
            await send_failure(writer, fails(400), refused)
            return True
        step = self._step(request.model)
        if step is None:
            self.unscripted.append(request.model)
            await send_failure(writer, fails(400), "The script has no further step.")
            return True
        self.answering += 1
        try:
            return await self._perform(step, request, reader, writer)
        finally:
            self.answering -= 1

    async def _model(self, writer: asyncio.StreamWriter, name: str) -> None:
        """Tell whether there is such a model: one that has a script."""
        if not self._scripts.get(name):
            await send_failure(writer, fails(404), f"The model '{name}' does not exist.")
            return
        told = {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "tests"}
        await send(writer, 200, json.dumps(told))

    def _step(self, model: str) -> Step | None:
        script = self._scripts.get(model) or self._shared
        if not script:
            return None
        if isinstance(script[0], Always):
            return script[0].step
        return script.popleft()

    async def _perform(
        self,
        step: Step,
        request: Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        while isinstance(step, Held):
            await step.gate.wait()
            step = step.step
        if isinstance(step, Reset):
            reset(writer)
            return False
        if isinstance(step, Hang):
            await reader.read()
            return False
        if isinstance(step, Failure):
            await send_failure(writer, step, "told to fail")
            return True
        if isinstance(step, Garbage):
            await send(writer, 200, step.content, {"content-type": step.type})
            return True
        mark = str(next(self._marks))
        if isinstance(step, Shaped):
            return await _shaped(step, request, mark, writer)
        assert isinstance(step, Answer)
        make = responses_api.body_of if request.api == "responses" else chat_api.body_of
        if not request.stream:
            body = make(step, request.model, mark)
            return await self._whole(step, request, body, reader, writer)
        body = make(replace(step, ending="whole"), request.model, mark)
        if request.api == "responses":
            events = responses_api.events_of(body)
            return await _stream_events(writer, reader, step, events)
        wanted = request.body.get("stream_options") or {}
        chunks = chat_api.chunks_of(body, with_usage=bool(wanted.get("include_usage")))
        return await _stream_chunks(writer, reader, step, chunks)

    async def _whole(
        self,
        answer: Answer,
        request: Request,
        body: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """An answer that is not streamed."""
        content = json.dumps(body)
        if answer.ending in {"breaks", "ends", "stalls"}:
            writer.write(head(200, {"content-length": str(len(content))}))
            writer.write(content[: len(content) // 2].encode())
            await writer.drain()
            if answer.ending == "stalls":
                await reader.read()
            return False
        if answer.ending == "fails" and request.api == "chat_completions":
            # This API has no answer that has failed, only errors.
            await send_failure(writer, fails(500), "told to fail")
            return True
        await send(writer, 200, content)
        return True


async def _shaped(step: Shaped, request: Request, mark: str, writer: asyncio.StreamWriter) -> bool:
    responses = request.api == "responses"
    body = (responses_api if responses else chat_api).body_of(step.answer, request.model, mark)
    if not request.stream:
        await send(writer, 200, json.dumps(step.body(body)))
        return True
    events = (
        responses_api.events_of(body) if responses else chat_api.chunks_of(body, with_usage=True)
    )
    told = "".join(
        one if isinstance(one, str) else f"data: {json.dumps(one)}\n\n"
        for one in step.told([*events])
    )
    writer.write(head(200, STREAM))
    content = told.encode()
    size = step.cut or len(content)
    for start in range(0, len(content), size):
        await send_bytes(writer, content[start : start + size])
    if step.ends:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    return step.ends


async def _stream_events(
    writer: asyncio.StreamWriter,
    reader: asyncio.StreamReader,
    answer: Answer,
    events: Iterator[dict[str, Any]],
) -> bool:
    writer.write(head(200, STREAM))
    async for event in _until_it_ends(answer, events, responses_api.is_piece):
        await send_chunk(writer, f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
    if answer.ending == "fails":
        error = responses_api.ERROR_EVENT
        await send_chunk(writer, f"event: error\ndata: {json.dumps(error)}\n\n")
    return await _end_stream(writer, reader, answer)


async def _stream_chunks(
    writer: asyncio.StreamWriter,
    reader: asyncio.StreamReader,
    answer: Answer,
    chunks: Iterator[dict[str, Any]],
) -> bool:
    writer.write(head(200, STREAM))
    async for chunk in _until_it_ends(answer, chunks, chat_api.is_piece):
        await send_chunk(writer, f"data: {json.dumps(chunk)}\n\n")
    if answer.ending == "fails":
        await send_chunk(writer, f"data: {json.dumps(chat_api.ERROR_CHUNK)}\n\n")
    elif answer.ending == "whole":
        await send_chunk(writer, "data: [DONE]\n\n")
    return await _end_stream(writer, reader, answer)


async def _until_it_ends(
    answer: Answer,
    events: Iterator[dict[str, Any]],
    is_piece: Callable[[dict[str, Any]], bool],
) -> AsyncIterator[dict[str, Any]]:
    """The events of an answer at its pace, as far as it goes."""
    said = 0
    for event in events:
        if is_piece(event):
            if answer.ending != "whole" and said == answer.words:
                return
            if answer.pace_s and said:
                await asyncio.sleep(answer.pace_s)
            said += 1
        yield event


async def _end_stream(
    writer: asyncio.StreamWriter, reader: asyncio.StreamReader, answer: Answer
) -> bool:
    if answer.ending == "breaks":
        return False
    if answer.ending == "stalls":
        await reader.read()
        return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


@contextlib.asynccontextmanager
async def vendor(*script: Step, scripts: Scripts | None = None) -> AsyncIterator[Vendor]:
    """An endpoint that lasts as long as the block.

    Args:
        script: Steps in order, of whichever model is asked.
        scripts: Steps of models that have scripts of their own.

    Raises:
        AssertionError: a model was asked once more than its script foresees.
    """
    standing = Vendor()
    standing.then(*script)
    for model, steps in (scripts or {}).items():
        standing.then(*steps, model=model)
    async with standing.serving():
        yield standing
    assert not standing.unscripted, f"not in any script: {standing.unscripted}"
