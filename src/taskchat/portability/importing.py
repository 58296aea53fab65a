"""Bringing an export in: line by line, in short transactions, as the caller's rows.

What is stored before a line that is refused stays. The same file again goes on from there: each new
id is made from where its row came from, so that what is there is found and not doubled.
"""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field

from taskchat.conversations import repository as conversations
from taskchat.errors import (
    DatabaseError,
    Detail,
    InvalidRequest,
    ParentGone,
    PayloadTooLarge,
    UserGone,
)
from taskchat.http.requests import parse
from taskchat.portability.brought import brought
from taskchat.portability.lines import (
    VERSION,
    ConversationLine,
    EndLine,
    ExportLine,
    Part,
    TaskLine,
    TurnLine,
)
from taskchat.portability.origins import derived_id, task_origin
from taskchat.portability.patience import patiently
from taskchat.portability.schemas import Brought, ImportOut, LeftOut
from taskchat.portability.store import bring
from taskchat.postgres.database import AnyRow, Connection, Database
from taskchat.principal import Principal
from taskchat.tasks.service import InvalidTask, checked_description, checked_title

T = TypeVar("T")
Read = TypeVar("Read", bound=Part)

ROWS_AT_ONCE: Final = 100
"""Rows inserted in one transaction."""

BYTES_AT_ONCE: Final = 1_048_576
"""Lines that wait to be inserted, in bytes; more are inserted at once, however few they are."""

NOT_IMPORTED: Final = {
    "usage_day": "usage is not imported",
    "share": "links are not imported; make new ones",
    "account": "an account is not imported; whoever imports has their own",
}
"""Types that are known and left out, and why."""

UNKNOWN_TYPES_MAX: Final = 20
"""Types that are not known, of one file; an export of a later release has a few."""

NUMBER_KEPT_MAX: Final = 1_000_000
"""The highest number that a task keeps; the counter has to go on from there."""


class _AnyLine(BaseModel):
    type: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class _AnyVersion(_AnyLine):
    version: Annotated[int, Field(strict=True)]


async def lines_in(
    chunks: AsyncIterable[bytes], *, line_bytes_max: int
) -> AsyncIterator[tuple[int, bytes]]:
    """The lines of a body with their numbers, from 1.

    Raises:
        PayloadTooLarge: one of them is too long.
    """
    number, rest = 0, bytearray()
    async for chunk in chunks:
        rest += chunk
        if b"\n" in chunk:
            *whole, rest = rest.split(b"\n")
            for line in whole:
                number += 1
                _check_length(len(line), number, line_bytes_max)
                yield number, bytes(line)
        _check_length(len(rest), number + 1, line_bytes_max)
    if rest:
        yield number + 1, bytes(rest)


def _check_length(length: int, number: int, line_bytes_max: int) -> None:
    if length > line_bytes_max:
        raise PayloadTooLarge(
            f"A line may have {line_bytes_max} bytes at most, and line {number} has more. {_STAYS}"
        )


_STAYS: Final = "What stood before it is imported; sending it again doubles nothing."


@dataclass(frozen=True, slots=True)
class _Open:
    """The conversation whose turns come.

    Attributes:
        line: As the file has it.
        id: Its id here; None if it is the user's own, and stays as it is.
        own: As `bring_conversation` has it.
    """

    line: ConversationLine
    id: UUID | None
    own: str


