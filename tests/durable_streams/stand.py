"""A writer for the conformance suite, which only knows streams that it has made itself.

Each of its streams becomes a turn, and each thing that it appends an event of that turn, stored
and told as events are. What is read comes from the service's own route, as it is; of streams that
are no JSON, each piece of which stands in the events as a string, only the strings are passed on.
"""

import asyncio
import json
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from tests.conftest import RunningApp
from tests.factories import Person

from taskchat.moments import new_id
from taskchat.transports.durable_streams import offset_of
from taskchat.turns.events import StoredEvent
from taskchat.turns.states import TurnRef

PIECE = "reasoning"
"""The type of events that hold what the suite appends; their JSON is the suite's own."""

MAKE = text(
    "WITH made AS (INSERT INTO conversations (user_id, id, title, last_turn)"
    " VALUES (:owner, :conversation, 'A stream', 1))"
    " INSERT INTO turns (user_id, id, conversation_id, number, channel, status)"
    " VALUES (:owner, :turn, :conversation, 1, 'sse', 'running')"
)
WRITE = text(
    "INSERT INTO turn_events (user_id, turn_id, seq, type, data)"
    " VALUES (:owner, :turn, :seq, :type, :data)"
)
END = text(
    "UPDATE turns SET status = 'completed', finished_at = now(), last_seq = :seq, result = '{}'"
    " WHERE user_id = :owner AND id = :turn"
)


@dataclass
class Stream:
    """One of the suite's.

    Attributes:
        turn: What it is here.
        media_type: What it holds.
        seq: The number of its last event.
        writing: Held by who writes.
    """

    turn: TurnRef
    media_type: str
    seq: int = 0
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_json(self) -> bool:
        return self.media_type.partition(";")[0].lower() == "application/json"


class Stand:
    """The suite's server: its streams are written here and read by the service's route."""

    def __init__(self, running: RunningApp, superuser: AsyncEngine, person: Person) -> None:
        self._running = running
        self._superuser = superuser
        self._person = person
        self._streams: dict[str, Stream] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] in ("PUT", "POST"):
            response = await self._write(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._read(scope, receive, send)

    async def _write(self, request: Request) -> Response:
        path, media_type = request.url.path, request.headers.get("content-type", "text/plain")
        made = request.method == "PUT" and path not in self._streams
        if made:
            self._streams[path] = Stream(await self._turn(), media_type)
        stream = self._streams[path]
        closes = request.headers.get("stream-closed") == "true"
        async with stream.writing:
            await self._append(stream, pieces(stream, await request.body()), closes=closes)
        headers = {"Stream-Next-Offset": offset_of(stream.seq)}
        return Response(status_code=201 if made else 204, headers=headers)

    async def _turn(self) -> TurnRef:
        turn = TurnRef(self._person.principal, new_id(), new_id(), 1)
        values = {"owner": self._person.user_id, "conversation": turn.conversation_id}
        async with self._superuser.begin() as connection:
            await connection.execute(MAKE, {**values, "turn": turn.id})
        return turn

    async def _append(self, stream: Stream, said: list[str], *, closes: bool) -> None:
        if closes and not said:
            # A turn never ends without an event.
            said = ['""']
        turn = stream.turn
        events = [
            StoredEvent(turn.id, turn.number, seq, PIECE, data)
            for seq, data in enumerate(said, start=stream.seq + 1)
        ]
        if closes:
            last = events[-1]
            events[-1] = StoredEvent(turn.id, 1, last.seq, "turn_completed", last.data)
        own = {"owner": self._person.user_id, "turn": turn.id}
        async with self._superuser.begin() as connection:
            for event in events:
                values = {"seq": event.seq, "type": event.type, "data": event.data}
                await connection.execute(WRITE, own | values)
            if closes:
                await connection.execute(END, own | {"seq": events[-1].seq})
        stream.seq += len(events)
        self._running.live.feed.published(turn, events)

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = self._streams.get(scope["path"])
        turn_id = stream.turn.id if stream else new_id()
        path = f"/api/{self._person.user_id}/turns/{turn_id}/stream"
        headers = MutableHeaders(raw=list(scope["headers"]))
        headers["authorization"] = self._person.headers["Authorization"]
        asked = {**scope, "path": path, "raw_path": path.encode(), "headers": headers.raw}
        told = send if stream is None or stream.is_json else _Unwrapped(stream, send)
        await self._running.app(asked, receive, told)


class _Unwrapped:
    """An answer of a stream that is no JSON: its pieces, one behind the other."""

    def __init__(self, stream: Stream, send: Send) -> None:
        self._stream, self._send = stream, send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if Headers(raw=message["headers"]).get("content-type") != "application/json":
                await self._send(message)
                return
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            await self._unwrap(self._start, message["body"])

    async def _unwrap(self, start: Message, body: bytes) -> None:
        if start["status"] == 200:
            body = "".join(json.loads(body or "[]")).encode("latin-1")
            headers = MutableHeaders(raw=start["headers"])
            headers["content-type"] = self._stream.media_type
            headers["content-length"] = str(len(body))
            start["headers"] = headers.raw
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def pieces(stream: Stream, body: bytes) -> list[str]:
    """What is appended, each thing as JSON; an array is several."""
    if not body:
        return []
    if not stream.is_json:
        return [json.dumps(body.decode("latin-1"))]
    said = json.loads(body)
    return [json.dumps(one) for one in (said if isinstance(said, list) else [said])]
