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
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
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

CONCURRENCY: Final = 8
"""Connections that are kept alive; each is one user's, with one turn at a time."""

WARM_UP: Final = 40
"""Turns before the first measurement: connections, prepared statements, late imports."""

SCRIPTED_APP: Final = "benchmarks.taskchat_app:app"

MESSAGE: Final = "Add task: Buy groceries"

OVER_HTTP, IN_PROCESS = "over HTTP", "in the process"
"""Where the model is."""


@dataclass(frozen=True)
class Case:
    """A kind of turn.

    Attributes:
        model: Where its model is.
        before: How many turns its conversation has had.
        query: Of the request. The lean server ignores it: its answer always holds only the turn.
    """

    model: str
    before: int
    query: str = ""

    @property
    def name(self) -> str:
        return f"{self.before} before{' ' if self.query else ''}{self.query}, {self.model}"


CASES: Final = (
    Case(OVER_HTTP, before=0),
    Case(OVER_HTTP, before=30),
    Case(OVER_HTTP, before=30, query="?messages=turn"),
    Case(IN_PROCESS, before=0),
    Case(IN_PROCESS, before=9),
    Case(IN_PROCESS, before=30),
)


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
        self._begun: dict[tuple[str, int], list[Any]] = {}
        self.turns = 0

    async def connect(self, port: int, secret: str) -> None:
        for number in range(CONCURRENCY):
            user = f"user-{number}"
            token = issue_token(user, secret=secret, ttl_s=3600, issuer=None, audience=None)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            self._connections.append(Connection(user, token, reader, writer))

    async def prepare(self, begun: dict[int, int]) -> None:
        """Conversations in which something was said before, as many as will be continued.

        One for each user is talked over HTTP and copied by SQL, before anything is measured: the
        statements are then planned for tables of the size that they stay at.

        Args:
            begun: How many, by the turns that they have had.
        """
        database = await asyncpg.connect(self._url)
        try:
            for connection in self._connections:
                conversation_id: Any = None
                for turn in range(1, max(begun, default=0) + 1):
                    conversation_id = (await connection.say(conversation_id))["conversation_id"]
                    self.turns += 1
                    if turn in begun:
                        copy = _copy_lean if isinstance(conversation_id, int) else _copy_taskchat
                        self._begun[connection.user, turn] = await copy(
                            database, conversation_id, range(-(-begun[turn] // CONCURRENCY))
                        )
            await database.execute("ANALYZE")
        finally:
            await database.close()

    async def round(self, case: Case, turns: int, postgres: PostgresClock) -> Cost:
        latencies: list[float] = []

        async def load(connection: Connection) -> None:
            for _ in range(turns // CONCURRENCY):
                conversation_id = (
                    self._begun[connection.user, case.before].pop() if case.before else None
                )
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
    salt = os.urandom(8).hex()
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
                salt,
            )
        rows = await connection.fetch(
            f"SELECT {_derived('$1::uuid')} AS id FROM unnest($2::int[]) AS copy (number)",
            conversation_id,
            list(copies),
            salt,
        )
    return [str(row["id"]) for row in rows]


def _derived(id_: str) -> str:
    return f"md5({id_}::text || ' ' || copy.number || ' ' || $3)::uuid"


@contextlib.contextmanager
def serving(
    app: str, variables: Mapping[str, str], log: Path
) -> Iterator[tuple[psutil.Process, int]]:
    """A server of its own process."""
    port = free_port()
    command = ["uvicorn", app, "--port", str(port), "--no-access-log"]
    # A server idles while the other is loaded, for longer than the default allows.
    command += ["--timeout-keep-alive", "600"]
    command += ["--http", "httptools", "--loop", "uvloop", "--log-level", "warning"]
    with launched(command, port, {**variables, **AMPLE_LIMITS}, log) as server:
        server.await_port()
        yield server.process, port


async def _databases(server_url: str, suffix: str) -> dict[str, str]:
    """One for each side, with its schema."""
    urls = {}
    admin = await asyncpg.connect(server_url)
    for name in ("lean", "taskchat"):
        await admin.execute(f"CREATE DATABASE bench_{name}_{suffix}")
        url = make_url(server_url).set(database=f"bench_{name}_{suffix}")
        urls[name] = url.render_as_string(hide_password=False)
    await admin.close()
    lean = await asyncpg.connect(urls["lean"])
    await lean.execute(SCHEMA)
    await lean.close()
    await asyncio.to_thread(upgrade, urls["taskchat"])
    return urls


Sides = dict[str, tuple[Side, Side]]
"""The lean server and ours, by where their model is."""


@contextlib.asynccontextmanager
async def sides(folder: Path, turns: int) -> AsyncIterator[tuple[Sides, PostgresClock]]:
    """All servers, started and warm, with conversations for so many turns of each case."""
    server_url = start_postgres(folder)
    postgres = PostgresClock(folder)
    secret = os.urandom(24).hex()
    found: Sides = {}
    async with contextlib.AsyncExitStack() as stack:
        vendor_port = free_port()
        stack.enter_context(
            launched(
                ["benchmarks.slow_vendor", str(vendor_port), "0"],
                vendor_port,
                {},
                folder / "vendor.log",
            )
        ).await_port()
        for number, (model, variables) in enumerate(
            {
                OVER_HTTP: {
                    "TASKCHAT_MODEL": "bench-model",
                    "OPENAI_API_KEY": "none",
                    "OPENAI_BASE_URL": f"http://127.0.0.1:{vendor_port}/v1",
                },
                IN_PROCESS: {"TASKCHAT_MODEL": "offline"},
            }.items()
        ):
            urls = await _databases(server_url, str(number))
            apps = {
                "lean": "benchmarks.lean_app:app",
                "taskchat": "taskchat.main:app" if model is OVER_HTTP else SCRIPTED_APP,
            }
            both = []
            for name, url in urls.items():
                of_server = {"DATABASE_URL": url, "TASKCHAT_JWT_SECRET": secret, **variables}
                process, port = stack.enter_context(
                    serving(apps[name], of_server, folder / f"{name}-{number}.log")
                )
                side = Side(name, url, process)
                stack.callback(side.close)
                await side.connect(port, secret)
                cases = [case for case in CASES if case.model is model]
                await side.prepare(
                    {
                        before: (WARM_UP + turns) * sum(case.before == before for case in cases)
                        for before in {case.before for case in cases if case.before}
                    }
                )
                for case in cases:
                    await side.round(case, WARM_UP, postgres)
                both.append(side)
            found[model] = both[0], both[1]
        yield found, postgres


Rounds = dict[str, list[tuple[Cost, Cost]]]


async def measure(turns: int, rounds: int, folder: Path) -> Rounds:
    """Costs of the lean server and of ours, by case and round."""
    measured: Rounds = {case.name: [] for case in CASES}
    async with sides(folder, turns * rounds) as (found, postgres):
        for number in range(rounds):
            for case in CASES:
                lean, ours = found[case.model]
                # Who goes first alternates, lest one always meet the other's aftermath.
                order = (lean, ours) if number % 2 == 0 else (ours, lean)
                costs = {side.name: await side.round(case, turns, postgres) for side in order}
                measured[case.name].append((costs[lean.name], costs[ours.name]))
                print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        for both in found.values():
            for side in both:
                await side.check()
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
        f"{'turn':<36}{'lean server':<24}{'taskchat server':<24}{'ratio':<24}Postgres, lean / ours",
    ]
    for case, values in found.items():
        server, postgres = values["server_ms"], values["postgres_ms"]
        lines.append(
            f"{case:<36}{range_of(server['lean'], 2):<24}{range_of(server['taskchat'], 2):<24}"
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
        lines.append(f"{case:<36}{shown}")
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
