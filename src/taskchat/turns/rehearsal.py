"""A turn before the first one, so that no user waits for what is made only once.

The SDK, its models of answers and the task server's client build and import much of themselves when
they are first used; a session of Postgres reads its catalog and plans its statements. Nobody is
asked and nothing is kept: the offline model answers, and all that is written is rolled back.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import structlog

from taskchat.assistant.record import Answer
from taskchat.auth.repository import know
from taskchat.moments import new_id
from taskchat.postgres.database import Connection, Database, Function
from taskchat.postgres.line import Precedence
from taskchat.postgres.statements import Row
from taskchat.principal import Channel, Principal
from taskchat.settings import OFFLINE
from taskchat.turns.begin import Begun, NewMessage, begin
from taskchat.turns.deps import TurnDeps
from taskchat.turns.event_log import EventLog, EventWriter
from taskchat.turns.ledger import TurnLedger
from taskchat.turns.settle import settle_completed

log = structlog.get_logger()


class _RolledBack(Exception):
    """The rehearsal is over."""


class _OneTransaction(Database):
    """A database whose calls all belong to one transaction, which its owner ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def call(
        self,
        principal: Principal,
        function: Function,
        values: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
        precedence: Precedence = Precedence.ACCEPTED,
    ) -> Row:
        """Call a function of the database's, in the transaction."""
        given = values() if callable(values) else values
        arguments = function.arguments(given)
        [row] = await self._connection.fetch(function.sql, principal.user_id, *arguments)
        return cast(Row, row)


async def rehearse(deps: TurnDeps) -> None:
    """Take one turn from its beginning to its end, and undo it.

    The models of the chain are left out: their figures and their breakers count turns. A rehearsal
    that fails is told and decides nothing.
    """
    # Nobody's token has this user.
    principal = Principal(f"rehearsal {new_id()}")
    try:
        async with deps.database.transaction(principal, Precedence.ACCEPTED) as connection:
            await _take_turn(deps, principal, _OneTransaction(connection))
            raise _RolledBack
    except _RolledBack:
        pass
    except Exception as error:
        log.warning("rehearsal.failed", error=type(error).__name__)


async def _take_turn(deps: TurnDeps, principal: Principal, database: Database) -> None:
    await know(database, principal)
    begun = await begin(
        database,
        principal,
        NewMessage("Add task: rehearse", None, Channel.REST, None, ""),
        limits=deps.limits,
        process=deps.process,
        lease_s=deps.settings.lease_s,
        queue_max=deps.settings.queue_max,
        active_max=deps.settings.active_max,
        conversations_max=deps.settings.conversations_max,
        versions_max=deps.settings.versions_max,
        needs=deps.assistant.needs,
        draining=lambda: False,
    )
    assert isinstance(begun, Begun)  # noqa: S101 - it has no key
    assert begun.claim is not None  # noqa: S101 - nothing is before it
    events = EventLog(database, deps.process, interval_s=deps.events.interval_s)
    writer = EventWriter(events, begun.claim, last_seq=len(begun.events))
    ledger = TurnLedger(database, begun.claim, writer, tool_calls_max=deps.settings.tool_calls_max)
    reply = await deps.assistant.rehearse(begun.message.content, ledger)
    ledger.answered(Answer(OFFLINE, [], 0, 0))
    await settle_completed(
        ledger,
        begun.message,
        reply,
        deps=replace(deps, database=database),
        shows_conversation=False,
    )
