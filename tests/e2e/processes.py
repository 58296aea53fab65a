"""The real commands as real processes on real sockets."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.nursery import NURSERY

Process = TypeVar("Process", "Command", subprocess.Popen[str])

WAIT_S = 120
"""Only ends a hang: a busy machine imports for half a minute."""


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without anything that configures taskchat."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TASKCHAT_", "OPENAI_")) and name != "DATABASE_URL"
    }
    return kept | {"NO_COLOR": "1"} | variables


class Forked:
    """A command that was forked from an interpreter which has imported it already.

    As a `Popen`, as far as these tests need one.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        *,
        stdout: int,
        stderr: int,
    ) -> None:
        self.returncode: int | None = None
        with open(os.devnull) as null:
            self.pid = NURSERY.start(
                "taskchat",
                arguments,
                env=env,
                folder=cwd,
                descriptors=(null.fileno(), stdout, stderr),
            )

    def poll(self) -> int | None:
        """Its exit code; None while it lives."""
        if self.returncode is None:
            self.returncode = NURSERY.poll(self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Its exit code, once it has one."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("taskchat", timeout)
            time.sleep(0.01)
        return code

    def end(self, timeout: float) -> None:
        """Ask it to stop, and see that it does."""
        self.send_signal(signal.SIGTERM)
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGKILL)
            raise

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still lives."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Command(Forked):
    """One whose output is read."""

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self._told: tuple[str, str] | None = None
        read_out, out = os.pipe()
        read_err, err = os.pipe()
        super().__init__(arguments, cwd, env, stdout=out, stderr=err)
        os.close(out)
        os.close(err)
        self.stdout = os.fdopen(read_out, encoding="utf-8")
        self.stderr = os.fdopen(read_err, encoding="utf-8")

    def communicate(self, timeout: float = WAIT_S) -> tuple[str, str]:
        """What it wrote, once it has ended."""
        if self._told is not None:
            return self._told
        with ThreadPoolExecutor(2) as threads, self.stdout, self.stderr:
            told = [threads.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            out, err = (stream.result(timeout) for stream in told)
        self._told = out, err
        return self._told


def taskchat(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = Command(arguments, cwd, environment(**(env or {})))
    out, err = command.communicate()
    assert command.returncode is not None
    return subprocess.CompletedProcess(arguments, command.returncode, out, err)


def fresh_taskchat(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The same in an interpreter of its own."""
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
def running(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Command]:
    """A command that goes on until the block ends; then it is asked to stop."""
    with _running(Command(arguments, cwd, environment(**(env or {})))) as process:
        yield process


@contextmanager
def fresh_running(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The same in an interpreter of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "taskchat", *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with _running(process) as process:
        yield process


@contextmanager
def _running(process: Process) -> Iterator[Process]:
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


def ready(path: Path, process: "Command | subprocess.Popen[str]") -> dict[str, Any]:
    """What the ready file says, once it is there."""
    deadline = time.monotonic() + WAIT_S
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no ready file in time"
        time.sleep(0.02)
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def first_line(process: "Command | subprocess.Popen[str]") -> str:
    """The first line that a process prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()
    return line
