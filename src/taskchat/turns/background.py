"""What a run is given besides its own message, read in the transaction that starts it."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskchat.assistant.run import Needs
from taskchat.conversations.past import PastTurn, Summary, find_summary, past_turns
from taskchat.postgres.database import Connection
from taskchat.tasks.repository import count_tasks
from taskchat.turns import store
from taskchat.turns.states import TurnRef, Version


@dataclass(frozen=True, slots=True)
class Background:
    """What a run is given besides its own message.

    Attributes:
        history: What was said before, newest first.
        summary: A summary of what was said before that, if one is kept.
        open_tasks: How many open tasks the user has, if the instructions ask for it.
        version: What is told of it, if its message is another version of an earlier one.
    """

    history: Sequence[PastTurn] = ()
    summary: Summary | None = None
    open_tasks: int | None = None
    version: Version | None = None


async def read_background(
    connection: Connection, turn: TurnRef, needs: Needs, *, is_version: bool
) -> Background:
    """Read the background of a turn whose earlier turns have all ended."""
    open_tasks = None
    if needs.open_tasks:
        open_tasks = await count_tasks(connection, turn.principal, status="pending")
    version = await store.versions.told(connection, turn) if is_version else None
    return Background(*await read_past(connection, turn, needs), open_tasks, version)


async def read_past(
    connection: Connection, turn: TurnRef, needs: Needs
) -> tuple[Sequence[PastTurn], Summary | None]:
    """The history, newest first, and the summary of what came before it.

    These are statements of their own, after the one that took the lock: a statement that waited
    for the lock would continue with the snapshot from before its wait.
    """
    history: Sequence[PastTurn] = ()
    summary = None
    if turn.number > 1 and needs.history_turns_max:
        history = await past_turns(
            connection,
            turn.principal,
            turn.id,
            before=turn.number,
            turns_max=needs.history_turns_max,
        )
    if turn.number > 1 and needs.summary:
        summary = await find_summary(connection, turn.principal, turn.id)
    return history, summary
