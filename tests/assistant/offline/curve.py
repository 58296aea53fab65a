"""`make offline-curve`: wrong changes against requests carried out, at each threshold.

A request is a conversation that wants a change; a wrong change is a changing call that the
conversation doesn't want, however small the difference.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

from tests.assistant.offline.test_phrasings import outcome_of

from taskchat.commands.evaluation.cases import Case, read_cases
from taskchat_offline.learned import load

THRESHOLDS: Final = (0, 60, 100, 140, 180, 240)


async def _row(cases: list[Case], threshold: int) -> str:
    load().margin_min = threshold
    carried = wrong = asked = 0
    for case in cases:
        if not any(c.tool != "list_tasks" for turn in case.turns for c in turn.calls):
            continue
        asked += 1
        problem, changed = await outcome_of(case)
        carried += problem is None
        wrong += changed
    idle = [case for case in cases if not any(turn.calls for turn in case.turns)]
    idle_wrong = sum([(await outcome_of(case))[1] for case in idle])
    return f"{threshold:>9} {carried:>5} of {asked:<5} {wrong:>6} {idle_wrong:>5} of {len(idle)}"


def main() -> None:
    """Prints the curve over the files named."""
    cases = [case for name in sys.argv[1:] for case in read_cases(Path(name))]
    kept = load().margin_min
    print(f"threshold  carried out     wrong  wrong where nothing was asked   (kept: {kept})")
    for threshold in THRESHOLDS:
        print(asyncio.run(_row(cases, threshold)))


if __name__ == "__main__":
    main()
