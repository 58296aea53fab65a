"""What a test of a crash point acts with: a user, processes, and a look behind the scenes."""

import asyncio
import itertools
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import httpx
from tests.factories import Person
from tests.faults.cluster import Cluster, query
from tests.faults.model_server import ModelServer
from tests.faults.processes import Fleet, Service
from tests.faults.waiting import until

SHORT_LEASE = {"TASKCHAT_LEASE_S": "1.5", "TASKCHAT_LEASE_GRACE_S": "1"}
"""What dies is taken up after a second, what freezes after two and a half."""

SHORT_TIMES = {
    "TASKCHAT_STATEMENT_TIMEOUT_S": "1",
    "TASKCHAT_POOL_TIMEOUT_S": "1",
    "TASKCHAT_TOOL_TIMEOUT_S": "1.2",
    "TASKCHAT_MODEL_TIMEOUT_S": "1.5",
    "TASKCHAT_QUEUE_TIMEOUT_S": "2",
    "TASKCHAT_RUN_TIMEOUT_S": "2.2",
    "TASKCHAT_DRAIN_TIMEOUT_S": "2.5",
}
"""Every limit, nested as by default, in seconds that a test can wait for."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Stored:
    """What the database holds of one turn.

    Attributes:
        turn: Its row.
        said: Its messages in order.
        calls: Its tool calls in order.
        answers: What is kept of the model's answers, as lists of items.
        titles: Of all the user's tasks.
    """

    turn: dict[str, Any]
    said: list[str]
    calls: list[dict[str, Any]]
    answers: list[list[dict[str, Any]]]
    titles: list[str]

    @property
    def call_ids(self) -> list[str]:
        """The model's ids of the executed calls."""
        return [call["call_id"] for call in self.calls]

    @property
    def decided_ids(self) -> list[str]:
        """The model's ids of the calls that it decided on."""
        return [
            item["call_id"]
            for items in self.answers
            for item in items
            if item["type"] == "function_call"
        ]


class Stage:
    """One test's view of the whole."""

    def __init__(
        self, cluster: Cluster, url: str, model: ModelServer, fleet: Fleet, steady: Service
    ) -> None:
        self.cluster = cluster
        self.url = url
        self.model = model
        self.fleet = fleet
        self.steady = steady
        self.person = Person()
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._victims: list[Service] = []
        self._posts: list[asyncio.Task[httpx.Response]] = []

    async def close(self) -> None:
        """Kill the victims and hang up."""
        for post in self._posts:
            post.cancel()
        await asyncio.gather(*self._posts, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()
        for victim in self._victims:
            victim.kill()
            await victim.exited()

    def message_id(self) -> str:
        """One that no other message has."""
        return f"m{next(_numbers)}"

    async def victim(self, point: str = "", **environment: str) -> Service:
        """A process that will not live long, struck at a point where one is named."""
        fault = {"FAULT_POINT": point} if point else {}
        service = await self.fleet.start(**fault, **environment)
        self._victims.append(service)
        return service

    def client(self, service: Service) -> httpx.AsyncClient:
        """A client of one process."""
        if service.url not in self._clients:
            self._clients[service.url] = httpx.AsyncClient(base_url=service.url, timeout=30)
        return self._clients[service.url]

    async def post(
        self,
        service: Service,
        message: str,
        *,
        key: str | None = None,
        conversation_id: str | None = None,
        **options: Any,
    ) -> httpx.Response:
        """POST a message."""
        return await self.person.say(
            self.client(service), message, key=key, conversation_id=conversation_id, **options
        )

    def posting(
        self, service: Service, message: str, **options: Any
    ) -> asyncio.Task[httpx.Response]:
        """POST a message in the background."""
        return self.spawn(self.post(service, message, **options))

    def spawn(self, request: Coroutine[Any, Any, httpx.Response]) -> asyncio.Task[httpx.Response]:
        """Make a request in the background."""
        post = asyncio.create_task(request)
        self._posts.append(post)
        return post

    async def stored(self, key: str) -> Stored | None:
        """What the database holds of the turn with this key."""
        [turn] = await query(
            self.url,
            "SELECT * FROM turns WHERE user_id = $1 AND idempotency_key = $2",
            self.person.user_id,
            key,
        ) or [None]
        if turn is None:
            return None
        of_turn = (self.person.user_id, turn["id"])
        said = await query(
            self.url,
            "SELECT content FROM messages WHERE user_id = $1 AND turn_id = $2 ORDER BY position",
            *of_turn,
        )
        calls = await query(
            self.url,
            "SELECT * FROM tool_calls WHERE user_id = $1 AND turn_id = $2 ORDER BY position",
            *of_turn,
        )
        answers = await query(
            self.url,
            "SELECT items FROM model_answers WHERE user_id = $1 AND turn_id = $2 ORDER BY number",
            *of_turn,
        )
        return Stored(
            dict(turn),
            [row["content"] for row in said],
            [dict(row) for row in calls],
            [json.loads(row["items"]) for row in answers],
            await self.titles(),
        )

    async def found(self, key: str) -> Stored:
        """What the database holds of a turn that is there."""
        stored = await self.stored(key)
        assert stored is not None, f"no turn has the key {key}"
        return stored

    async def begun(self, key: str, *, within_s: float = 15) -> Stored:
        """What the database holds of a turn, once it is there."""
        return await until(
            lambda: self.stored(key), within_s=within_s, what=f"the turn {key} begins"
        )

    async def ended(self, key: str, *, within_s: float = 15) -> Stored:
        """The same, once the turn is over."""

        async def over() -> Stored | None:
            stored = await self.stored(key)
            over = stored is not None and stored.turn["finished_at"] is not None
            return stored if over else None

        return await until(over, within_s=within_s, what=f"the turn {key} ends")

    async def titles(self) -> list[str]:
        """Of the user's tasks, by number."""
        rows = await query(
            self.url, "SELECT title FROM tasks WHERE user_id = $1 ORDER BY id", self.person.user_id
        )
        return [row["title"] for row in rows]
