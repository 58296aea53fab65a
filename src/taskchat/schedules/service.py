"""The rules of schedules: who may have how many, what may be changed, what becomes of the rest.

    active ⇄ paused          active ── said for the last time, or nowhere to say it ──> ended

A change of when it is said begins its counting anew, and makes one that has ended active again.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from taskchat.conversations.repository import find_conversation
from taskchat.conversations.service import no_conversation
from taskchat.errors import ConversationEnded, Detail, InvalidRequest, NotFound, TooManySchedules
from taskchat.moments import new_id, utc_now
from taskchat.postgres.database import AnyRow, Connection, Database
from taskchat.principal import Principal
from taskchat.schedules import repository
from taskchat.schedules.models import ScheduleStatus
from taskchat.schedules.planning import Planned, Wanted, first_of, planned, refused
from taskchat.schedules.schemas import NewSchedule, ScheduleChange, ScheduleOut
from taskchat.settings import Settings


@dataclass(frozen=True, slots=True)
class Schedules:
    """Makes, lists, changes and withdraws schedules.

    Attributes:
        database: Where they are kept.
        settings: The limits.
    """

    database: Database
    settings: Settings

    async def make(self, principal: Principal, wanted: NewSchedule) -> ScheduleOut:
        """Make a schedule.

        Raises:
            InvalidRequest: it can't be done, or is not allowed.
            NotFound: the principal has no such conversation.
            ConversationEnded: the conversation takes no more turns.
            TooManySchedules: the user has as many as they may.
            DatabaseError: the outcome is unknown.
        """
        checked_message(wanted.message, self.settings)
        now = utc_now()
        plan = planned(
            Wanted(wanted.at, wanted.rule, wanted.time_zone, wanted.start),
            now=now,
            settings=self.settings,
        )
        id_ = new_id()
        values = values_of(id_, wanted.message, wanted.conversation_id, plan, now, self.settings)
        async with self.database.transaction(principal) as connection:
            if wanted.conversation_id is not None:
                await _check_open(connection, principal, wanted.conversation_id)
            if not await repository.add_schedule(
                connection, principal, values, schedules_max=self.settings.schedules_max
            ):
                raise TooManySchedules
            made = await repository.find_schedule(connection, principal, id_)
        assert made is not None  # noqa: S101 - added in the same transaction
        return made

    async def listed(
        self,
        principal: Principal,
        *,
        status: ScheduleStatus | None,
        conversation_id: UUID | None,
        after: UUID | None,
        limit: int,
    ) -> list[ScheduleOut]:
        """The principal's schedules, the newest first.

        Raises:
            DatabaseError: the database did not answer.
        """
        async with self.database.transaction(principal) as connection:
            return await repository.list_schedules(
                connection,
                principal,
                status=status,
                conversation_id=conversation_id,
                after=after,
                limit=limit,
            )

    async def read(self, principal: Principal, schedule_id: UUID) -> ScheduleOut:
        """One of them.

        Raises:
            NotFound: the principal has none of that id.
            DatabaseError: the database did not answer.
        """
        async with self.database.transaction(principal) as connection:
            found = await repository.find_schedule(connection, principal, schedule_id)
        if found is None:
            raise no_schedule()
        return found

    async def change(
        self, principal: Principal, schedule_id: UUID, change: ScheduleChange
    ) -> ScheduleOut:
        """Change the fields that are given.

        Raises:
            InvalidRequest: nothing is given, it can't be done, or it is not allowed.
            NotFound: the principal has none of that id.
            TooManySchedules: it had ended, and the user has as many as they may.
            DatabaseError: the outcome is unknown.
        """
        given = {name for name in ScheduleChange.model_fields if getattr(change, name) is not None}
        if not given:
            problem = "needs at least one field"
            raise InvalidRequest(f"The change {problem}.", details=[Detail("body", problem)])
        if change.message is not None:
            checked_message(change.message, self.settings)
        now = utc_now()
        async with self.database.transaction(principal) as connection:
            row = await repository.hold_schedule(connection, principal, schedule_id)
            if row is None:
                raise no_schedule()
            message = change.message or row.message
            if given == {"message"}:
                return await repository.reword_schedule(connection, principal, schedule_id, message)
            values = self._changed(row, change, given - {"message", "status"}, now)
            if row.status == "ended":
                there = await repository.count_schedules(connection, principal)
                if there >= self.settings.schedules_max:
                    raise TooManySchedules
            return await repository.change_schedule(
                connection, principal, schedule_id, {**values, "message": message}
            )

    async def withdraw(self, principal: Principal, schedule_id: UUID) -> None:
        """Delete one of them; what it has said stays.

        Raises:
            NotFound: the principal has none of that id.
            DatabaseError: the outcome is unknown.
        """
        async with self.database.transaction(principal) as connection:
            if not await repository.withdraw_schedule(connection, principal, schedule_id):
                raise no_schedule()

    def _changed(
        self, row: AnyRow, change: ScheduleChange, of_plan: set[str], now: datetime
    ) -> dict[str, Any]:
        """The columns of a schedule whose plan or status changes."""
        kept = Wanted(row.at, row.rule, row.time_zone, row.start)
        wanted = _wanted(kept, change, of_plan)
        plan = planned(wanted, now=now, settings=self.settings)
        status = change.status or ("active" if row.status == "ended" else row.status)
        if status == row.status and not of_plan:
            number, next_at = row.number, row.next_at
        else:
            first = first_of(plan, now=now, settings=self.settings)
            number, next_at = first.number, first.at
        return {
            **plan.columns(),
            "status": status,
            "number": number,
            "next_at": next_at if status == "active" else None,
        }


def checked_message(message: str, settings: Settings) -> None:
    """Check that a message is no longer than one may be.

    Raises:
        InvalidRequest: it is.
    """
    if len(message) > settings.message_chars_max:
        raise refused("message", f"must have at most {settings.message_chars_max} characters")


def values_of(
    id_: UUID,
    message: str,
    conversation_id: UUID | None,
    plan: Planned,
    now: datetime,
    settings: Settings,
) -> dict[str, Any]:
    """A new schedule, as `schedule_add_1` takes it.

    Raises:
        InvalidRequest: nothing would ever be said, or not soon enough.
    """
    first = first_of(plan, now=now, settings=settings)
    return {
        "id": id_,
        "conversation": conversation_id,
        "message": message,
        **plan.columns(),
        "next_at": first.at,
        "number": first.number,
    }


def no_schedule() -> NotFound:
    """The error for a schedule that the principal does not have."""
    return NotFound("No such schedule. List the schedules to see their ids.")


def _wanted(kept: Wanted, change: ScheduleChange, of_plan: set[str]) -> Wanted:
    """The plan that a change asks for, with what stays of the one before."""
    given = {name: getattr(change, name) for name in of_plan}
    if "at" in given:
        # Also what does not go with it, so that it is refused.
        return Wanted(**{"time_zone": kept.time_zone, **given})
    if "rule" in given:
        start = kept.start if kept.rule is not None else None
        return Wanted(**{"time_zone": kept.time_zone, "start": start, **given})
    return replace(kept, **given)


async def _check_open(connection: Connection, principal: Principal, conversation_id: UUID) -> None:
    found = await find_conversation(connection, principal, conversation_id)
    if found is None:
        raise no_conversation(conversation_id)
    if found.status == "ended":
        raise ConversationEnded(conversation_id=conversation_id)
