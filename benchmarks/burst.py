"""Many turns at once, more than there are connections, on a process that has little of a core.

Both servers get the same burst one after the other, in the same squeeze: every turn by a user and a
connection of its own, two calls of a model over HTTP that takes its time, one task.
"""

import argparse
import asyncio
import collections
import json
import resource
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.clocks import cpu_s, peak_mib
from benchmarks.lean_app import SCHEMA
from benchmarks.processes import AMPLE_LIMITS, Launched, free_port, launched
from benchmarks.squeeze import squeezed
from taskchat.auth.issuing import issue_token
from taskchat.postgres.embedded import ephemeral_data_dir, start_postgres
from taskchat.postgres.migrations import upgrade

SECRET: Final = "the secret of a benchmark, of more than 32 bytes"

SERVERS: Final = {"lean": "benchmarks.lean_app:app", "taskchat": "taskchat.main:app"}


@dataclass(frozen=True)
class Outcome:
    """What became of a burst.

    Attributes:
        statuses: HTTP statuses, and how often each.
        tasks: Rows afterwards.
        seconds: From the first request to the last answer.
        p50_s: Median of the answers' times.
        p95_s: Their 95th percentile.
        cpu_ms: Processor time of the server, a turn.
        memory_mib: The most resident memory of the server.
    """

    server: str
    statuses: dict[str, int]
    tasks: int
    seconds: float
    p50_s: float
    p95_s: float
    cpu_ms: float
    memory_mib: float


async def _say(port: int, user: str, token: str) -> tuple[str, float]:
    """One turn; who is told to come back later does, once."""
    began = time.monotonic()
    status, retry_after_s = await _ask(port, user, token)
    if retry_after_s:
        await asyncio.sleep(retry_after_s)
        status = f"{status} then {(await _ask(port, user, token))[0]}"
    return status, time.monotonic() - began


async def _ask(port: int, user: str, token: str) -> tuple[str, int]:
    body = json.dumps({"message": "Add task: Buy groceries"}).encode()
    head = ""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"POST /api/{user}/chat HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        status = (await reader.readuntil(b"\r\n")).decode().split()[1]
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        writer.close()
    except (OSError, asyncio.IncompleteReadError) as error:
        status = type(error).__name__
    return status, int(head.partition("retry-after:")[2].split("\r\n")[0] or 0)


async def _burst(name: str, server: Launched, dsn: str, turns: int, share: float) -> Outcome:
    users = {
        user: issue_token(user, secret=SECRET, ttl_s=3600, issuer=None, audience=None)
        for user in ["warm", *(f"user-{number}" for number in range(turns))]
    }
    # What is late at the first turn of a process is no matter of bursts.
    warm = users.pop("warm")
    await asyncio.gather(*(_say(server.port, "warm", warm) for _ in range(10)))
    used, began = cpu_s(server.process), time.monotonic()
    with squeezed(server.process.pid, share):
        answers = await asyncio.gather(
            *(_say(server.port, user, token) for user, token in users.items())
        )
        seconds = time.monotonic() - began
    used = cpu_s(server.process) - used
    times = sorted(second for _, second in answers)
    connection = await asyncpg.connect(dsn)
    tasks = await connection.fetchval("SELECT count(*) FROM tasks WHERE user_id <> 'warm'")
    await connection.close()
    return Outcome(
        server=name,
        statuses=dict(collections.Counter(status for status, _ in answers)),
        tasks=int(tasks),
        seconds=round(seconds, 1),
        p50_s=round(times[len(times) // 2], 1),
        p95_s=round(times[len(times) * 95 // 100], 1),
        cpu_ms=round(used / turns * 1000, 1),
        memory_mib=round(peak_mib(server.process)),
    )


def measure(
    turns: int, share: float, model_s: float, names: list[str], line_max: int | None
) -> list[Outcome]:
    """One burst for each server, on a database of its own."""
    outcomes = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taskchat-burst-")))
        postgres = start_postgres(ephemeral_data_dir())
        model_port = free_port()
        vendor = stack.enter_context(
            launched(
                ["benchmarks.slow_vendor", str(model_port), str(model_s)],
                model_port,
                {},
                folder / "vendor.log",
            )
        )
        vendor.await_port()
        for name in names:
            dsn = asyncio.run(_database(postgres, name))
            if name == "taskchat":
                upgrade(dsn)
            port, log = free_port(), folder / f"{name}.log"
            variables = {
                "DATABASE_URL": dsn,
                "TASKCHAT_JWT_SECRET": SECRET,
                "TASKCHAT_MODEL": "bench-model",
                "OPENAI_API_KEY": "none",
                "OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
                **AMPLE_LIMITS,
            }
            if line_max is not None:
                variables["TASKCHAT_DB_LINE_MAX"] = str(line_max)
            command = ["uvicorn", SERVERS[name], "--port", str(port), "--no-access-log"]
            if name == "taskchat":
                command = ["taskchat", "serve", "--port", str(port)]
            with launched(command, port, variables, log) as server:
                server.await_port()
                outcomes.append(asyncio.run(_burst(name, server, dsn, turns, share)))
    return outcomes


async def _database(postgres: str, name: str) -> str:
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    dsn = postgres.replace("/postgres?", f"/{name}?", 1)
    if name == "lean":
        connection = await asyncpg.connect(dsn)
        await connection.execute(SCHEMA)
        await connection.close()
    return dsn


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-burst", description=__doc__)
    parser.add_argument("--turns", type=int, default=1000, help="at once; default: 1000")
    parser.add_argument("--share", type=float, default=0.3, help="of a core; default: 0.3")
    parser.add_argument("--model", type=float, default=2.0, help="seconds a call; default: 2")
    parser.add_argument("--server", choices=SERVERS, action="append", help="default: both")
    parser.add_argument("--line", type=int, help="TASKCHAT_DB_LINE_MAX; default: its own")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    servers = given.server or list(SERVERS)
    outcomes = measure(given.turns, given.share, given.model, servers, given.line)
    if given.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes]))
        return
    print("| server | answers | tasks | all after | p50 | p95 | processor a turn | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for one in outcomes:
        answers = ", ".join(f"{count} × {status}" for status, count in one.statuses.items())
        print(
            f"| {one.server} | {answers} | {one.tasks} | {one.seconds} s | {one.p50_s} s"
            f" | {one.p95_s} s | {one.cpu_ms} ms | {one.memory_mib} MiB |"
        )


if __name__ == "__main__":
    main()
