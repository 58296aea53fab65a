"""Worker processes, as their parent sees them."""

import subprocess
import sys
from pathlib import Path
from typing import Final

ENDED_BY_A_LOOP: Final = """
import os, signal, socket, time
from taskchat.refusals import CannotStart
from taskchat.serving.workers import Workers


def serve(sockets, ready):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    except SystemExit as ending:
        raise RuntimeError("Cannot close a running event loop") from ending


if __name__ == "__main__":
    try:
        Workers(serve, socket.socket(), 1).run(print)
    except CannotStart as refusal:
        print(refusal)
"""


def test_a_worker_told_to_end_while_its_loop_closes_ends_quietly(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ENDED_BY_A_LOOP, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout == "a worker ended with code 0 before it served\n"
