"""A client of event streams: what it has heard by one process it goes on from at any other."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from tests.factories import Person
from tests.faults.asked import Shown
from tests.faults.checker import Stream
from tests.live.served import EventSource, Told

STATUS_OF = {"model_error": 502, "timeout": 504, "internal_error": 500, "turn_cancelled": 409}
"""What a plain request is answered with when its turn ends with the error."""

LEFT = (TimeoutError, httpx.TimeoutException)
"""How a client that has no patience leaves."""

BROKEN = (httpx.TransportError, httpx.UnsupportedProtocol)
"""How a process that is gone ends a connection, or does not take one."""


@dataclass
class Answer:
    """What a plain request would have been answered; status 0 while that is not known.

    Attributes:
        status: Of the answer.
        body: Of the answer.
        replayed: Whether the key had been used before.
    """

    status: int = 0
    body: bytes = b""
    replayed: bool = False


@dataclass
class Hearing:
    """One turn as a client hears it, over as many connections as it takes.

    Attributes:
        http: Connects.
        person: Who listens.
        turn_id: Which turn, once that is known.
        told: What it has heard.
        closed: Whether it was told that there is nothing more.
        connections: On which something came.
        replayed: Whether the key had been used before.
        asked: Called with what the agent asks.
    """

    http: httpx.AsyncClient
    person: Person
    turn_id: str = ""
    told: list[Told] = field(default_factory=list)
    closed: bool = False
    connections: int = 0
    replayed: bool = False
    asked: Callable[[Shown], None] = lambda _: None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be heard."""
        return self.closed or self.stream.is_whole

    @property
    def waits(self) -> bool:
        """Whether the last that was heard is that the agent asks something."""
        return bool(self.told) and self.told[-1].type == "feedback_request"

    @property
    def stream(self) -> Stream:
        """What was heard so far."""
        return Stream(
            self.person.user_id, self.turn_id, tuple(self.told), self.closed, self.connections
        )

    async def say(
        self, url: str, text: str, conversation_id: str | None, key: str | None
    ) -> Answer | None:
        """Say something and hear what comes of it; returns the answer where it is no stream."""
        headers = {"Accept": "text/event-stream"} | ({"Idempotency-Key": key} if key else {})
        async with self.http.stream(
            "POST",
            f"{url}{self.person.chat_path}",
            json={"message": text, "conversation_id": conversation_id},
            headers=self.person.headers | headers,
        ) as response:
            self.replayed = response.headers.get("Idempotent-Replayed") == "true"
            if response.headers.get("Content-Type", "").startswith("text/event-stream"):
                await self._hear(response)
                return None
            return Answer(response.status_code, await response.aread(), self.replayed)

    async def go_on(self, url: str) -> Answer | None:
        """Hear what follows, by any process; returns the answer where it is no stream."""
        after = {"Last-Event-ID": str(self.told[-1].id)} if self.told else {}
        async with self.http.stream(
            "GET",
            f"{url}/api/{self.person.user_id}/turns/{self.turn_id}/events",
            headers=self.person.headers | after,
        ) as response:
            if response.status_code == 204:
                self.closed = True
                return None
            if response.status_code == 200:
                await self._hear(response)
                return None
            return Answer(response.status_code, await response.aread())

    async def _hear(self, response: httpx.Response) -> None:
        self.connections += 1
        source = EventSource(response)
        while (event := await source.next()) is not None:
            if not event.id:
                # Why the stream ends, and nothing that happened in the turn.
                return
            self.told.append(event)
            fields = event.fields
            self.turn_id = self.turn_id or fields["turn_id"]
            if event.type == "feedback_request":
                user = self.person.user_id
                self.asked(Shown(user, self.turn_id, fields["feedback_id"], fields["calls"]))

    def answer(self) -> Answer:
        """What a plain request would have been answered by now: its end, or that it is accepted."""
        last = self.told[-1]
        names = {
            "conversation_id": last.fields["conversation_id"],
            "turn_id": last.fields["turn_id"],
        }
        if last.type == "turn_completed":
            # The very bytes: they must be those that others are answered.
            result = last.data.partition(',"result":')[2][:-1]
            return Answer(200, result.encode(), self.replayed)
        if last.type == "error":
            code = last.fields["error_code"]
            body = {
                "status": "error",
                "error_code": code,
                "error": last.fields["error"],
                **names,
                "request_id": last.fields["request_id"],
                "details": last.fields["details"],
            }
            text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
            return Answer(STATUS_OF[code], text.encode(), self.replayed)
        return Answer(0, json.dumps(names).encode(), self.replayed)
