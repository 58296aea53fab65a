"""A Postgres cluster of one's own, to be stopped, killed and started in the middle of work."""

import asyncio
import contextlib
import json
import random
import signal
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


class Server:
    """The server of a data folder.

    Args:
        data: The folder; it has a configuration.
        socket_folder: Where it listens.

    Attributes:
        data: The same.
        socket_folder: The same.
    """

    def __init__(self, data: Path, socket_folder: Path) -> None:
        self.data = data
        self._frozen: list[psutil.Process] = []
        self._killed = False
        self.socket_folder = socket_folder

    @property
    def socket_path(self) -> Path:
        """Where the server listens."""
        return self.socket_folder / ".s.PGSQL.5432"

    def configure(self, *lines: str) -> None:
        """Add to its configuration, for when it starts the next time."""
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def run(self, program: str, *arguments: str | Path) -> str:
        """One of Postgres' programs, as whoever the cluster belongs to; returns what it printed."""
        account = account_for(self.data)
        done = subprocess.run(
            [install_folder() / "bin" / program, *arguments],
            check=True,
            # What it starts keeps none of ours open.
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            cwd="/",
            # As root the cluster belongs to a user of its own.
            user=account.uid,
            group=account.gid,
            extra_groups=account.extra_groups,
            timeout=120,
        )
        return (done.stdout or b"").decode()

    def _pg_ctl(self, *arguments: str) -> None:
        self.run("pg_ctl", "-w", "-D", self.data, *arguments)

    def stop(self, mode: StopMode = "immediate") -> None:
        """Stop: `fast` ends sessions in order, `immediate` is a crash."""
        self._pg_ctl("-m", mode, "stop")

    def start(self) -> None:
        """Start again; crash recovery included."""
        self._pg_ctl("-l", str(self.data / "log"), "start")
        self._killed = False

    def restart(self, mode: StopMode) -> None:
        """Stop and start."""
        self.stop(mode)
        self.start()

    def _processes(self) -> list[psutil.Process]:
        pid = int((self.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children()]

    def kill(self) -> None:
        """As a machine that loses its power: nobody has time for a last word."""
        self.freeze()
        for process in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(self._frozen, timeout=10)
        self._frozen, self._killed = [], True

    def freeze(self) -> None:
        """Stop the whole server where it is, as a stalled disk or network does."""
        # It first, or it would make another one behind our back.
        for found in (self._processes()[:1], self._processes()[1:]):
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
            self._frozen += found

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        self._frozen = []

    def close(self) -> None:
        """Stop for good; the folder goes when this process ends."""
        if self._killed:
            # What it left in the kernel goes when it starts once more.
            self.start()
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")


class Cluster(Server):
    """One cluster with one migrated database.

    Args:
        folder: Where it is made; removed when this process ends.

    Attributes:
        url: Of a database that everybody has.
    """

    def __init__(self, folder: Path) -> None:
        self._making = asyncio.Lock()
        self._migrated: str | None = None
        self.url = start_postgres(folder)
        data = folder.resolve() / "postgres"
        super().__init__(data, Path(str(make_url(self.url).query.get("host") or data)))
        # `pg_ctl start` alone then starts it where it was.
        self.configure(
            f"listen_addresses = ''\nunix_socket_directories = '{self.socket_folder}'",
            CONFIGURATION,
        )
        self.restart("fast")

    async def make_database(self, name: str, *, migrated: bool = True) -> str:
        """A migrated database, or an empty one; its address is that of who sees every row."""
        if not migrated:
            return await self._create(name, like="template1")
        async with self._making:
            if self._migrated is None:
                url = await self._create("migrated", like="template1")
                await asyncio.to_thread(upgrade, url)
                self._migrated = str(make_url(url).database)
        return await self._create(name, like=self._migrated)

    async def _create(self, name: str, *, like: str) -> str:
        name = f"{name}_{new_id().hex}"
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        finally:
            await connection.close()
        url = make_url(self.url).set(database=name)
        return url.render_as_string(hide_password=False)


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
