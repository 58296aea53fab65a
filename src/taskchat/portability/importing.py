"""Bringing an export in: line by line, in short transactions, as the caller's rows.

What is stored before a line that is refused stays. The same file again goes on from there: each new
id is made from where its row came from, so that what is there is found and not doubled.
"""

from collections import Counter
from collections.abc import AsyncIterable
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, Field

from taskchat.errors import (
    Detail,
    InvalidRequest,
)
from taskchat.http.requests import parse
from taskchat.portability.bringing import Bringing, Opened
from taskchat.portability.lines import (
    VERSION,
    ConversationLine,
    EndLine,
    ExportLine,
    Part,
    TaskLine,
    TurnLine,
)
from taskchat.portability.schemas import Brought, ImportOut, LeftOut
from taskchat.portability.splitting import STAYS
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
    "schedule": "schedules are not imported, so that nothing is said twice; make them anew",
    "external_id": "ids that clients chose are not imported; they name what was there",
    "account": "an account is not imported; whoever imports has their own",
}
"""Types that are known and left out, and why."""

UNKNOWN_TYPES_MAX: Final = 20
"""Types that are not known, of one file; an export of a later release has a few."""


class _AnyLine(BaseModel):
    type: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class _AnyVersion(_AnyLine):
    version: Annotated[int, Field(strict=True)]


class Import:
    """One file on its way in.

    Args:
        bringing: Stores what its lines say.
    """

    def __init__(self, bringing: Bringing) -> None:
        self._bringing = bringing
        self._lines = 0
        self._ended = False
        self._left_out: Counter[str] = Counter()
        self._known = {kind: Brought() for kind in (ConversationLine, TurnLine, TaskLine)}
        self._conversation: Opened | None = None
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
        self._conversation, added = await self._bringing.conversation(line)
        self._known[ConversationLine].note(added, 1)
        self._last_turn = 0

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
            assert self._conversation is not None  # noqa: S101 - turns follow one
            added = await self._bringing.turns(self._conversation, turns)
            self._known[TurnLine].note(added, len(turns))
        if tasks:
            added = await self._bringing.tasks(tasks)
            self._known[TaskLine].note(added, len(tasks))


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
        f"Line {number} does not fit the format; see details.{sentence} {STAYS}",
        details=[
            Detail(f"line {number}" + ("" if d.field == "body" else f".{d.field}"), d.problem)
            for d in error.details
        ],
    )
