"""A process that has imported the service and forks it: a start costs milliseconds of processor.

Commands come over its standard input, which is a socket, as lines of JSON, and each is answered
with a line: {"module", "argv", "env", "folder"} with three descriptors → {"pid"}; {"poll": pid} →
{"exit": code or null}. When its input ends, so do its children.
"""

import atexit
import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).resolve().parent.parent

PRELOADED: Final = (
    "agents",
    "asyncpg",
    "openai.resources.responses",
    "openai.types.responses",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "taskchat.app",
    "taskchat.commands.cli",
    "taskchat.commands.dev",
    "taskchat.commands.doctor",
    "taskchat.serving.server",
    "tests.faults.serve_with_faults",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
"""What the service imports on its way to its first turn."""


class Nursery:
    """The nursery as its parent has it; it starts with the first command."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket
        self._answers: Any

    def start(
        self,
        module: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        folder: Path,
        descriptors: tuple[int, int, int],
    ) -> int:
        """Run a module as a program; returns its pid.

        Args:
            module: Which.
            argv: Its arguments.
            env: All of its environment.
            folder: Where it works.
            descriptors: Its standard input, output and error.
        """
        command = {
            "module": module,
            "argv": list(argv),
            "env": dict(env),
            "folder": str(folder),
        }
        return int(self._tell(command, descriptors)["pid"])

    def poll(self, pid: int) -> int | None:
        """The exit code of what it started, as `Popen.returncode`; None while it lives."""
        code = self._tell({"poll": pid})["exit"]
        return None if code is None else int(code)

    def close(self) -> None:
        """End it and all that it started."""
        if self._process is not None:
            self._answers.close()
            self._socket.close()
            self._process.wait()
            self._process = None

    def _tell(self, command: dict[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        with self._lock:
            if self._process is None:
                self._open()
            line = json.dumps(command).encode() + b"\n"
            if descriptors:
                sent = socket.send_fds(self._socket, [line], descriptors)
                line = line[sent:]
            self._socket.sendall(line)
            answer: dict[str, Any] = json.loads(self._answers.readline())
            return answer

    def _open(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._answers = self._socket.makefile()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.nursery"],
                stdin=theirs.fileno(),
                cwd=PROJECT,
                env={
                    name: value
                    for name, value in os.environ.items()
                    if name == "PATH" or name.startswith(("COVERAGE_", "COV_"))
                }
                | {"PYTHONPATH": str(PROJECT)},
            )
        self._answers.readline()


NURSERY: Final = Nursery()
"""One for all tests of a process."""

atexit.register(NURSERY.close)


def _become(command: dict[str, Any], descriptors: Sequence[int]) -> None:
    """In the child: the program, in the environment and the folder that it was given."""
    for place, descriptor in enumerate(descriptors):
        os.dup2(descriptor, place)
    os.closerange(3, max(descriptors) + 1)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["env"])
    time.tzset()
    code = 0
    try:
        sys.argv = [command["module"], *command["argv"]]
        runpy.run_module(command["module"], run_name="__main__", alter_sys=True)
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # What the program has to undo at its end, and what coverage has to write.
        atexit._run_exitfuncs()
        os._exit(code)


def _commands(ours: socket.socket) -> Any:
    received = b""
    descriptors: list[int] = []
    while True:
        data, more, _, _ = socket.recv_fds(ours, 2**20, 3)
        descriptors += more
        received += data
        if not data:
            return
        if received.endswith(b"\n"):
            yield json.loads(received), descriptors
            for descriptor in descriptors:
                os.close(descriptor)
            received, descriptors = b"", []


def main() -> None:
    """Serve commands until there are no more."""
    for module in PRELOADED:
        importlib.import_module(module)
    from tests.hashes import hash_quickly

    from taskchat.postgres.migrations import head
    from taskchat.serving import workers

    head()
    hash_quickly()
    # Workers are forks, too; a test of `tests/e2e/test_stopping.py` has some that begin anew.
    workers.__dict__["_spawn"] = multiprocessing.get_context("fork")
    gc.collect()
    gc.freeze()
    ours = socket.socket(fileno=os.dup(0))
    answers = ours.makefile("w")
    exits: dict[int, int | None] = {}

    def answer(told: dict[str, Any]) -> None:
        answers.write(json.dumps(told) + "\n")
        answers.flush()

    answer({})
    for command, descriptors in _commands(ours):
        if "poll" in command:
            pid = command["poll"]
            if exits[pid] is None:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    exits[pid] = os.waitstatus_to_exitcode(status)
            answer({"exit": exits[pid]})
            continue
        pid = os.fork()
        if pid == 0:
            _become(command, descriptors)
        exits[pid] = None
        answer({"pid": pid})
    for pid, code in exits.items():
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
