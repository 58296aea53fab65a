"""Processor time of one turn of the service, beside the leanest turn that can be written.

Both servers run as processes of their own on one Postgres and take turns in being loaded, so that
whatever else the machine does meets both. What counts is the ratio within one run.
"""

import argparse
import asyncio
import atexit
import contextlib
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil
from sqlalchemy.engine import make_url

from benchmarks.lean_app import SCHEMA
from benchmarks.processes import AMPLE_LIMITS, PostgresClock, cpu_s, free_port, launched
from taskchat.auth.tokens import issue_token
from taskchat.postgres.embedded import start_postgres
from taskchat.postgres.migrations import upgrade

CONCURRENCY: Final = 4
"""Connections that are kept alive; each is one user's, with one turn at a time."""

WARM_UP: Final = 40
"""Turns before the first measurement: connections, prepared statements, late imports."""

HISTORY_TURNS: Final = 9
"""Turns before the tenth."""

MESSAGE: Final = "Add task: Buy groceries"


@dataclass(frozen=True)
class Case:
    name: str
    tenth: bool
    query: str


CASES: Final = (
    Case("first", tenth=False, query=""),
    Case("tenth", tenth=True, query=""),
    Case("first ?messages=turn", tenth=False, query="?messages=turn"),
    Case("tenth ?messages=turn", tenth=True, query="?messages=turn"),
)
"""The lean server ignores the query: its answer always holds only the turn."""


@dataclass(frozen=True)
class Cost:
    """Milliseconds per turn in one round: the server's processor, Postgres' processor, latency."""

    server: float
    postgres: float
    latency: float


