"""What benchmarks of turns stand on: one cluster, databases, servers of their own process."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final

import asyncpg
from sqlalchemy.engine import make_url

from benchmarks.clocks import PostgresClock
from benchmarks.lean_app import SCHEMA
from benchmarks.processes import AMPLE_LIMITS, Launched, free_port, launched
from taskchat.auth.issuing import issue_token
from taskchat.postgres.embedded import ephemeral_data_dir, start_postgres
from taskchat.postgres.migrations import upgrade

LEAN, OURS = "lean", "taskchat"
"""Whose server it is."""

SCRIPTED: Final[Mapping[str, str]] = {"TASKCHAT_MODEL": "scripted"}
"""The variables of a server with the scripted model in its process; see also `Stage.vendor`."""


class Stage:
    """A cluster with its databases, and the servers on it, which stop when the stage is left."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        data_dir = ephemeral_data_dir()
        self.server_url = start_postgres(data_dir)
        self.postgres = PostgresClock(data_dir)
        self._logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taskchat-")))
        self._stack = stack
        self._secret = os.urandom(24).hex()

    def token(self, user: str) -> str:
        """What proves a user to every server of the stage."""
        return issue_token(user, secret=self._secret, ttl_s=7200, issuer=None, audience=None)

    async def database(self, side: str, name: str) -> str:
        """The address of a new one, with the schema of that side."""
        async with connected(self.server_url) as admin:
            await admin.execute(f"CREATE DATABASE {name}")
        made = make_url(self.server_url).set(database=name)
        url = made.render_as_string(hide_password=False)
        if side == OURS:
            await asyncio.to_thread(upgrade, url)
        else:
            async with connected(url) as database:
                await database.execute(SCHEMA)
        return url

    async def vendor(self, seconds: float) -> Mapping[str, str]:
        """The variables of a server whose model is over HTTP and takes so long for each call."""
        port = free_port()
        await self._started(["benchmarks.slow_vendor", str(port), str(seconds)], port, {})
        return {
            "TASKCHAT_MODEL": "bench-model",
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        }

    async def serve(self, side: str, url: str, model: Mapping[str, str]) -> Launched:
        """A server of that side, which listens."""
        port = free_port()
        if side == OURS:
            command = ["benchmarks.live_server", str(port)]
        else:
            command = ["uvicorn", "benchmarks.lean_app:app", "--port", str(port)]
            command += ["--http", "httptools", "--loop", "uvloop", "--log-level", "warning"]
            command += ["--no-access-log", "--backlog", "4096"]
        variables = {"DATABASE_URL": url, "TASKCHAT_JWT_SECRET": self._secret}
        return await self._started(command, port, {**variables, **model, **AMPLE_LIMITS})

    async def _started(
        self, command: list[str], port: int, variables: Mapping[str, str]
    ) -> Launched:
        log = self._logs / f"{port}.log"
        server = self._stack.enter_context(launched(command, port, variables, log))
        # Its way to the database may lead through this process.
        await asyncio.to_thread(server.await_port)
        return server


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        yield Stage(stack)


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
