"""Answers to what the agent asks. The first valid one counts, and its turn goes on.

So it does if nobody answers in time. If the user says something else instead, the turn is over.
"""

import contextlib
import functools
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import structlog

from taskchat.errors import (
    AwaitingFeedback,
    DatabaseError,
    Detail,
    FeedbackClosed,
    InvalidRequest,
    NotFound,
    ShuttingDown,
)
from taskchat.feedback import repository as feedback
from taskchat.feedback.decisions import AskedCall
from taskchat.feedback.repository import Close, Request
from taskchat.feedback.schemas import CallAnswer, FeedbackAnswer
from taskchat.moments import utc_now
from taskchat.postgres.database import Connection, Database
from taskchat.postgres.line import Precedence
from taskchat.principal import Channel, Principal
from taskchat.tasks.tools import problem_with_arguments
from taskchat.turns import store
from taskchat.turns.deps import TurnDeps
from taskchat.turns.drive import see_through
from taskchat.turns.events import FeedbackResponse, StoredEvent, stored
from taskchat.turns.settle import cancel
from taskchat.turns.states import TurnRef

log = structlog.get_logger()

SWEPT_AT_ONCE: Final = 100
"""Requests that one process ends in one sweep; the next one takes the rest."""

PASSED_OVER: Final = (
    "The agent was waiting for an answer when you said something else, so this turn was cancelled."
)


class _TooLate(Exception):
    """The request is no longer open; nothing is changed."""


async def answer_feedback(
    feedback_id: UUID,
    answer: FeedbackAnswer,
    *,
    principal: Principal,
    channel: Channel,
    deps: TurnDeps,
    request_id: str,
) -> Request:
    """Answer what the agent asks; its turn goes on, on this process.

    Args:
        feedback_id: What it asks.
        answer: What is answered.
        principal: Who answers.
        channel: How.
        deps: What a turn needs.
        request_id: The request's id, for the error if the turn fails.

    Returns:
        The request as it is now.

    Raises:
        NotFound: the agent asks the principal nothing of that id.
        FeedbackClosed: somebody has answered, or it is too late.
        InvalidRequest: the answer does not fit what is asked.
        ShuttingDown: this process takes nothing up any more.
    """
    if deps.jobs.draining:
        raise ShuttingDown(retry_after_s=1)
    async with deps.database.transaction(principal, Precedence.ACCEPTED) as connection:
        request = await _found(connection, principal, feedback_id)
    if request.status != "open":
        raise _closed(request)
    how = _read(request, answer, channel, chars_max=deps.settings.feedback_chars_max)
    ended = await _end(request, how, principal, deps, request_id=request_id)
    async with deps.database.transaction(principal, Precedence.ACCEPTED) as connection:
        request = await _found(connection, principal, feedback_id)
    if not ended:
        raise _closed(request)
    log.info("feedback.answered", turn_id=str(request.turn_id), status=request.status)
    return request


async def _found(connection: Connection, principal: Principal, feedback_id: UUID) -> Request:
    request = await feedback.find(connection, principal, feedback_id)
    if request is None:
        raise NotFound(f"The agent asks nothing of the id {feedback_id}.")
    return request


def _closed(request: Request) -> FeedbackClosed:
    status = "expired" if request.status == "open" else request.status
    return FeedbackClosed(
        details=[Detail("status", f"is {status}")],
        conversation_id=request.conversation_id,
        turn_id=request.turn_id,
    )


def _read(request: Request, answer: FeedbackAnswer, channel: Channel, *, chars_max: int) -> Close:
    """What an answer means for a request.

    Raises:
        InvalidRequest: it does not fit.
    """
    for field, said in (("answer", answer.answer), ("comment", answer.comment)):
        if said is not None and len(said) > chars_max:
            raise _wrong(field, f"must have at most {chars_max} characters")
    if request.kind == "question":
        if answer.calls is not None:
            raise _wrong("calls", "is for approvals; a question has none")
        return Close("answered", answer.answer, answer.comment, channel=channel)
    whole = answer.answer.casefold()
    if whole not in ("approve", "reject"):
        raise _wrong("answer", "must be approve or reject")
    given = dict(answer.calls or {})
    decisions = {
        call.call_id: _decision(call, given.pop(str(call.id), CallAnswer()), whole, answer.comment)
        for call in request.calls
    }
    if given:
        raise _wrong("calls", "names a call that does not wait for approval")
    for decision in decisions.values():
        if len(decision["comment"] or "") > chars_max:
            raise _wrong("calls", f"has a comment of more than {chars_max} characters")
    approved = any(decision["answer"] == "approve" for decision in decisions.values())
    return Close(
        "approved" if approved else "rejected", whole, answer.comment, decisions, channel=channel
    )


