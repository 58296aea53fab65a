"""Holding a process to a share of a core, by a control group of Linux. Needs root."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PERIOD_US: Final = 20_000
"""Short, so that a process is slow and not stopped and started."""

GROUPS: Final = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def squeezed(pid: int, share: float) -> Iterator[None]:
    """Inside the block the process gets this share of one core.

    Raises:
        SystemExit: this machine does not allow it.
    """
    if share >= 1:
        yield
        return
    first = GROUPS / "cpu" if (GROUPS / "cpu").is_dir() else GROUPS
    group = first / f"taskchat-{os.getpid()}"
    try:
        group.mkdir()
        if first == GROUPS:
            (GROUPS / "cgroup.subtree_control").write_text("+cpu")
            (group / "cpu.max").write_text(f"{int(share * PERIOD_US)} {PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(int(share * PERIOD_US)))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        raise SystemExit(
            f"This machine lets nobody squeeze a process ({error}); try --share 1 beside busy loops"
        ) from error
    try:
        yield
    finally:
        (first / "cgroup.procs").write_text(str(pid))
        group.rmdir()
