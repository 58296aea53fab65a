"""The user that the server runs as: this one; for root, which Postgres refuses, another one."""

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = "pgserver"
"""The account that root's clusters belong to; if it can't be made, `nobody` has to do."""

_READ: Final = stat.S_IROTH
_SEARCH: Final = stat.S_IXOTH

ADDING_TIMEOUT_S: Final = 10
"""Wait for another process that is adding the same account."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine; without ids, the one that this process runs as."""

    uid: int | None = None
    gid: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """Its supplementary groups: none of root's own."""
        return None if self.uid is None else []

    @property
    def is_nameless(self) -> bool:
        """Whether the machine's list of users lacks it."""
        try:
            pwd.getpwuid(os.geteuid() if self.uid is None else self.uid)
        except KeyError:
            return True
        return False

    def give(self, path: Path) -> None:
        """Make it the owner of a path."""
        if self.uid is not None:
            os.chown(path, self.uid, self.gid if self.gid is not None else -1)

    def let_through(self, path: Path) -> None:
        """Let it reach what is in a folder, without being able to list the folders on the way."""
        if self.uid is None:
            return
        for folder in (path, *path.parents):
            found = folder.stat()
            search = stat.S_IXGRP if found.st_gid == self.gid else stat.S_IXOTH
            if found.st_uid != self.uid and not found.st_mode & search:
                folder.chmod(stat.S_IMODE(found.st_mode) | search)

    def let_into(self, package: Path) -> None:
        """Let it read an installed package, whatever umask the package was installed with."""
        self.let_through(package)
        if self.uid is None or package.stat().st_mode & _READ:
            return
        for folder in package.parent.glob(f"{package.name}*"):
            for path in (folder, *folder.rglob("*")):
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | _READ | (_SEARCH if mode & stat.S_IXUSR else 0))


def account_for(data: Path) -> Account:
    """The owner of a cluster, or of one that is to be made."""
    if os.geteuid() != 0:
        return Account()
    with contextlib.suppress(FileNotFoundError):
        found = data.stat()
        if found.st_uid != 0:
            return Account(found.st_uid, found.st_gid)
    entry = _added() or pwd.getpwnam("nobody")
    account = Account(entry.pw_uid, entry.pw_gid)
    if data.exists():
        # Root put it there, perhaps from a backup.
        for path in (data, *data.rglob("*")):
            account.give(path)
    return account


def _added() -> pwd.struct_passwd | None:
    """The account of that name, made if it is missing and can be made."""
    useradd = shutil.which("useradd")
    deadline = time.monotonic() + ADDING_TIMEOUT_S
    while True:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(NAME)
        if useradd is None or time.monotonic() > deadline:
            return None
        command = [useradd, "--system", "--no-create-home", "--shell", "/bin/false", NAME]
        # This fails while another process adds an account, and if the list can't be written.
        added = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        if added.returncode not in (0, 1, 9):
            return None
        time.sleep(0.1 if added.returncode else 0)
