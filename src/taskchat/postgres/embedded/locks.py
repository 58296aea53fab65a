"""Locks on files. The kernel lets go of them however a process ends."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from taskchat.postgres.embedded.places import EmbeddedPostgresError

GATE_TIMEOUT_S: Final = 150
"""Longer than whoever holds it may take to make a cluster and start it."""

POLL_S: Final = 0.02
"""Wait between two looks at what another process does."""


class FileLock:
    """A lock that is kept until `close`, or until this process ends.

    Args:
        path: A file of its own; made if missing.

    Raises:
        OSError: it can't be opened, or its file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self, *, shared: bool = False) -> bool:
        """Take the lock, or change it to the other kind; False if others are in the way."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def gate(path: Path) -> Iterator[None]:
    """One process at a time within the block.

    Raises:
        EmbeddedPostgresError: another process does not leave the block.
    """
    with FileLock(path) as lock:
        deadline = time.monotonic() + GATE_TIMEOUT_S
        while not lock.take():
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"another taskchat holds {path} and does not get on; end it and try again"
                )
            time.sleep(POLL_S)
        yield