class Connection:
    """One user on one kept-alive connection, as cheap for the machine as can be."""

    def __init__(
        self,
        user: str,
        token: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.user = user
        self._token = token
        self._reader, self._writer = reader, writer

    async def say(self, conversation_id: Any = None, query: str = "") -> dict[str, Any]:
        body = json.dumps({"message": MESSAGE, "conversation_id": conversation_id}).encode()
        self._writer.write(
            f"POST /api/{self.user}/chat{query} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        answer = await self._reader.readexactly(length)
        if not head.startswith("http/1.1 200"):
            raise RuntimeError(f"{head.splitlines()[0]} {answer.decode()}")
        parsed: dict[str, Any] = json.loads(answer)
        if parsed["response"] != "Added." or len(parsed["tool_calls"]) != 1:
            raise RuntimeError(f"not the turn that was asked for: {answer.decode()}")
        return parsed

    def close(self) -> None:
        self._writer.close()


class Side:
    """One of the two servers: its process, its database, its connections."""

    def __init__(self, name: str, url: str, process: psutil.Process) -> None:
        self.name = name
        self._url = url
        self._server = process
        self._connections: list[Connection] = []
        self._tenths: dict[str, list[Any]] = {}
        self.turns = 0

    async def connect(self, port: int, secret: str) -> None:
        for number in range(CONCURRENCY):
            user = f"user-{number}"
            token = issue_token(user, secret=secret, ttl_s=3600, issuer=None, audience=None)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            self._connections.append(Connection(user, token, reader, writer))

    async def prepare(self, tenths: int) -> None:
        """Conversations of nine turns, for every tenth turn that will be taken.

        One for each user is talked over HTTP and copied by SQL, before anything is measured: the
        statements are then planned for tables of the size that they stay at.
        """
        database = await asyncpg.connect(self._url)
        try:
            for connection in self._connections:
                conversation_id: Any = None
                for _ in range(HISTORY_TURNS):
                    conversation_id = (await connection.say(conversation_id))["conversation_id"]
                    self.turns += 1
                copy = _copy_lean if isinstance(conversation_id, int) else _copy_taskchat
                self._tenths[connection.user] = await copy(
                    database, conversation_id, range(-(-tenths // CONCURRENCY))
                )
            await database.execute("ANALYZE")
        finally:
            await database.close()

    async def round(self, case: Case, turns: int, postgres: PostgresClock) -> Cost:
        latencies: list[float] = []

        async def load(connection: Connection) -> None:
            for _ in range(turns // CONCURRENCY):
                conversation_id = self._tenths[connection.user].pop() if case.tenth else None
                began = time.perf_counter()
                await connection.say(conversation_id, case.query)
                latencies.append(time.perf_counter() - began)

        before, postgres_before = cpu_s(self._server), postgres.cpu_s()
        await asyncio.gather(*(load(connection) for connection in self._connections))
        after, postgres_after = cpu_s(self._server), postgres.cpu_s()
        done = len(latencies)
        self.turns += done
        return Cost(
            (after - before) / done * 1000,
            (postgres_after - postgres_before) / done * 1000,
            statistics.median(latencies) * 1000,
        )

    async def check(self) -> None:
        """Every turn must have added its task, or the two did not do the same."""
        connection = await asyncpg.connect(self._url)
        try:
            tasks = await connection.fetchval("SELECT count(*) FROM tasks")
        finally:
            await connection.close()
        if tasks != self.turns:
            raise RuntimeError(f"{self.name}: {self.turns} turns and {tasks} tasks")

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


async def _copy_lean(
    connection: asyncpg.Connection, conversation_id: int, copies: range
) -> list[Any]:
    made: list[Any] = []
    async with connection.transaction():
        for _ in copies:
            made.append(
                await connection.fetchval(
                    "INSERT INTO conversations (user_id)"
                    " SELECT user_id FROM conversations WHERE id = $1 RETURNING id",
                    conversation_id,
                )
            )
        await connection.execute(
            "INSERT INTO messages (conversation_id, role, content)"
            " SELECT made.id, role, content FROM unnest($2::bigint[]) AS made (id), messages"
            " WHERE conversation_id = $1 ORDER BY messages.id",
            conversation_id,
            made,
        )
    return made


_OF_CONVERSATION: Final = {
    "conversations": "old.id = $1",
    "turns": "old.conversation_id = $1",
    "messages": "old.conversation_id = $1",
    "model_answers": "old.turn_id IN (SELECT id FROM turns WHERE conversation_id = $1)",
    "tool_calls": "old.turn_id IN (SELECT id FROM turns WHERE conversation_id = $1)",
}
"""Which rows of each table belong to a conversation; the order respects the foreign keys."""


async def _copy_taskchat(
    connection: asyncpg.Connection, conversation_id: str, copies: range
) -> list[Any]:
    async with connection.transaction():
        for table, belongs in _OF_CONVERSATION.items():
            columns = await connection.fetch(
                "SELECT quote_ident(attname) AS name, attname IN"
                " ('id', 'turn_id', 'conversation_id') AS is_id FROM pg_attribute"
                " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped"
                " AND attgenerated = ''",
                table,
            )
            names = ", ".join(column["name"] for column in columns)
            values = ", ".join(
                _derived(f"old.{column['name']}") if column["is_id"] else f"old.{column['name']}"
                for column in columns
            )
            await connection.execute(
                f"INSERT INTO {table} ({names}) SELECT {values}"
                f" FROM {table} AS old, unnest($2::int[]) AS copy (number) WHERE {belongs}",
                conversation_id,
                list(copies),
            )
        rows = await connection.fetch(
            f"SELECT {_derived('$1::uuid')} AS id FROM unnest($2::int[]) AS copy (number)",
            conversation_id,
            list(copies),
        )
    return [str(row["id"]) for row in rows]


def _derived(id_: str) -> str:
    return f"md5({id_}::text || ' ' || copy.number)::uuid"


@contextlib.contextmanager
def serving(app: str, url: str, secret: str, log: Path) -> Iterator[tuple[psutil.Process, int]]:
    """A server of its own process."""
    port = free_port()
    command = ["uvicorn", app, "--port", str(port), "--no-access-log"]
    # A server idles while the other is loaded, for longer than the default allows.
    command += ["--timeout-keep-alive", "600"]
    command += ["--http", "httptools", "--loop", "uvloop", "--log-level", "warning"]
    variables = {"DATABASE_URL": url, "TASKCHAT_JWT_SECRET": secret, "TASKCHAT_MODEL": "offline"}
    with launched(command, port, variables | AMPLE_LIMITS, log) as server:
        server.await_port()
        yield server.process, port


async def _databases(server_url: str) -> dict[str, str]:
    """One for each side, with its schema."""
    urls = {}
    admin = await asyncpg.connect(server_url)
    for name in ("lean", "taskchat"):
        await admin.execute(f"CREATE DATABASE bench_{name}")
        url = make_url(server_url).set(database=f"bench_{name}")
        urls[name] = url.render_as_string(hide_password=False)
    await admin.close()
    lean = await asyncpg.connect(urls["lean"])
    await lean.execute(SCHEMA)
    await lean.close()
    await asyncio.to_thread(upgrade, urls["taskchat"])
    return urls


@contextlib.asynccontextmanager
async def sides(folder: Path, turns: int) -> AsyncIterator[tuple[Side, Side, PostgresClock]]:
    """Both servers, started and warm, with conversations for so many tenth turns of each case."""
    urls = await _databases(start_postgres(folder))
    postgres = PostgresClock(folder)
    secret = os.urandom(24).hex()
    async with contextlib.AsyncExitStack() as stack:
        both = []
        for name, url in urls.items():
            process, port = stack.enter_context(
                serving(f"benchmarks.{name}_app:app", url, secret, folder / f"{name}.log")
            )
            side = Side(name, url, process)
            stack.callback(side.close)
            await side.connect(port, secret)
            await side.prepare((WARM_UP + turns) * sum(case.tenth for case in CASES))
            for case in CASES:
                await side.round(case, WARM_UP, postgres)
            both.append(side)
        yield both[0], both[1], postgres


Rounds = dict[str, list[tuple[Cost, Cost]]]


async def measure(turns: int, rounds: int, folder: Path) -> Rounds:
    """Costs of the lean server and of ours, by case and round."""
    measured: Rounds = {case.name: [] for case in CASES}
    async with sides(folder, turns * rounds) as (lean, ours, postgres):
        for number in range(rounds):
            for case in CASES:
                # Who goes first alternates, lest one always meet the other's aftermath.
                order = (lean, ours) if number % 2 == 0 else (ours, lean)
                costs = {side.name: await side.round(case, turns, postgres) for side in order}
                measured[case.name].append((costs[lean.name], costs[ours.name]))
                print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        await lean.check()
        await ours.check()
    return measured


def summary(values: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "rounds": [round(value, 3) for value in values],
    }


def report(measured: Rounds) -> dict[str, Any]:
    """Everything that is measured, as JSON."""
    return {
        case: {
            "ratio": summary([ours.server / lean.server for lean, ours in rounds]),
            **{
                f"{measure}_ms": {
                    "lean": summary([getattr(lean, measure) for lean, _ in rounds]),
                    "taskchat": summary([getattr(ours, measure) for _, ours in rounds]),
                }
                for measure in ("server", "postgres", "latency")
            },
        }
        for case, rounds in measured.items()
    }


def table(found: dict[str, Any], turns: int) -> str:
    def range_of(values: dict[str, Any], digits: int) -> str:
        low, middle, high = (f"{values[name]:.{digits}f}" for name in ("min", "median", "max"))
        return f"{middle} ({low} to {high})"

    lines = [
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {turns} turns a round,"
        f" {CONCURRENCY} at once. Milliseconds of processor time per turn:",
        "median (least to most) over rounds.",
        "",
        f"{'turn':<22}{'lean server':<24}{'taskchat server':<24}{'ratio':<24}Postgres, lean / ours",
    ]
    for case, values in found.items():
        server, postgres = values["server_ms"], values["postgres_ms"]
        lines.append(
            f"{case:<22}{range_of(server['lean'], 2):<24}{range_of(server['taskchat'], 2):<24}"
            f"{range_of(values['ratio'], 2):<24}"
            f"{postgres['lean']['median']:.2f} / {postgres['taskchat']['median']:.2f}"
        )
    lines += ["", "By round, lean / taskchat = ratio:"]
    for case, values in found.items():
        server = values["server_ms"]
        rounds = zip(
            server["lean"]["rounds"],
            server["taskchat"]["rounds"],
            values["ratio"]["rounds"],
            strict=True,
        )
        shown = ", ".join(f"{lean:.2f}/{ours:.2f}={ratio:.2f}" for lean, ours, ratio in rounds)
        lines.append(f"{case:<22}{shown}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turn", description=__doc__)
    parser.add_argument("--turns", type=int, default=120, help="turns of a round [120]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every case [5]")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    options = parser.parse_args()
    if options.turns < CONCURRENCY or options.rounds < 1:
        parser.error(f"--turns must be at least {CONCURRENCY} and --rounds at least 1")
    turns = options.turns - options.turns % CONCURRENCY
    folder = Path(tempfile.mkdtemp(prefix="taskchat-bench-"))
    # Registered before the cluster starts, so that it runs after the cluster has stopped.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found = report(asyncio.run(measure(turns, options.rounds, folder)))
    if options.json:
        about = {"python": platform.python_version(), "cores": os.cpu_count(), "turns": turns}
        print(json.dumps({**about, "cases": found}, indent=2))
    else:
        print(table(found, turns))


if __name__ == "__main__":
    main()
