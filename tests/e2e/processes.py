"""The real commands as real processes on real sockets."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_S = 120
"""The longest that a command is waited for; a loaded machine is slow, not dead."""


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without anything that configures taskchat."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TASKCHAT_", "OPENAI_")) and name != "DATABASE_URL"
    }
    return kept | {"NO_COLOR": "1"} | variables


def taskchat(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "taskchat", *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@contextmanager
def running(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until the block ends; then it is asked to stop."""
    process = subprocess.Popen(
        [sys.executable, "-m", "taskchat", *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def ready(path: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the ready file says, once it is there."""
    deadline = time.monotonic() + WAIT_S
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no ready file in time"
        time.sleep(0.02)
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def first_line(process: subprocess.Popen[str]) -> str:
    """The first line that a process prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()
    return line
