"""A process that has imported the service and forks it: a start costs milliseconds of processor.

It reads commands as lines of JSON and answers each with a line: {"argv", "env", "folder", "stdout",
"stderr"} → {"pid"}; {"poll": pid} → {"exit": code or null}. When its input ends, so do its
children.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from typing import Any, Final

from taskchat.migrations import head

PRELOADED: Final = (
    "agents",
    "asyncpg",
    "openai.resources.responses",
    "openai.types.responses",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "taskchat.app",
    "taskchat.cli",
    "tests.faults.serve_with_faults",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
"""What the service imports on its way to its first turn."""


def _become(command: dict[str, Any]) -> None:
    """In the child: the service, in the environment and the folder that it was given."""
    os.chdir(command["folder"])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, stream)
    os.environ.clear()
    os.environ.update(command["env"])
    code = 0
    try:
        from tests.faults.serve_with_faults import main

        sys.argv = ["taskchat", *command["argv"]]
        main(command["argv"])
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Serve commands until there are no more."""
    for module in PRELOADED:
        importlib.import_module(module)
    head()
    gc.freeze()
    exits: dict[int, int | None] = {}
    print("{}", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "poll" in command:
            pid = command["poll"]
            if exits[pid] is None:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    exits[pid] = os.waitstatus_to_exitcode(status)
            print(json.dumps({"exit": exits[pid]}), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _become(command)
        exits[pid] = None
        print(json.dumps({"pid": pid}), flush=True)
    for pid, code in exits.items():
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
