"""Runs one service for all processes of a test run, and ends it when the last of them has ended.

`python -m taskchat_pytest.keeper FOLDER`, in the environment that the service is to have. Who uses
the service holds a lock, which the kernel takes away from the dead: so nothing is left behind by a
run that is killed either.
"""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from taskchat_pytest.locks import ALIVE, LOG, READY, USERS, hold, locked

STOP_S: Final = 2
"""For what the last test left unfinished; then it is ended."""


def main(folder: Path) -> int:
    """Serve until nobody uses the service any more; returns its exit code."""
    with locked(folder / ALIVE), (folder / LOG).open("ab") as log:
        # Its command and its folder are ours.
        service = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-m", "taskchat", "dev", "--port", "0", "--ephemeral"),
                *("--ready-file", str(folder / READY)),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            # What it tells a developer, a token among it.
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        threading.Thread(target=_end_unused, args=(folder, service), daemon=True).start()
        try:
            return service.wait()
        finally:
            # Whoever comes now starts another one.
            (folder / READY).unlink(missing_ok=True)


def _end_unused(folder: Path, service: "subprocess.Popen[bytes]") -> None:
    # Kept until this process ends: whoever comes meanwhile waits, and then starts another one.
    hold(folder / USERS)
    # A second signal skips the drain.
    for end in (service.terminate, service.terminate, service.kill):
        end()
        try:
            service.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue
        return


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
