"""Summarises what falls out of the history: after a turn, and never in its way.

A summary covers a little more than has fallen out, so that not every turn costs another call.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from taskchat.assistant.record import Answer, AnswersOnly
from taskchat.assistant.run import Needs
from taskchat.conversations.history import fitting_turns, told_lines
from taskchat.conversations.past import (
    PastTurn,
    Summary,
    find_summary,
    keep_summary,
    past_turns,
    turns_between,
)
from taskchat.errors import ServiceError
from taskchat.postgres.line import Precedence
from taskchat.turns.deps import TurnDeps
from taskchat.turns.states import TurnRef

log = structlog.get_logger()

SUMMARY_CHARS_MAX: Final = 4000
"""A longer summary is cut here, because it goes in front of every later turn."""


async def sum_up(turn: TurnRef, deps: TurnDeps) -> Sequence[Answer]:
    """Summarise what no longer fits the history after a turn, if there is anything.

    Returns:
        The model answers that this took.
    """
    needs = deps.assistant.needs
    record = AnswersOnly()
    try:
        async with deps.database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
            kept = await find_summary(connection, turn.principal, turn.id)
            newest = await past_turns(
                connection,
                turn.principal,
                turn.id,
                before=turn.number + 1,
                turns_max=max(1, needs.history_turns_max),
            )
            if kept is None or _oldest(newest, needs, share=1.0) <= kept.until + 1:
                return ()
            fallen = await turns_between(
                connection,
                turn.principal,
                turn.id,
                after=kept.until,
                before=_oldest(newest, needs, share=0.5),
                turns_max=max(1, needs.history_turns_max),
            )
        if not fallen:
            return ()
        # At least one, or the same turn would be in the way for ever.
        covered = (
            fitting_turns(
                fallen,
                tokens_max=needs.history_tokens_max,
                bytes_per_token=needs.bytes_per_token,
            )
            or fallen[:1]
        )
        text = await deps.assistant.summarise(_told(kept, covered), record)
        summary = Summary(text[:SUMMARY_CHARS_MAX], covered[-1].number)
        async with deps.database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
            await keep_summary(
                connection,
                turn.principal,
                turn.conversation_id,
                after=kept.until,
                summary=summary,
            )
    except ServiceError as error:
        # The next turn tries again; until then the model has only the history.
        log.warning("summary.failed", turn_id=str(turn.id), error=type(error).__name__)
    else:
        log.info("summary.kept", turn_id=str(turn.id), turns=len(covered))
    return record.answers


def _oldest(newest: Sequence[PastTurn], needs: Needs, *, share: float) -> int:
    """The number of the oldest turn that fits into a share of the history's budget."""
    fitting = fitting_turns(
        newest,
        tokens_max=int(needs.history_tokens_max * share),
        bytes_per_token=needs.bytes_per_token,
    )
    count = min(len(fitting), max(1, int(needs.history_turns_max * share)))
    return fitting[count - 1].number if fitting else newest[0].number + 1


def _told(kept: Summary, turns: Sequence[PastTurn]) -> str:
    """The summary so far and what came after it, as the model reads it."""
    before = [f"Summary of what came before: {kept.text}\n"] if kept.text else []
    return "\n".join([*before, *told_lines(turns)])
