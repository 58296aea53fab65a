"""The real `taskchat serve`, which strikes itself down at a named point, or breaks one rule.

The environment says what: FAULT_POINT, FAULT_SIGNAL (KILL or STOP), FAULT_PASS (at which passing of
the point), FAULT_UNTIL (a file: in place of a signal the event loop is stuck at the point until it
is there), MUTANT. Without any of them this is `taskchat` and nothing else.
"""

import functools
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.mutants import MUTANTS


class Place(NamedTuple):
    """A function of the service, and on which side of it a process is struck."""

    owner: str
    function: str
    before: bool = False


POINTS = {
    "begin.before_commit": Place("taskchat.turns.store.begin", "insert_turn"),
    "begin.committed": Place("taskchat.turns.turn", "begin"),
    "model.answered": Place("taskchat.turns.ledger:TurnLedger", "answered"),
    "tool.in_transaction": Place("taskchat.turns.store.record", "insert_call"),
    "tool.committed": Place("taskchat.turns.ledger:TurnLedger", "_committed"),
    "text.heard": Place("taskchat.turns.ledger:TurnLedger", "heard"),
    "events.in_transaction": Place("taskchat.turns.store.events", "append"),
    "settle.before": Place("taskchat.turns.attempt", "settle_completed", before=True),
    "settle.in_transaction": Place("taskchat.turns.store.settle", "insert_reply"),
    "settle.committed": Place("taskchat.turns.attempt", "settle_completed"),
    "adopted": Place("taskchat.turns.drive", "read_adopted", before=True),
}
"""By name, the moments of a turn at which a process can be made to die."""


def strike_at(point: str, strike: Callable[[], None], passes: int) -> None:
    """Strike at the n-th passing of the point, once."""
    place = POINTS[point]
    module, _, class_name = place.owner.partition(":")
    owner: Any = importlib.import_module(module)
    if class_name:
        owner = getattr(owner, class_name)
    passed = 0

    def pass_by() -> None:
        nonlocal passed
        passed += 1
        if passed == passes:
            strike()

    setattr(owner, place.function, _struck(getattr(owner, place.function), pass_by, place.before))


def _struck(
    function: Callable[..., Any], pass_by: Callable[[], None], before: bool
) -> Callable[..., Any]:
    import inspect

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def struck_later(*args: Any, **kwargs: Any) -> Any:
            if before:
                pass_by()
            result = await function(*args, **kwargs)
            if not before:
                pass_by()
            return result

        return struck_later

    @functools.wraps(function)
    def struck(*args: Any, **kwargs: Any) -> Any:
        if before:
            pass_by()
        result = function(*args, **kwargs)
        if not before:
            pass_by()
        return result

    return struck


def _stick(until: Path) -> None:
    """Block whoever comes here: the event loop does nothing else meanwhile."""
    until.with_suffix(".stuck").touch()
    while not until.exists():
        time.sleep(0.01)


def main(arguments: list[str]) -> None:
    """Arm what the environment names, then be `taskchat`."""
    point = os.environ.get("FAULT_POINT")
    if point:
        number = signal.Signals[f"SIG{os.environ.get('FAULT_SIGNAL', 'KILL')}"]
        strike = functools.partial(os.kill, os.getpid(), number)
        if "FAULT_UNTIL" in os.environ:
            strike = functools.partial(_stick, Path(os.environ["FAULT_UNTIL"]))
        strike_at(point, strike, int(os.environ.get("FAULT_PASS", "1")))
    mutant = os.environ.get("MUTANT")
    if mutant:
        MUTANTS[mutant].apply()
    from taskchat.commands.cli import main as taskchat

    taskchat(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
