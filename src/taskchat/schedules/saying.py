"""Saying what is due: each occurrence becomes one turn, whichever process says it.

An occurrence is said under a key that is made of it, which no client can send: to say it again is
to find the turn that it has become. Only then the schedule moves on, and only from the occurrence
that was said. A process that dies in between leaves one that is due, and the next one that says it
finds it said.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from taskchat.assistant.circumstances import Circumstances, is_time_zone
from taskchat.errors import (
    ConversationEnded,
    InternalError,
    NotFound,
    ServiceError,
    ShuttingDown,
)
from taskchat.postgres.database import AnyRow
from taskchat.principal import Channel
from taskchat.schedules import repository
from taskchat.schedules.models import EndReason
from taskchat.schedules.planning import repeated
from taskchat.schedules.plans import Next, Once, Plan
from taskchat.schedules.repository import Occurrence
from taskchat.telemetry import metrics
from taskchat.telemetry.traces import span
from taskchat.turns import store
from taskchat.turns.begin import NewMessage
from taskchat.turns.deps import TurnDeps
from taskchat.turns.states import OWN_KEY, TurnRef
from taskchat.turns.turn import accept_turn

log = structlog.get_logger()

SAID_AT_ONCE: Final = 20
"""Occurrences that one process takes at once; others take others meanwhile."""

HOLD_S: Final = 60
"""How long it may take to say these. It decides nothing: what is said twice is one turn."""

WAIT_MAX_S: Final = 300
"""The longest time between two tries of an occurrence."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says what is due.

    Attributes:
        turns: What a turn needs; the settings among it.
    """

    turns: TurnDeps

    async def say_due(self) -> None:
        """Say what is due, of any user's, until there is nothing more.

        Raises:
            DatabaseError: the database did not answer.
        """
        found = SAID_AT_ONCE
        while found == SAID_AT_ONCE and not self.turns.jobs.draining:
            async with self.turns.database.system_transaction() as connection:
                taken = await repository.claim_due(connection, hold_s=HOLD_S, rows_max=SAID_AT_ONCE)
            found = len(taken)
            for due in taken:
                await self._say_safely(due)

    async def _say_safely(self, due: Occurrence) -> None:
        """Say one, or put it off: none holds up the others."""
        try:
            await self._say(due)
        except ShuttingDown:
            # Another process says it when it may be looked at again.
            return
        except ServiceError as error:
            await self._put_off(due, error)
        except Exception:
            log.exception("schedule.crashed", schedule_id=str(due.id))
            await self._put_off(due, InternalError())

    async def _say(self, due: Occurrence) -> None:
        async with self.turns.database.transaction(due.principal) as connection:
            row = await repository.find_due(connection, due)
            said = await store.find.by_key(connection, due.principal, key_of(due))
        if row is None:
            # Withdrawn, changed or said meanwhile.
            return
        settings = self.turns.settings
        on_time = timedelta(seconds=settings.schedule_late_after_s)
        # Who was refused is on time however long it takes, and what was said is said.
        late = row.tries == 0 and said is None and row.now - due.at > on_time
        if late and settings.schedule_late == "skip":
            await self._advance(due, row.now - on_time, reason="missed")
            metrics.SCHEDULES.labels("skipped").inc()
            log.info("schedule.skipped", schedule_id=str(due.id))
            return
        try:
            turn = await self._accept(due, row) if said is None else said.turn
        except ConversationEnded:
            await self._end(due, "conversation_ended")
            return
        except NotFound:
            await self._end(due, "conversation_deleted")
            return
        await self._advance(due, row.now if late else due.at, reason="done", turn=turn)
        metrics.SCHEDULES.labels("late" if late else "said").inc()
        log.info("schedule.said", schedule_id=str(due.id), turn_id=str(turn.id), late=late)

    async def _accept(self, due: Occurrence, row: AnyRow) -> TurnRef:
        """The turn that the occurrence becomes; or has just become, by another process."""
        zone = row.time_zone if is_time_zone(row.time_zone) else "UTC"
        message = NewMessage(
            content=row.message,
            conversation_id=row.conversation_id,
            channel=Channel.SCHEDULE,
            idempotency_key=key_of(due),
            request_id="",
            circumstances=Circumstances(time_zone=zone),
        )
        with span("schedule"):
            accepted = await accept_turn(message, principal=due.principal, deps=self.turns)
        return accepted.turn

    async def _advance(
        self, due: Occurrence, beyond: datetime, *, reason: EndReason, turn: TurnRef | None = None
    ) -> None:
        """Move on from an occurrence to the first one after a moment, or end."""
        async with self.turns.database.transaction(due.principal) as connection:
            if turn is not None:
                await repository.note_said(
                    connection, due, turn_id=turn.id, conversation_id=turn.conversation_id
                )
            # Held, and by the plan that it has now: its owner may have changed it meanwhile.
            row = await repository.find_due(connection, due, hold=True)
            if row is None:
                return
            following = _plan(row).following(Next(due.at, row.number), beyond)
            if following is None:
                await repository.end_schedule(connection, due, reason=reason)
            else:
                await repository.move_on(
                    connection, due, next_at=following.at, number=following.number
                )

    async def _end(self, due: Occurrence, reason: EndReason) -> None:
        async with self.turns.database.transaction(due.principal) as connection:
            await repository.end_schedule(connection, due, reason=reason)
        metrics.SCHEDULES.labels("ended").inc()
        log.info("schedule.ended", schedule_id=str(due.id), reason=reason)

    async def _put_off(self, due: Occurrence, error: ServiceError) -> None:
        """Try it again later. If the database is away, its hold ends by itself."""
        wait_s = min(WAIT_MAX_S, max(1, error.retry_after_s or 30))
        metrics.SCHEDULES.labels("failed").inc()
        log.warning("schedule.put_off", schedule_id=str(due.id), error_code=error.code)
        async with self.turns.database.transaction(due.principal) as connection:
            await repository.put_off(connection, due, error=error.code, wait_s=wait_s)


def key_of(due: Occurrence) -> str:
    """The key under which an occurrence is said; `store.claim` knows its form."""
    return f"{OWN_KEY}schedule {due.id} {int(due.at.timestamp())}"


def _plan(row: AnyRow) -> Plan:
    if row.rule is None:
        return Once(row.at)
    return repeated(row.rule, row.time_zone, row.starts_at)
