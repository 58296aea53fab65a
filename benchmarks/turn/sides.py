"""One of the two servers under load: its process, its database, its clients."""

import asyncio
import itertools
import time
from typing import Any, Final

from benchmarks.client import Client
from benchmarks.clocks import PostgresClock
from benchmarks.copies import copied_id, copy_conversation, copy_of_lean
from benchmarks.cost import Cost, cost_of
from benchmarks.processes import Launched
from benchmarks.stage import LEAN, Stage, connected
from benchmarks.turn.cases import Case

CONCURRENCY: Final = 8
"""Connections that are kept alive; each is one user's, with one turn at a time."""


class Side:
    """A server that is loaded in rounds."""

    def __init__(self, name: str, url: str, server: Launched) -> None:
        self.name = name
        self._url = url
        self._server = server
        self._clients: list[Client] = []
        self._begun: dict[tuple[str, int], list[Any]] = {}
        self._turns = 0

    async def connect(self, stage: Stage) -> None:
        for number in range(CONCURRENCY):
            user = f"user-{number}"
            client = await Client.connect(self._server.port, user, stage.token(user))
            self._clients.append(client)

    async def prepare(self, begun: dict[int, int]) -> None:
        """Conversations in which something was said before, as many as will be continued.

        One for each user is talked over HTTP and copied by SQL, before anything is measured: the
        statements are then planned for tables of the size that they stay at.

        Args:
            begun: How many, by the turns that they have had.
        """

        async def talk(client: Client) -> None:
            conversation_id: Any = None
            async with connected(self._url) as database:
                for turn in range(1, max(begun, default=0) + 1):
                    conversation_id = (await client.say(conversation_id))["conversation_id"]
                    self._turns += 1
                    if turn in begun:
                        self._begun[client.user, turn] = await self._copies(
                            database, conversation_id, -(-begun[turn] // CONCURRENCY)
                        )

        await asyncio.gather(*map(talk, self._clients))
        async with connected(self._url) as database:
            await database.execute("ANALYZE")

    async def _copies(self, database: Any, conversation_id: Any, copies: int) -> list[Any]:
        if self.name == LEAN:
            return [*await copy_of_lean(database, conversation_id, copies)]
        salt = await copy_conversation(database, conversation_id, copies)
        return [copied_id(conversation_id, salt, number) for number in range(copies)]

    async def round(self, case: Case, turns: int, postgres: PostgresClock) -> Cost:
        """So many turns of a kind, over all clients at once."""

        async def load(client: Client) -> list[float]:
            seconds = []
            for _ in range(turns // CONCURRENCY):
                begun = self._begun[client.user, case.before].pop() if case.before else None
                began = time.perf_counter()
                await client.say(begun, query=case.query)
                seconds.append(time.perf_counter() - began)
            return seconds

        async def load_all() -> list[float]:
            return [*itertools.chain(*await asyncio.gather(*map(load, self._clients)))]

        self._turns += turns // CONCURRENCY * CONCURRENCY
        return await cost_of(load_all(), self._server, postgres)

    async def check(self) -> None:
        """Every turn must have added its task, or the two did not do the same."""
        async with connected(self._url) as database:
            tasks = await database.fetchval("SELECT count(*) FROM tasks")
        if tasks != self._turns:
            raise RuntimeError(f"{self.name}: {self._turns} turns and {tasks} tasks")

    def close(self) -> None:
        for client in self._clients:
            client.close()
