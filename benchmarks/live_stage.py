"""What the benchmark of the live side stands on: Postgres, people, servers of their own process."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy.engine import make_url

from benchmarks.clocks import PostgresClock, cpu_s
from benchmarks.live_server import COLLECTIONS, SCRIPTED
from benchmarks.processes import AMPLE_LIMITS, Launched, free_port, launched
from benchmarks.token_server import MODEL
from taskchat.auth.issuing import issue_token
from taskchat.postgres.embedded import start_postgres
from taskchat.postgres.migrations import upgrade

DATABASE = "bench_live"


@dataclass(frozen=True)
class Person:
    """A user, and the token that proves it."""

    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Server:
    """A server of ours, from outside.

    Attributes:
        launched: Its process.
        collections: The file in which it notes what its garbage collector does.
    """

    launched: Launched
    collections: Path

    @property
    def port(self) -> int:
        return self.launched.port

    async def ready(self) -> None:
        """Wait until it serves."""
        await asyncio.to_thread(self.launched.await_port)

    def cpu_s(self) -> float:
        return cpu_s(self.launched.process)

    def memory_kib(self) -> float:
        """What it holds of the machine's memory."""
        resident: int = self.launched.process.memory_info().rss
        return resident / 1024

    def longest_pause_ms(self, since: float) -> float:
        """The longest stop for its garbage collector since a time of `time.monotonic`."""
        noted = [line.split() for line in self.collections.read_text().splitlines()]
        pauses = [float(took) for began, took, *_ in noted if float(began) >= since]
        return round(max(pauses, default=0) * 1000, 1)


class Stage:
    """A cluster with our schema, for the servers of one run.

    Args:
        folder: For the cluster and the logs.
        url: The database.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.postgres = PostgresClock(folder)
        self._folder = folder
        self._url = url
        self._secret = os.urandom(24).hex()

    def person(self, name: str) -> Person:
        """A user; no two measurements share one."""
        token = issue_token(name, secret=self._secret, ttl_s=3600, issuer=None, audience=None)
        return Person(name, token)

    async def conversations(self, people: list[Person], each: int) -> list[tuple[Person, str]]:
        """So many conversations of each, that nothing was said in yet."""
        made = [(person, uuid4()) for person in people for _ in range(each)]
        owners: list[str] = [person.id for person, _ in made]
        ids: list[UUID] = [id_ for _, id_ in made]
        async with self._connected() as database:
            await database.execute(
                "INSERT INTO users (id) SELECT DISTINCT unnest($1::text[])", owners
            )
            await database.execute(
                "INSERT INTO conversations (user_id, id)"
                " SELECT * FROM unnest($1::text[], $2::uuid[])",
                owners,
                ids,
            )
            await database.execute("ANALYZE")
        return [(person, str(id_)) for person, id_ in made]

    async def transactions(self) -> int:
        """Transactions that the database has counted; a session tells of its own within 10 s."""
        async with self._connected() as database:
            counted: int = await database.fetchval(
                "SELECT xact_commit + xact_rollback FROM pg_stat_database"
                " WHERE datname = current_database()"
            )
        return counted

    @contextlib.contextmanager
    def serving(
        self,
        *,
        vendor: str | None = None,
        interval_s: float = 0.05,
        variables: Mapping[str, str] | None = None,
    ) -> Iterator[Server]:
        """One process of the service, which will soon be ready.

        Args:
            vendor: Where its model is; without one it has the scripted model.
            interval_s: How often at most it tells of streamed text.
            variables: What else it is configured with.
        """
        all_variables = {
            "DATABASE_URL": self._url,
            "TASKCHAT_JWT_SECRET": self._secret,
            "TASKCHAT_EVENT_INTERVAL_S": str(interval_s),
            "TASKCHAT_MODEL": SCRIPTED if vendor is None else MODEL,
            **({} if vendor is None else {"OPENAI_BASE_URL": vendor, "OPENAI_API_KEY": "none"}),
            **(variables or {}),
        }
        port = free_port()
        command = ["benchmarks.live_server", str(port)]
        log = self._folder / f"server-{port}.log"
        collections = self._folder / f"server-{port}.collections"
        all_variables[COLLECTIONS] = str(collections)
        with launched(command, port, all_variables | AMPLE_LIMITS, log) as server:
            yield Server(server, collections)

    @contextlib.contextmanager
    def vendor(self) -> Iterator[str]:
        """The address of a model that says when it said what."""
        port = free_port()
        command, log = ["benchmarks.token_server", str(port)], self._folder / "vendor.log"
        with launched(command, port, {}, log) as server:
            server.await_port()
            yield f"http://127.0.0.1:{port}/v1"

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self._url)
        try:
            yield connection
        finally:
            await connection.close()


async def staged(folder: Path) -> Stage:
    """The cluster, started, with our schema."""
    server_url = start_postgres(folder)
    admin = await asyncpg.connect(server_url)
    await admin.execute(f"CREATE DATABASE {DATABASE}")
    await admin.close()
    url = make_url(server_url).set(database=DATABASE)
    rendered = url.render_as_string(hide_password=False)
    await asyncio.to_thread(upgrade, rendered)
    return Stage(folder, rendered)