def _decision(
    call: AskedCall, given: CallAnswer, whole: str, comment: str | None
) -> Mapping[str, Any]:
    answer = given.answer or whole
    arguments = None
    if given.arguments is not None:
        if answer != "approve":
            raise _wrong("calls", "changes arguments of a call that is not approved")
        arguments = {**call.arguments, **given.arguments}
        if problem := problem_with_arguments(call.tool_name, arguments):
            raise _wrong("calls", f"has arguments that do not fit: {problem}")
    return {"answer": answer, "comment": given.comment or comment, "arguments": arguments}


def _wrong(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"The {field} {problem}.", details=[Detail(field, problem)])


async def _end(
    request: Request, how: Close, principal: Principal, deps: TurnDeps, *, request_id: str = ""
) -> bool:
    """End a request, and let its turn go on here; False if it is too late for that."""
    try:
        async with deps.database.transaction(principal, Precedence.ACCEPTED) as connection:
            state = await store.find.by_id(connection, principal, request.turn_id)
            if state is None:
                return False
            told = await _close(connection, state.turn, request.id, how, deps)
    except _TooLate:
        return False
    deps.events.publish(state.turn, [told])
    _take_up(state.turn, deps, request_id)
    return True


async def _close(
    connection: Connection, turn: TurnRef, feedback_id: UUID, how: Close, deps: TurnDeps
) -> StoredEvent:
    # The turn first, as whoever cancels it does.
    if not await store.feedback.go_on(
        connection, turn, process=deps.process, lease_s=deps.settings.lease_s
    ):
        raise _TooLate
    if not await feedback.close(connection, turn.principal, feedback_id, how):
        raise _TooLate
    seq, _ = await store.events.last_event(connection, turn)
    told = stored(
        FeedbackResponse,
        turn,
        seq + 1,
        utc_now(),
        feedback_id=feedback_id,
        status=how.status,
        answer=how.answer,
        comment=how.comment,
    )
    await store.feedback.tell(connection, turn, [told], process=deps.events.process)
    return told


def _take_up(turn: TurnRef, deps: TurnDeps, request_id: str) -> None:
    """See to a turn that goes on; once the job that has asked is done, if that is still here."""

    def start(_ended: object = None) -> None:
        if deps.jobs.get(turn.id) is None:
            deps.jobs.start(
                turn, functools.partial(see_through, start=None, deps=deps, request_id=request_id)
            )

    asking = deps.jobs.get(turn.id)
    if asking is None:
        start()
    else:
        asking.task.add_done_callback(start)


async def check_unasked(
    database: Database, principal: Principal, conversation_id: UUID, *, key: str | None
) -> None:
    """Check that a conversation waits for no answer; a message that is known by its key may pass.

    Raises:
        AwaitingFeedback: it does.
    """
    async with database.transaction(principal) as connection:
        if key is not None and await store.find.by_key(connection, principal, key) is not None:
            return
        asked = await feedback.listed(
            connection,
            principal,
            status="open",
            conversation_id=conversation_id,
            before=None,
            limit=1,
        )
    for request in asked:
        raise AwaitingFeedback(conversation_id=conversation_id, turn_id=request.turn_id)


async def sweep_feedback(deps: TurnDeps) -> None:
    """End what nobody has answered in time, and what its user has passed over."""
    async with deps.database.system_transaction() as connection:
        due = await feedback.due(connection, rows_max=SWEPT_AT_ONCE)
        passed = (
            await feedback.passed_over(connection, rows_max=SWEPT_AT_ONCE)
            if deps.settings.feedback_new_message == "withdraw"
            else ()
        )
    for row in due:
        principal = Principal(row.user_id)
        async with deps.database.transaction(principal, Precedence.ACCEPTED) as connection:
            request = await feedback.find(connection, principal, row.id)
        if request is not None and await _end(request, Close("expired"), principal, deps):
            log.info("feedback.expired", turn_id=str(request.turn_id))
    for row in passed:
        await withdraw(Principal(row.user_id), row.turn_id, deps)


async def withdraw_passed_over(queued: TurnRef, deps: TurnDeps) -> None:
    """Withdraw what the agent asks in a conversation, if its user has said something else since.

    A message that was sent before the agent asked is no answer to it, and withdraws nothing. If the
    database is away, the next sweep does it.
    """
    with contextlib.suppress(DatabaseError):
        async with deps.database.transaction(queued.principal, Precedence.ACCEPTED) as connection:
            turn_id = await feedback.passed_over_by(connection, queued.principal, queued.id)
        if turn_id is not None:
            await withdraw(queued.principal, turn_id, deps)


async def withdraw(principal: Principal, turn_id: UUID, deps: TurnDeps) -> None:
    """Cancel a turn that waits for its user, if it still does."""
    async with deps.database.transaction(principal, Precedence.ACCEPTED) as connection:
        state = await store.find.by_id(connection, principal, turn_id)
    if state is not None and await cancel(
        deps.events,
        deps.prices,
        state.turn,
        request_id=str(turn_id),
        message=PASSED_OVER,
        waiting_only=True,
    ):
        deps.wakeups.wake(state.turn.conversation_id, state.turn.number, state.turn.number + 1)
        log.info("feedback.withdrawn", turn_id=str(turn_id))
