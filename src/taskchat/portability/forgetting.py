"""Deleting all that a user has, in steps that are short however much there is.

Turns under way are cancelled first, so that whoever follows them hears their end; then rows are
deleted step by step, the user's own last. A process that dies in between leaves less, and a repeat
deletes the rest. The user may come back at any moment, and begins with nothing.
"""

from typing import Final

import structlog

from taskchat.portability.patience import patiently
from taskchat.portability.store import delete
from taskchat.principal import Principal
from taskchat.transports.dependencies import LiveDeps
from taskchat.turns.settle import cancel
from taskchat.turns.states import TurnRef

log = structlog.get_logger()

ROWS_AT_ONCE: Final = 500
"""Rows deleted in one transaction, each with what hangs on it: about 100 ms."""


async def forget(live: LiveDeps, principal: Principal, *, request_id: str) -> None:
    """Delete everything of a user's, in every table.

    Raises:
        DatabaseError: it stayed away; what is left is deleted by a repeat.
    """
    cancelled = await _cancel_all(live, principal, request_id=request_id)
    deleted = {table: await _delete_all(live, principal, table) for table in delete.TABLES}

    async def delete_user() -> None:
        async with live.database.transaction(principal) as connection:
            await delete.delete_user(connection, principal, process=live.turns.process)

    await patiently(delete_user)
    _forgotten(live, principal.user_id)
    log.info("user.deleted", **deleted, cancelled=cancelled)


def user_forgotten(live: LiveDeps, payload: str) -> None:
    """Another process has deleted a user's data: see `store.delete.FORGOTTEN_CHANNEL`."""
    process, _, user_id = payload.partition(" ")
    if process != str(live.turns.process):
        _forgotten(live, user_id)


def _forgotten(live: LiveDeps, user_id: str) -> None:
    live.authenticator.forget(user_id)
    live.connections.close_user(user_id)


async def _cancel_all(live: LiveDeps, principal: Principal, *, request_id: str) -> int:
    async def find() -> list[TurnRef]:
        async with live.database.transaction(principal) as connection:
            rows = await delete.unfinished_turns(connection, principal, rows_max=ROWS_AT_ONCE)
        return [TurnRef(principal, row.id, row.conversation_id, row.number) for row in rows]

    turns, cancelled = live.turns, 0
    for turn in await patiently(find):

        async def end(turn: TurnRef = turn) -> bool:
            return await cancel(turns.events, turns.prices, turn, request_id=request_id)

        cancelled += await patiently(end)
        turns.wakeups.wake(turn.conversation_id, turn.number, turn.number + 1)
    return cancelled


async def _delete_all(live: LiveDeps, principal: Principal, table: delete.Table) -> int:
    async def step() -> int:
        async with live.database.transaction(principal) as connection:
            return await delete.delete_some(connection, principal, table, rows_max=ROWS_AT_ONCE)

    deleted, last = 0, ROWS_AT_ONCE
    while last == ROWS_AT_ONCE:
        last = await patiently(step)
        deleted += last
    return deleted
