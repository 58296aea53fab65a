"""Processes of a benchmark: started, waited for, stopped."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

START_TIMEOUT_S = 30

AMPLE_LIMITS = {
    "TASKCHAT_RATE_USER_PER_MINUTE": "1000000",
    "TASKCHAT_RATE_CONVERSATION_PER_MINUTE": "1000000",
    "TASKCHAT_RATE_CHANNEL_PER_MINUTE": "1000000",
    "TASKCHAT_RATE_TOKENS_PER_MINUTE": "1000000000",
}
"""Turns are counted as ever, and none is refused."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Launched:
    """A process that will listen on a port."""

    process: psutil.Process
    port: int
    log: Path

    def await_port(self) -> None:
        """Wait until it listens; its log is shown when it does not start."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.status() != psutil.STATUS_ZOMBIE:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.1)
        raise RuntimeError(f"a server did not start:\n{self.log.read_text()}")


@contextlib.contextmanager
def launched(
    command: Sequence[str], port: int, variables: Mapping[str, str], log: Path
) -> Iterator[Launched]:
    """`python -m` this, stopped behind the block.

    Of our own variables, and of the vendor's, it has those that are given and no others.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TASKCHAT_", "OPENAI_", "DATABASE_"))
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**environment, **variables},
            stdout=output,
            stderr=output,
        )
        try:
            yield Launched(psutil.Process(process.pid), port, log)
        finally:
            process.terminate()
            process.wait(timeout=START_TIMEOUT_S)
