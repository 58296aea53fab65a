"""Reading all that a user has, page by page: memory does not grow with it.

Each page is a short transaction of its own, so that a slow reader holds no connection. A page is
of one moment, and the whole is not: what is begun meanwhile may be in it, what is deleted meanwhile
may be missing. A conversation ends with the turn that was its last when its line was written.
"""

import datetime
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

from taskchat.conversations.service import no_conversation
from taskchat.moments import utc_now
from taskchat.portability.lines import (
    NOWHERE,
    AccountLine,
    AskedLine,
    Called,
    CallUsed,
    ConversationLine,
    EndLine,
    ExportLine,
    ExternalIdLine,
    Failure,
    Line,
    Rated,
    Said,
    ScheduleLine,
    ShareLine,
    SteeredLine,
    TaskLine,
    TurnLine,
    UsageDayLine,
    Used,
)
from taskchat.portability.origins import task_origin
from taskchat.portability.patience import patiently
from taskchat.portability.store import find
from taskchat.postgres.database import AnyRow, Database
from taskchat.principal import Principal
from taskchat.turns.schemas import ErrorBody

T = TypeVar("T")

ROWS_AT_ONCE: Final = 200
"""Rows read in one transaction, as in the longest page of a list."""

TURNS_AT_ONCE: Final = 100
"""Turns read in one transaction, each with its messages and its tool calls."""

_CALLS: Final = TypeAdapter(list[Called])
_STEERED: Final = TypeAdapter(list[SteeredLine])
_FEEDBACK: Final = TypeAdapter(list[AskedLine])
_CALLS_USED: Final = TypeAdapter(list[CallUsed])

Pages = AsyncGenerator[Sequence[Line], None]


def everything(database: Database, principal: Principal) -> Pages:
    """All that a user has, from the first line to the last.

    Raises:
        DatabaseError: at the beginning; or later, where it stays away.
    """
    return _counted(_everything(_Reading(database, principal)))


def conversation(database: Database, principal: Principal, conversation_id: UUID) -> Pages:
    """One conversation, from the first line to the last.

    Raises:
        NotFound: the principal has none of that id.
        DatabaseError: as for `everything`.
    """
    return _counted(_conversation(_Reading(database, principal), conversation_id))


class _Reading:
    """Reads pages; only the first one gives up at once."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal
        self._begun = False

    @property
    def user_id(self) -> str:
        return self._principal.user_id

    async def page(self, read: Callable[..., Awaitable[T]], *place: object, **limits: int) -> T:
        """What a function of `store.find` reads, in a transaction of its own."""

        async def once() -> T:
            async with self._database.transaction(self._principal) as connection:
                return await read(connection, self._principal, *place, **limits)

        found = await (patiently(once) if self._begun else once())
        self._begun = True
        return found


async def _counted(pages: Pages) -> Pages:
    count = 0
    async for page in pages:
        count += len(page)
        yield page
    yield [EndLine(lines=count)]


async def _conversation(reading: _Reading, conversation_id: UUID) -> Pages:
    row = await reading.page(find.find_conversation, conversation_id)
    if row is None:
        raise no_conversation(conversation_id)
    yield [ExportLine(scope="conversation", exported_at=utc_now())]
    async for page in _with_turns(reading, row):
        yield page


async def _everything(reading: _Reading) -> Pages:
    begun, after = False, NOWHERE
    while True:
        rows = await reading.page(find.conversations_after, after, rows_max=ROWS_AT_ONCE)
        if not begun:
            yield [ExportLine(scope="user", exported_at=utc_now())]
            begun = True
        for row in rows:
            async for page in _with_turns(reading, row):
                yield page
        if len(rows) < ROWS_AT_ONCE:
            break
        after = rows[-1].id
    async for page in _tasks(reading):
        yield page
    async for page in _usage_days(reading):
        yield page
    async for page in _shares(reading):
        yield page
    async for page in _schedules(reading):
        yield page
    async for page in _external_ids(reading):
        yield page
    account = await reading.page(find.find_account)
    if account is not None:
        yield [AccountLine(**account)]


async def _with_turns(reading: _Reading, row: AnyRow) -> Pages:
    yield [ConversationLine(**{**row, "branch": _ranges(row.branch)})]
    after = 0
    while after < row.turn_count:
        rows = await reading.page(
            find.turns_after,
            row.id,
            after,
            until=row.turn_count,
            rows_max=TURNS_AT_ONCE,
        )
        if not rows:
            return
        yield [_turn(row.id, turn) for turn in rows]
        after = rows[-1].number


async def _tasks(reading: _Reading) -> Pages:
    after = 0
    while True:
        rows = await reading.page(find.tasks_after, after, rows_max=ROWS_AT_ONCE)
        if rows:
            yield [_task(reading.user_id, row) for row in rows]
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1].id


async def _usage_days(reading: _Reading) -> Pages:
    after = (datetime.date.min, "")
    while True:
        rows = await reading.page(find.usage_days_after, after, rows_max=ROWS_AT_ONCE)
        if rows:
            yield [UsageDayLine(**row) for row in rows]
        if len(rows) < ROWS_AT_ONCE:
            return
        after = (rows[-1].day, rows[-1].model)


async def _shares(reading: _Reading) -> Pages:
    after = NOWHERE
    while True:
        rows = await reading.page(find.shares_after, after, rows_max=ROWS_AT_ONCE)
        if rows:
            yield [ShareLine(**row) for row in rows]
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1].id


async def _schedules(reading: _Reading) -> Pages:
    after = NOWHERE
    while True:
        rows = await reading.page(find.schedules_after, after, rows_max=ROWS_AT_ONCE)
        if rows:
            yield [ScheduleLine(**row) for row in rows]
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1].id


async def _external_ids(reading: _Reading) -> Pages:
    after = NOWHERE
    while True:
        rows = await reading.page(find.external_ids_after, after, rows_max=ROWS_AT_ONCE)
        if rows:
            yield [ExternalIdLine(**row) for row in rows]
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1].id


def _task(user_id: str, row: AnyRow) -> TaskLine:
    origin = row.origin or task_origin(user_id, row.id, row.created_at)
    return TaskLine(**{**row, "origin": origin})


def _ranges(numbers: str | None) -> list[tuple[int, int]] | None:
    return None if numbers is None else [(first, last) for first, last in json.loads(numbers)]


def _turn(conversation_id: UUID, row: AnyRow) -> TurnLine:
    failure = ErrorBody.model_validate_json(row.failure) if row.failure else None
    return TurnLine(
        id=row.id,
        conversation_id=conversation_id,
        number=row.number,
        follows=_ranges(row.follows),
        version_of=row.version_of,
        channel=row.channel,
        status=row.status,
        message=Said.model_validate_json(row.said),
        tool_calls=_CALLS.validate_json(row.calls or "[]"),
        steered=_STEERED.validate_json(row.steered or "[]"),
        feedback=_FEEDBACK.validate_json(row.feedback or "[]"),
        reply=Said.model_validate_json(row.reply) if row.reply else None,
        rating=Rated.model_validate_json(row.rating) if row.rating else None,
        error=Failure(
            error_code=failure.error_code, error=failure.error, request_id=failure.request_id
        )
        if failure
        else None,
        model=row.model,
        usage=Used(
            model_calls=row.model_calls,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
        ),
        model_calls=_CALLS_USED.validate_json(row.used or "[]"),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
