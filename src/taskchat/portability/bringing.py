"""What an import stores: in short transactions, as the caller's rows, found again by a repeat."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from taskchat.conversations import repository as conversations
from taskchat.errors import (
    DatabaseError,
    ParentGone,
    TooManyConversations,
    TooManyTasks,
    UserGone,
)
from taskchat.portability.brought import brought
from taskchat.portability.lines import ConversationLine, TaskLine, TurnLine
from taskchat.portability.origins import derived_id, task_origin
from taskchat.portability.patience import patiently
from taskchat.portability.store import bring
from taskchat.postgres.database import AnyRow, Connection, Database
from taskchat.principal import Principal
from taskchat.tasks import repository as tasks_repository

T = TypeVar("T")

NUMBER_KEPT_MAX: Final = 1_000_000
"""The highest number that a task keeps; the counter has to go on from there."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The conversation whose turns come.

    Attributes:
        line: As the file has it.
        id: Its id here; None if it is the user's own, and stays as it is.
        own: As `bring_conversation` has it.
    """

    line: ConversationLine
    id: UUID | None
    own: str


class Bringing:
    """Stores what lines say.

    Args:
        database: Where it goes.
        principal: Whose it becomes.
        active_max: The most conversations of the user that may be active; None means any number.
            What is active in the file and would be one more is paused.
        conversations_max: The most conversations that the user may have.
        tasks_max: The most tasks that the user may have.
    """

    def __init__(
        self,
        database: Database,
        principal: Principal,
        *,
        active_max: int | None,
        conversations_max: int,
        tasks_max: int,
    ) -> None:
        self._database = database
        self._principal = principal
        self._active_max = active_max
        self._conversations_max = conversations_max
        self._tasks_max = tasks_max

    async def conversation(self, line: ConversationLine) -> tuple[Opened, bool]:
        """Store a conversation; returns it for its turns, and whether it is new.

        Raises:
            TooManyConversations: with it there would be more than there may be.
            DatabaseError: the database stayed away, as for all of these.
        """
        new_id = derived_id(
            self._principal.user_id, line.created_at, "conversation", str(line.origin)
        )

        async def take(connection: Connection) -> AnyRow | None:
            if await bring.has_conversation(connection, self._principal, line.origin):
                return None
            row = await bring.bring_conversation(connection, self._principal, new_id, line)
            if row.added:
                await self._fit_in(connection, new_id, is_active=line.status == "active")
            return row

        found = await self._write(take)
        opened = Opened(line, found and new_id, found.own if found else "{}")
        return opened, bool(found and found.added)

    async def turns(self, of: Opened, lines: Sequence[TurnLine]) -> int:
        """Store turns of a conversation; returns how many are new."""
        conversation_id = of.id
        if conversation_id is None:
            return 0
        turns = [brought(self._principal, of.line.origin, conversation_id, line) for line in lines]
        return await self._write(
            lambda connection: bring.bring_turns(
                connection, self._principal, conversation_id, turns, own=of.own
            )
        )

    async def tasks(self, tasks: Sequence[TaskLine]) -> int:
        """Store tasks; returns how many are new.

        Raises:
            TooManyTasks: with them there would be more than there may be.
        """
        return await self._write(lambda connection: self._bring_tasks(connection, tasks))

    async def _fit_in(
        self, connection: Connection, conversation_id: UUID, *, is_active: bool
    ) -> None:
        """Refuse a conversation that is one too many; pause one of too many active ones."""
        cap = await conversations.exceeded(
            connection,
            self._principal,
            active_max=self._active_max if is_active else None,
            conversations_max=self._conversations_max,
        )
        if cap == "full":
            raise TooManyConversations(
                "With the conversations of this file there would be more than there may be; delete "
                "some, and send it again, which doubles nothing."
            )
        if cap is None:
            return
        await conversations.change_conversation(
            connection,
            self._principal,
            conversation_id,
            title=None,
            status="paused",
            archived=None,
            branch=None,
            is_activity=False,
        )

    async def _bring_tasks(self, connection: Connection, tasks: Sequence[TaskLine]) -> int:
        """Insert the tasks that are not there; a number that was never given here is kept."""
        user_id = self._principal.user_id
        last = await bring.lock_task_counter(connection, self._principal)
        if last is None:
            raise UserGone(retry_after_s=1)
        known = {
            task_origin(user_id, row.id, row.created_at)
            for row in await bring.own_tasks(
                connection, self._principal, [task.id for task in tasks]
            )
        } | await bring.brought_tasks(connection, self._principal, [task.origin for task in tasks])
        fresh = []
        for task in tasks:
            if task.origin not in known:
                known.add(task.origin)
                last = task.id if last < task.id <= NUMBER_KEPT_MAX else last + 1
                fresh.append((last, task))
        if fresh:
            if not await tasks_repository.have_room(
                connection, self._principal, tasks_max=self._tasks_max, more=len(fresh)
            ):
                raise TooManyTasks(
                    "With the tasks of this file there would be more than there may be; delete "
                    "some, and send it again, which doubles nothing."
                )
            await bring.bring_tasks(connection, self._principal, fresh)
        return len(fresh)

    async def _write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async def once() -> T:
            async with self._database.transaction(self._principal) as connection:
                return await work(connection)

        try:
            return await patiently(once)
        except UserGone:
            raise
        except ParentGone as error:
            raise ParentGone(
                "The conversation was deleted while it was imported; send the file again to have "
                "it whole.",
                retry_after_s=error.retry_after_s,
            ) from error
        except DatabaseError as error:
            # Not that nothing was stored, as some of them say.
            raise DatabaseError(
                "The database did not answer in time; send the file again, which doubles nothing.",
                retry_after_s=error.retry_after_s,
            ) from error