class Import:
    """One file on its way in.

    Args:
        database: Where it goes.
        principal: Whose it becomes.
        active_max: The most conversations of the user that may be active; None means any number.
            What is active in the file and would be one more is paused.
    """

    def __init__(self, database: Database, principal: Principal, *, active_max: int | None) -> None:
        self._active_max = active_max
        self._database = database
        self._principal = principal
        self._lines = 0
        self._ended = False
        self._left_out: Counter[str] = Counter()
        self._known = {kind: Brought() for kind in (ConversationLine, TurnLine, TaskLine)}
        self._conversation: _Open | None = None
        self._last_turn = 0
        self._turns: list[TurnLine] = []
        self._tasks: list[TaskLine] = []
        self._waiting_bytes = 0

    async def take(self, lines: AsyncIterable[tuple[int, bytes]]) -> ImportOut:
        """Take every line; returns what became of them.

        Raises:
            InvalidRequest: a line is not as the format has it, or the last one is missing.
            PayloadTooLarge: as `lines` raises it.
            DatabaseError: the database stayed away.
        """
        async for number, raw in lines:
            try:
                await self._take(number, raw)
            except InvalidRequest as error:
                raise _located(error, number) from None
        await self._flush()
        if not self._ended:
            raise InvalidRequest(
                "The file ends before its last line, of type end: it was cut off on its way. What "
                "is there is imported; get it whole and send it again, which doubles nothing.",
                details=[Detail(f"line {self._lines + 1}", "is missing")],
            )
        return ImportOut(
            lines=self._lines,
            conversations=self._known[ConversationLine],
            turns=self._known[TurnLine],
            tasks=self._known[TaskLine],
            left_out=[
                LeftOut(
                    type=kind,
                    lines=count,
                    reason=NOT_IMPORTED.get(kind, "this release does not know the type"),
                )
                for kind, count in sorted(self._left_out.items())
            ],
        )

    async def _take(self, number: int, raw: bytes) -> None:
        kind = parse(_AnyLine, raw).type
        if self._ended:
            raise _wrong("stands behind the line of type end")
        if (number == 1) != (kind == "export"):
            raise _wrong("must be of type export" if number == 1 else "begins another export")
        self._waiting_bytes += len(raw)
        if kind == "export":
            self._begin(raw)
        elif kind == "conversation":
            await self._flush()
            await self._take_conversation(parse(ConversationLine, raw))
        elif kind == "turn":
            self._take_turn(parse(TurnLine, raw))
        elif kind == "task":
            self._tasks.append(_checked(parse(TaskLine, raw)))
        elif kind == "end":
            self._end(parse(EndLine, raw))
        else:
            self._leave_out(kind)
        self._lines = number
        waiting = max(len(self._turns), len(self._tasks))
        if waiting >= ROWS_AT_ONCE or self._waiting_bytes >= BYTES_AT_ONCE:
            await self._flush()

    def _begin(self, raw: bytes) -> None:
        if parse(_AnyVersion, raw).version != VERSION:
            raise InvalidRequest(
                f"This release reads version {VERSION} of the format, and the file has another.",
                details=[Detail("version", f"must be {VERSION}")],
            )
        parse(ExportLine, raw)

    def _end(self, line: EndLine) -> None:
        if line.lines != self._lines:
            raise _wrong("counts other lines than came before it: some are missing")
        self._ended = True

    def _leave_out(self, kind: str) -> None:
        self._left_out[kind] += 1
        if len(self._left_out) > UNKNOWN_TYPES_MAX:
            raise _wrong("has one type too many that this release does not know", "type")

    async def _take_conversation(self, line: ConversationLine) -> None:
        new_id = derived_id(
            self._principal.user_id, line.created_at, "conversation", str(line.origin)
        )

        async def take(connection: Connection) -> AnyRow | None:
            if await bring.has_conversation(connection, self._principal, line.origin):
                return None
            row = await bring.bring_conversation(connection, self._principal, new_id, line)
            if row.added and line.status == "active":
                await self._pause_beyond(connection, new_id)
            return row

        found = await self._write(take)
        self._known[ConversationLine].note(bool(found and found.added), 1)
        self._conversation = _Open(line, found and new_id, found.own if found else "{}")
        self._last_turn = 0

    async def _pause_beyond(self, connection: Connection, conversation_id: UUID) -> None:
        """Pause a conversation that has just become one too many active ones."""
        if self._active_max is None or await conversations.active_fit(
            connection, self._principal, active_max=self._active_max
        ):
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

    def _take_turn(self, line: TurnLine) -> None:
        if self._conversation is None or self._conversation.line.id != line.conversation_id:
            raise _wrong("must follow its conversation", "conversation_id")
        if not self._last_turn < line.number <= self._conversation.line.turn_count:
            raise _wrong("must follow the turn before it, within turn_count", "number")
        self._last_turn = line.number
        self._turns.append(line)

    async def _flush(self) -> None:
        """Store what waits."""
        turns, tasks = self._turns, self._tasks
        self._turns, self._tasks, self._waiting_bytes = [], [], 0
        if turns:
            added = await self._bring_turns(turns)
            self._known[TurnLine].note(added, len(turns))
        if tasks:
            added = await self._write(lambda connection: self._bring_tasks(connection, tasks))
            self._known[TaskLine].note(added, len(tasks))

    async def _bring_turns(self, lines: list[TurnLine]) -> int:
        assert self._conversation is not None  # noqa: S101 - turns follow one
        of, conversation_id = self._conversation, self._conversation.id
        if conversation_id is None:
            return 0
        turns = [brought(self._principal, of.line.origin, conversation_id, line) for line in lines]
        return await self._write(
            lambda connection: bring.bring_turns(
                connection, self._principal, conversation_id, turns, own=of.own
            )
        )

    async def _bring_tasks(self, connection: Connection, tasks: list[TaskLine]) -> int:
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


def _checked(task: TaskLine) -> TaskLine:
    try:
        return task.model_copy(
            update={
                "title": checked_title(task.title),
                "description": checked_description(task.description),
            }
        )
    except InvalidTask as error:
        raise InvalidRequest(details=error.details) from None


def _wrong(problem: str, field: str = "body") -> InvalidRequest:
    return InvalidRequest(details=[Detail(field, problem)])


def _located(error: InvalidRequest, number: int) -> InvalidRequest:
    """The same error, which says in which line."""
    sentence = "" if error.message == InvalidRequest.default else f" {error.message}"
    return InvalidRequest(
        f"Line {number} does not fit the format; see details.{sentence} {_STAYS}",
        details=[
            Detail(f"line {number}" + ("" if d.field == "body" else f".{d.field}"), d.problem)
            for d in error.details
        ],
    )
