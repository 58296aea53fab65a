"""A standby of a cluster: what the primary commits waits until the standby has it, too."""

from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import make_url
from tests.faults.cluster import Cluster, Server, query
from tests.faults.waiting import until

from taskchat.postgres.embedded.account import account_for
from taskchat.postgres.embedded.places import plain_folder

NAME = "standby"
"""As which it asks the primary for its log."""


class Standby(Server):
    """A copy of a running cluster, taken by pg_basebackup; it follows, and can be promoted.

    Args:
        primary: What it is a copy of, and follows.
        folder: Where it is made.
    """

    def __init__(self, primary: Cluster, folder: Path) -> None:
        self._primary = primary
        socket_folder = plain_folder("taskchat-standby-")
        account = account_for(primary.data)
        account.give(socket_folder)
        folder.mkdir()
        account.give(folder)
        super().__init__(folder.resolve() / "postgres", socket_folder)
        source = f"host={primary.socket_folder} user=postgres application_name={NAME}"
        primary.run(
            *("pg_basebackup", "--pgdata", self.data, "--dbname", source, "--checkpoint=fast"),
            *("--write-recovery-conf", "--no-sync"),
        )
        self.configure(f"unix_socket_directories = '{socket_folder}'")

    async def follow(self) -> None:
        """Start, and be waited for from now on."""
        self.start()
        url = self._primary.url
        # After the copy was taken: once it is promoted, nobody follows it.
        self._primary.configure(f"synchronous_standby_names = '{NAME}'")
        await query(url, "SELECT pg_reload_conf()")

        async def waited_for() -> bool:
            rows = await query(url, "SELECT sync_state FROM pg_stat_replication")
            return [row["sync_state"] for row in rows] == ["sync"]

        await until(waited_for, within_s=30, what="the standby follows")

    def promote(self) -> None:
        """Take writes, as whoever watches over the two decides; returns once it does."""
        self._pg_ctl("promote")

    def close(self) -> None:
        """Stop for good; whoever is left waits for it no more."""
        self._primary.configure("synchronous_standby_names = ''")
        super().close()
        for path in self.socket_folder.iterdir():
            path.unlink()
        self.socket_folder.rmdir()


def both(url: str, standby: Standby) -> str:
    """The address of a database of the primary, with the standby as its second host."""
    primary = make_url(url)
    hosts = f"{primary.query['host']},{standby.socket_folder}"
    return f"postgresql://postgres@/{primary.database}?host={quote(hosts)}"


def on(url: str, standby: Standby) -> str:
    """The address of the same database on the standby alone."""
    return (
        f"postgresql://postgres@/{make_url(url).database}?host={quote(str(standby.socket_folder))}"
    )
