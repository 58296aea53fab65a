"""What the processes of a test run share: files of one folder, some of which are locks."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

USERS: Final = "users"
"""Held, shared, by every process that uses the service; by its keeper once there is none."""

GATE: Final = "gate"
"""Held by the one that starts the service, while others wait."""

ALIVE: Final = "alive"
"""Held by the keeper until it has ended the service."""

READY: Final = "ready.json"
"""What the service says of itself; there while it serves."""

SECRET: Final = "secret"  # noqa: S105 - a file's name
"""Signs the tokens of the run."""

LOG: Final = "taskchat.log"
"""What the service logs."""


def hold(path: Path, *, shared: bool = False) -> int:
    """Wait for a lock and take it; it is held until the descriptor that is returned is closed."""
    # Windows lacks it.
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    return descriptor


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock within the block."""
    descriptor = hold(path, shared=shared)
    try:
        yield
    finally:
        os.close(descriptor)
