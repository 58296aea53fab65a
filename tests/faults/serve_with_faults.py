"""The real `taskchat serve`, which strikes itself down at a named point, or breaks one rule.

The environment says what: FAULT_POINT, FAULT_SIGNAL (KILL or STOP), FAULT_PASS (at which passing of
the point), FAULT_UNTIL (a file: in place of a signal the event loop is stuck at the point until it
is there), MUTANTS. Without any of them this is `taskchat` and nothing else.
"""

import asyncio
import functools
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.faults.mutants import MUTANTS

When = Literal["before", "under_way", "after"]


class Place(NamedTuple):
    """A function of the service, and when a process is struck at it.

    Under way is what was sent to the database and has no answer yet: it is done, or it is not.
    """

    owner: str
    function: str
    when: When = "after"


POINTS = {
    "begin.before": Place("taskchat.turns.store.begin", "begin", "before"),
    "begin.under_way": Place("taskchat.turns.store.begin", "begin", "under_way"),
    "begin.committed": Place("taskchat.turns.turn", "begin"),
    "model.answered": Place("taskchat.turns.ledger:TurnLedger", "answered"),
    "tool.before": Place("taskchat.turns.store.record", "call_tool", "before"),
    "tool.under_way": Place("taskchat.turns.store.record", "call_tool", "under_way"),
    "tool.committed": Place("taskchat.turns.ledger:TurnLedger", "_committed"),
    "text.heard": Place("taskchat.turns.ledger:TurnLedger", "heard"),
    "events.under_way": Place("taskchat.turns.store.events", "append", "under_way"),
    "steering.read": Place("taskchat.turns.ledger:TurnLedger", "_read"),
    "ask.before": Place("taskchat.turns.store.feedback", "ask", "before"),
    "ask.under_way": Place("taskchat.turns.store.feedback", "ask", "under_way"),
    "answer.before": Place("taskchat.turns.store.feedback", "go_on", "before"),
    "answer.under_way": Place("taskchat.turns.store.feedback", "tell", "under_way"),
    "answer.committed": Place("taskchat.turns.feedback", "_take_up", "before"),
    "settle.before": Place("taskchat.turns.attempt", "settle_completed", "before"),
    "settle.under_way": Place("taskchat.turns.store.settle", "settle", "under_way"),
    "settle.committed": Place("taskchat.turns.attempt", "settle_completed"),
    "chore.held": Place("taskchat.housekeeping.repository", "hold"),
    "schedule.before": Place("taskchat.schedules.saying", "accept_turn", "before"),
    "schedule.said": Place("taskchat.schedules.saying", "accept_turn"),
    "schedule.moved": Place("taskchat.schedules.saying:Speaker", "_advance"),
    "adopted": Place("taskchat.turns.drive", "read_adopted", "before"),
}
"""By name, the moments of a turn or a chore at which a process can be made to die."""


def strike_at(point: str, strike: Callable[[], None], passes: int) -> None:
    """Strike at the n-th passing of the point, once; a start passes all of them unharmed."""
    place = POINTS[point]
    module, _, class_name = place.owner.partition(":")
    owner: Any = importlib.import_module(module)
    if class_name:
        owner = getattr(owner, class_name)
    passed = 0
    rehearsed = asyncio.Event()

    def pass_by() -> None:
        nonlocal passed
        if not rehearsed.is_set():
            return
        passed += 1
        if passed == passes:
            strike()

    app: Any = importlib.import_module("taskchat.app")
    rehearse = app.rehearse

    async def rehearse_unharmed(*args: Any) -> None:
        await rehearse(*args)
        rehearsed.set()

    app.rehearse = rehearse_unharmed
    setattr(owner, place.function, _struck(getattr(owner, place.function), pass_by, place.when))


def _struck(
    function: Callable[..., Any], pass_by: Callable[[], None], when: When
) -> Callable[..., Any]:
    import inspect

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def struck_later(*args: Any, **kwargs: Any) -> Any:
            if when == "before":
                pass_by()
            under_way = asyncio.ensure_future(function(*args, **kwargs))
            if when == "under_way":
                for _ in range(STEPS):
                    await asyncio.sleep(0)
                pass_by()
            result = await under_way
            if when == "after":
                pass_by()
            return result

        return struck_later

    @functools.wraps(function)
    def struck(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            pass_by()
        result = function(*args, **kwargs)
        if when == "after":
            pass_by()
        return result

    return struck


STEPS = 3
"""Of the event loop, after which a request is on its way to the database."""


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
    for mutant in os.environ.get("MUTANTS", "").split():
        MUTANTS[mutant].apply()
    from taskchat.commands.cli import main as taskchat

    taskchat(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
