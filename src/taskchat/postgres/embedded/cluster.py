"""One cluster in a folder, shared by every process that uses it; the last one out stops it.

A folder named `postgres` is always a whole cluster: it is made beside it, and renamed when it is
whole. What files say about a running server is checked, not trusted.
"""

import atexit
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from taskchat.postgres.embedded.account import Account, account_for
from taskchat.postgres.embedded.ephemeral import orphaned_data_dirs
from taskchat.postgres.embedded.locks import POLL_S, FileLock, gate
from taskchat.postgres.embedded.places import EmbeddedPostgresError, plain_folder
from taskchat.postgres.embedded.programs import (
    MAJOR,
    make_cluster,
    reason_in,
    start_server,
)

PORT: Final = 5432
"""Part of the socket's name; nothing listens on a port."""

START_TIMEOUT_S: Final = 120
"""A server that was killed replays its log before it is ready."""

STOP_TIMEOUT_S: Final = 30
"""The time limit of each way to stop it, the mildest first."""

SOCKET_PREFIX: Final = "taskchat-pg-"

_WHOLE: Final = ("PG_VERSION", "global/pg_control", "base/5/PG_VERSION")
"""What a finished cluster has; the last belongs to the database `postgres`, which is made last."""


def joined(data_dir: Path) -> str:
    """As `start_postgres`, after cleaning up behind killed processes."""
    for orphan, _lock in orphaned_data_dirs():
        with contextlib.suppress(OSError, EmbeddedPostgresError):
            Cluster(orphan).stop()
        shutil.rmtree(orphan, ignore_errors=True)
    data_dir.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(data_dir.resolve())
    atexit.register(cluster.leave, os.getpid())
    return cluster.enter()


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server of a cluster, as its file describes it and as its process confirms."""

    process: psutil.Process
    socket_folder: Path
    ready: bool


class Cluster:
    """The cluster of one data folder.

    Args:
        folder: The data folder, resolved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "postgres"
        self._log = folder / "postgres.log"
        self._users: FileLock | None = None
        self._started: subprocess.Popen[bytes] | None = None

    def enter(self) -> str:
        """Become one of its users; returns the database address."""
        with gate(self._folder / "postgres.gate"):
            self._users = FileLock(self._folder / "postgres.users")
            alone = self._users.take()
            self._users.take(shared=True)
            account = account_for(self._data)
            account.let_through(self._folder)
            self._make_if_missing(account)
            postmaster = self._ended_or_ready()
            if postmaster is None:
                if not alone:
                    raise EmbeddedPostgresError(
                        f"{self._folder} is used by another taskchat whose Postgres can't be seen "
                        "from here; stop that one first, or take another --data-dir"
                    )
                postmaster = self._start(account)
            return f"postgresql://postgres:@/postgres?host={quote(str(postmaster.socket_folder))}&port={PORT}"

    def leave(self, pid: int) -> None:
        """Stop being one of its users; the last one stops the server.

        Args:
            pid: Of the process that entered; its forks did not.
        """
        if pid != os.getpid() or self._users is None:
            return
        # A second Ctrl-C must not interrupt this halfway; all of it takes bounded time.
        signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
        )
        with contextlib.suppress(OSError, EmbeddedPostgresError):
            if not self._folder.exists():
                self.stop()
                return
            with gate(self._folder / "postgres.gate"):
                if self._users.take():
                    self.stop()
                self._users.close()

    def stop(self) -> None:
        """Stop the server, if there is one."""
        found = self._postmaster()
        process = found.process if found else None
        if process is None and self._started is not None and self._started.poll() is None:
            # It did not get as far as writing its file, or the folder is gone.
            process = psutil.Process(self._started.pid)
        if process is None:
            return
        for way in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(way)
            if _ended(process, STOP_TIMEOUT_S):
                break
        if found:
            _remove_socket_folder(found.socket_folder)

    # --- making ---

    def _make_if_missing(self, account: Account) -> None:
        for left in self._folder.glob("postgres.making-*"):
            shutil.rmtree(left, ignore_errors=True)
        if self._data.exists():
            self._check_version()
            if all((self._data / part).exists() for part in _WHOLE):
                return
            self._set_aside()
        making = Path(tempfile.mkdtemp(prefix="postgres.making-", dir=self._folder))
        try:
            account.give(making)
            make_cluster(making, account)
            making.rename(self._data)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        _sync(self._folder)

    def _check_version(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            made_by = (self._data / "PG_VERSION").read_text(encoding="utf-8").strip()
            if made_by not in ("", str(MAJOR)):
                raise EmbeddedPostgresError(
                    f"{self._data} was made by PostgreSQL {made_by} and this taskchat brings "
                    f"{MAJOR}: dump it with the taskchat that made it, move it away and restore, "
                    "as docs/operations.md says under “Another PostgreSQL in the data folder”"
                )

    def _set_aside(self) -> None:
        """Make room after an interrupted attempt to make a cluster; nothing is deleted."""
        aside = Path(tempfile.mkdtemp(prefix="postgres.unfinished-", dir=self._folder))
        self._data.rename(aside / "postgres")

    # --- starting ---

    def _start(self, account: Account) -> Postmaster:
        for name in ("postmaster.pid", "postmaster.opts"):
            # Its pid may belong to another process by now, which Postgres would take for a server.
            (self._data / name).unlink(missing_ok=True)
        socket_folder = plain_folder(SOCKET_PREFIX)
        account.give(socket_folder)
        account.let_through(socket_folder.parent)
        self._started = start_server(
            self._data,
            socket_folder,
            account,
            log=self._log,
            options={"listen_addresses": "", "port": str(PORT)},
        )
        # Reaped as soon as it ends: a zombie looks alive.
        threading.Thread(target=self._started.wait, daemon=True).start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._started.poll() is None and time.monotonic() < deadline:
            found = self._postmaster()
            if found and found.ready:
                return found
            time.sleep(POLL_S)
        _remove_socket_folder(socket_folder)
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        raise EmbeddedPostgresError(
            f"Postgres does not start in {self._data}: "
            f"{reason_in(lines) or 'it says nothing'}; {self._log} says more"
        )

    def _ended_or_ready(self) -> Postmaster | None:
        """The running server; None if there is none."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while (found := self._postmaster()) and not found.ready:
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"the Postgres of {self._data}, process {found.process.pid}, gets neither "
                    "ready nor to its end; kill it and try again"
                )
            time.sleep(POLL_S)
        if found is None:
            _remove_socket_folder(self._said_socket_folder())
        return found

    def _said(self) -> list[str]:
        """The lines of the server's file; its format is by line number."""
        try:
            content = (self._data / "postmaster.pid").read_bytes()
        except FileNotFoundError:
            content = b""
        lines = content.decode(errors="surrogateescape").split("\n")
        return lines + [""] * (8 - len(lines))

    def _said_socket_folder(self) -> Path:
        return Path(self._said()[4])

    def _postmaster(self) -> Postmaster | None:
        """The server whose pid the file names, if it is the server of this very folder."""
        said = self._said()
        try:
            process = psutil.Process(int(said[0]))
            if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
                return None
            # A server works in its data folder; another process with that pid does not.
            if not os.path.samefile(process.cwd(), self._data):
                return None
        except (ValueError, psutil.Error, OSError):
            return None
        return Postmaster(process, Path(said[4]), ready=said[7].strip() == "ready")


def _ended(process: psutil.Process, timeout_s: float) -> bool:
    """Whether a process ended in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(POLL_S)
                continue
        return True
    return False


def _remove_socket_folder(folder: Path) -> None:
    """Remove what `_socket_folder` made; anything else stays."""
    if not folder.name.startswith(SOCKET_PREFIX):
        return
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(folder.lstat().st_mode):
            for left in folder.glob(".s.PGSQL.*"):
                left.unlink()
            folder.rmdir()


def _sync(folder: Path) -> None:
    """Make a rename in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
