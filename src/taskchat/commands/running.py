"""What a running `taskchat dev` leaves in its data folder, for whoever wants to talk to it."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

RUNNING_FILE: Final = "running.json"


@dataclass(frozen=True, slots=True)
class RunningDev:
    """One that serves, or did when it died.

    Attributes:
        url: Where.
        token: Of its user; None if tokens come from an identity provider.
        pid: Of its process.
    """

    url: str
    token: str | None = field(repr=False)
    pid: int


def note_running(data_dir: Path, running: RunningDev) -> None:
    """Leave it there, to be read by this user alone."""
    # Without it `chat` has to be told where to go; that is no reason not to serve.
    with contextlib.suppress(OSError):
        data_dir.mkdir(parents=True, exist_ok=True)
        partial = data_dir / f"{RUNNING_FILE}.{running.pid}"
        write_private(partial, json.dumps(asdict(running)))
        partial.replace(data_dir / RUNNING_FILE)


def forget_running(data_dir: Path) -> None:
    """Take away what this process has left there."""
    running = read_running(data_dir)
    if running is not None and running.pid == os.getpid():
        with contextlib.suppress(OSError):
            (data_dir / RUNNING_FILE).unlink(missing_ok=True)


def read_running(data_dir: Path) -> RunningDev | None:
    """What was left there; None if that is nothing, or can't be read."""
    try:
        return RunningDev(**json.loads((data_dir / RUNNING_FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
