"""A Postgres cluster of one's own, to be stopped, killed and started in the middle of work."""

import asyncio
import contextlib
import json
import random
import subprocess
from pathlib import Path
from typing import Any, Literal

import asyncpg
import psutil
from sqlalchemy.engine import make_url

from taskchat.moments import new_id
from taskchat.postgres.embedded import start_postgres
from taskchat.postgres.embedded.account import account_for
from taskchat.postgres.embedded.programs import install_folder
from taskchat.postgres.migrations import upgrade

StopMode = Literal["fast", "immediate"]

CONFIGURATION = """
max_connections = 300
# A killed server keeps what the kernel has; only the machine's own death would lose it.
fsync = off
"""


class Cluster:
    """One cluster with one migrated database.

    Args:
        folder: Where it is made; removed when this process ends.
    """

    def __init__(self, folder: Path) -> None:
        self._frozen: list[psutil.Process] = []
        self._making = asyncio.Lock()
        self._migrated: str | None = None
        self._server_url = start_postgres(folder)
        self._data = folder.resolve() / "postgres"
        self.socket_folder = Path(str(make_url(self._server_url).query.get("host") or self._data))
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            # `pg_ctl start` alone then starts it where it was.
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self.socket_folder}'\n")
            file.write(CONFIGURATION)
        self.restart("fast")

    async def make_database(self, name: str) -> str:
        """A migrated database; returns its address, of a login that sees every row."""
        async with self._making:
            if self._migrated is None:
                url = await self._create("migrated", like="template1")
                await asyncio.to_thread(upgrade, url)
                self._migrated = str(make_url(url).database)
        return await self._create(name, like=self._migrated)

    async def _create(self, name: str, *, like: str) -> str:
        name = f"{name}_{new_id().hex}"
        connection = await asyncpg.connect(self._server_url)
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        finally:
            await connection.close()
        url = make_url(self._server_url).set(database=name)
        return url.render_as_string(hide_password=False)

    @property
    def socket_path(self) -> Path:
        """Where the server listens."""
        return self.socket_folder / ".s.PGSQL.5432"

    def _pg_ctl(self, *arguments: str) -> None:
        account = account_for(self._data)
        subprocess.run(
            [install_folder() / "bin" / "pg_ctl", "-w", "-D", self._data, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            # As root the cluster belongs to a user of its own.
            user=account.uid,
            group=account.gid,
            extra_groups=account.extra_groups,
            timeout=120,
        )

    def stop(self, mode: StopMode = "immediate") -> None:
        """Stop: `fast` ends sessions in order, `immediate` is a crash."""
        self._pg_ctl("-m", mode, "stop")

    def start(self) -> None:
        """Start again; crash recovery included."""
        self._pg_ctl("-l", str(self._data / "log"), "start")

    def restart(self, mode: StopMode) -> None:
        """Stop and start."""
        self.stop(mode)
        self.start()

    def _processes(self) -> list[psutil.Process]:
        pid = int((self._data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children()]

    def freeze(self) -> None:
        """Stop the whole server where it is, as a stalled disk or network does."""
        self._frozen = self._processes()
        for process in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        self._frozen = []

    def close(self) -> None:
        """Stop for good; the folder goes when this process ends."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")


async def query(url: str, statement: str, *values: Any) -> list[Any]:
    """Rows of one statement, on a connection of its own: the server may have been restarted."""
    connection = await asyncpg.connect(url, timeout=10, command_timeout=20)
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close(timeout=5)


async def terminate_backends(url: str, chance: random.Random | None = None) -> int:
    """Cut connections to the database, all or a random half; returns how many."""
    keep = 0.0 if chance is None else 0.5
    rows = await query(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() >= $1",
        keep,
    )
    return len(rows)


TABLES = {
    "turns": "turns",
    "messages": "messages",
    "steering": "steering",
    "calls": "tool_calls",
    "takeovers": "takeovers",
    "answers": "model_answers",
    "tasks": "tasks",
    "conversations": "conversations",
    "events": "turn_events",
    "used": "model_calls",
    "days": "usage_days",
    "feedback": "feedback_requests",
    "schedules": "schedules",
}
"""What a checker compares, by its names for them."""


async def all_rows(url: str, user_id: str | None = None) -> dict[str, Any]:
    """All that the tables hold, or what one user has in them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, table in TABLES.items():
        rows = await query(
            url, f"SELECT * FROM {table} WHERE $1::text IS NULL OR user_id = $1", user_id
        )
        found[name] = [dict(row) for row in rows]
        for row in found[name]:
            for column in ("items", "result", "parameters", "calls", "choices", "decisions"):
                if table != "turns" and row.get(column) is not None:
                    row[column] = json.loads(row[column])
    return found
