"""`taskchat`, and `python -m taskchat`. A signal ends it in order from its first line on."""

import os
import signal
from types import FrameType


def run() -> None:
    """Run the command that the arguments name."""
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        # Windows has no SIGHUP, and `nohup` has it ignored.
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _break_off)
    from taskchat.serving.memory import put_off_collection

    put_off_collection()
    from taskchat.commands.cli import main

    main(prog_name="taskchat")


def _break_off(number: int, _frame: FrameType | None) -> None:
    # Nothing has been started that would have to be undone, and an exception would have to find its
    # way out of whatever library is being imported.
    os._exit(128 + number)


if __name__ == "__main__":
    run()
