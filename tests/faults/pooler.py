"""A real PgBouncer in transaction mode in front of a cluster, where the machine has one."""

import contextlib
import shutil
import socket
import subprocess
from pathlib import Path

from sqlalchemy.engine import make_url
from tests.faults.cluster import Cluster
from tests.faults.waiting import until

from taskchat.postgres.embedded.account import account_for

CONFIGURATION = """
[databases]
* = host={host} port=5432 user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
; By default it waits for 15 s before it looks again whether a server is back.
server_login_retry = 1
server_connect_timeout = 5
; No longer than the service waits for an answer: whoever left needs none.
query_wait_timeout = 5
"""
"""As docs/deployment.md has it, but for who may log in."""


def program() -> str | None:
    """Where PgBouncer is; Debian puts it where only root looks."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/sbin")


class Pooler:
    """A PgBouncer. Use as `async with Pooler(cluster, folder) as pooler:`.

    Args:
        cluster: What it is in front of.
        folder: For its configuration and its log.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._account = account_for(cluster.data)
        self._configuration = folder / "pgbouncer.ini"
        self._log = folder / "pgbouncer.log"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self._configuration.write_text(
            CONFIGURATION.format(host=cluster.socket_folder, port=self._port), encoding="utf-8"
        )
        self._account.let_through(folder)
        self._configuration.chmod(0o644)

    async def __aenter__(self) -> "Pooler":
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop, and cut everybody off."""
        self.kill()

    def url(self, url: str) -> str:
        """The address of a database of the cluster through it."""
        return (
            f"postgresql://postgres@127.0.0.1:{self._port}/{make_url(url).database}?pgbouncer=true"
        )

    async def start(self) -> None:
        """Start, and wait until it takes connections."""
        found = program()
        assert found is not None, "there is no pgbouncer on this machine"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [found, str(self._configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                # As Postgres, it refuses to run as root.
                user=self._account.uid,
                group=self._account.gid,
                extra_groups=self._account.extra_groups,
            )

        async def listens() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text(encoding="utf-8")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
                return True
            return False

        await until(listens, what="PgBouncer listens")

    def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
