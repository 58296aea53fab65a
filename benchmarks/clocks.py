"""What processes have taken of the machine so far, looked at from outside."""

import contextlib
import time
from pathlib import Path

import psutil


def cpu_s(process: psutil.Process) -> float:
    """Its processor time so far, user and system, of all threads."""
    try:
        # The clock of another process, as Linux makes its name from the process id. It counts
        # nanoseconds, those of threads that have ended too; /proc has steps of 10 ms.
        return time.clock_gettime_ns(~process.pid << 3 | 2) / 1e9
    except OSError:
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
        total = cpu_s(self._postmaster) + times.children_user + times.children_system
        for child in self._postmaster.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += cpu_s(child)
        return total
