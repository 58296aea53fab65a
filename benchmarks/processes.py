"""Processes of a benchmark: started, waited for, looked at from outside, stopped."""

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


def cpu_s(process: psutil.Process) -> float:
    """Its processor time so far, user and system."""
    times = process.cpu_times()
    return times.user + times.system


def peak_mib(process: psutil.Process) -> float:
    """The most memory that it has had, as Linux counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def machine_cpu_s() -> float:
    """Processor time of all cores so far in which they were not idle."""
    times = psutil.cpu_times()
    spent: float = sum(times) - times.idle - times.iowait
    return spent


class PostgresClock:
    """Processor time of a whole cluster."""

    def __init__(self, data_dir: Path) -> None:
        pid = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        self._postmaster = psutil.Process(pid)

    def cpu_s(self) -> float:
        times = self._postmaster.cpu_times()
        # What has ended counts too, or an autovacuum worker would be seen only while it lives.
        total = times.user + times.system + times.children_user + times.children_system
        for child in self._postmaster.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += cpu_s(child)
        return total
