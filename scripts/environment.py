"""The environment in .venv: what the locks name and this checkout, whole or made anew.

Runs on the bare Python that `make` chose, before anything is installed. `make` names the locks.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import FrameType
from typing import Final

TOP: Final = Path(__file__).resolve().parent.parent
VENV: Final = TOP / ".venv"

STAMP: Final = VENV / ".ready"
"""What the environment was made of; missing while it is being made or added to."""

LAUNCHER: Final = """\
#!/bin/sh
exec "$(dirname -- "$(readlink -f -- "$0")")/python" -P -m taskchat "$@"
"""
"""The command. It finds its Python beside itself: what an installer writes names the folder, which
some characters break."""

PIP: Final = (
    *("-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
    # A lock is complete, so pip has nothing to look for: what an index serves by now is the same.
    *("--no-deps", "--require-hashes"),
)
"""How a lock is installed, by a Python that the settings of others don't reach."""

ELSEWHERE: Final = ("PIP_CONSTRAINT", "PIP_PREFIX", "PIP_ROOT", "PIP_TARGET")
"""Variables by which pip would install something else, or into another place."""


def main(locks: list[str]) -> None:
    """Make the environment hold what the locks name; leave alone what is whole.

    Args:
        locks: Files beside the Makefile, the first first.
    """
    # Stopped it just ends; without its stamp the environment is made anew.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    # Two of them at once take turns.
    turn = os.open(TOP, os.O_RDONLY)
    with contextlib.suppress(OSError):  # not every network share can lock
        fcntl.flock(turn, fcntl.LOCK_EX)
    kept = installed()
    missing = {lock: file_hash(TOP / lock) for lock in locks if lock not in kept}
    if not missing:
        return
    STAMP.unlink(missing_ok=True)
    if not kept:
        make()
    for lock in missing:
        say(f"Installing what {lock} names …")
        run(VENV / "bin/python", *PIP, "-r", TOP / lock)
    partial = STAMP.with_name(".ready.partial")
    partial.write_text(json.dumps({"of": origin(), "locks": kept | missing}), encoding="utf-8")
    partial.replace(STAMP)


def origin() -> dict[str, str]:
    """What an environment can't outlive: its folder, its Python, and how it is made."""
    return {
        "folder": os.fspath(VENV),
        "python": os.path.realpath(sys.executable),
        # The same path may hold another Python by now, or be of another machine.
        "interface": str(sysconfig.get_config_var("SOABI")),
        "recipe": file_hash(Path(__file__)),
    }


def installed() -> dict[str, str]:
    """The locks that the environment holds, with their hashes; none where it is not whole."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        locks: dict[str, str] = stamp["locks"]
        changed = [lock for lock in locks if file_hash(TOP / lock) != locks[lock]]
    except (OSError, ValueError, KeyError):
        return {}
    gone = os.path.realpath(VENV / "bin/python") != os.path.realpath(sys.executable)
    return {} if changed or gone or stamp["of"] != origin() else locks


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make() -> None:
    """An empty environment that knows this checkout."""
    # Not the Python that runs this: that one may be the old environment's own.
    python = Path(os.path.realpath(sys.executable))
    try:
        import ensurepip  # noqa: F401 - some systems leave it out
    except ImportError:
        version = "{}.{}".format(*sys.version_info)
        sys.exit(
            f"taskchat needs a Python with ensurepip, which {python} lacks: install it (on Debian "
            f"and Ubuntu: apt-get install python{version}-venv), or name another Python with: "
            "make PYTHON=/path/to/python"
        )
    say(f"Making .venv with {python} …")
    run(python, "-I", "-m", "venv", "--clear", VENV)
    [packages] = VENV.glob("lib/python*/site-packages")
    # Relative to itself: a path as such would be read in the locale's encoding.
    source = os.path.relpath(TOP / "src", packages)
    (packages / "taskchat.pth").write_text(f"{source}\n", encoding="ascii")
    command = VENV / "bin/taskchat"
    command.write_text(LAUNCHER, encoding="ascii")
    command.chmod(0o755)


running: list[subprocess.Popen[bytes]] = []
"""The command that is being run."""


def end(number: int, _frame: FrameType | None) -> None:
    """End as the signal would, and the command that is being run first."""
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def run(*command: str | Path) -> None:
    """Run a command to its end; ours is the same where it fails.

    A terminal's Ctrl-C is for us: a Python that is just beginning would answer it by a traceback.
    """
    kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    with subprocess.Popen(
        command, cwd=TOP, env=kept | {"PIP_USER": "0"}, start_new_session=True
    ) as process:
        running[:] = [process]
        code = process.wait()
    running.clear()
    if code:
        sys.exit(code if code > 0 else 1)


def say(line: str) -> None:
    """Tell a person why they wait."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
