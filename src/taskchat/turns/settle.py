"""The transaction after the run: the reply, what is answered, and the end of the turn.

Fenced like every write of a run: a process that lost the turn settles nothing.
"""

import functools
from collections.abc import Sequence

from taskchat.assistant.record import Answer
from taskchat.conversations.schemas import MessageOut
from taskchat.errors import InterruptedReply, ServiceError, TurnCancelled
from taskchat.feedback import repository as feedback
from taskchat.feedback.decisions import WITHDRAWN
from taskchat.feedback.repository import Close
from taskchat.limits.buckets import limiter_failed
from taskchat.moments import new_id, utc_now
from taskchat.postgres.database import Connection
from taskchat.postgres.line import Precedence
from taskchat.settings.prices import Prices, cost_of
from taskchat.telemetry import metrics
from taskchat.turns import store
from taskchat.turns.deps import TurnDeps
from taskchat.turns.event_log import EventLog
from taskchat.turns.events import (
    AssistantReply,
    FeedbackResponse,
    StoredEvent,
    ToolResultEvent,
    completed,
    failed,
    stored,
)
from taskchat.turns.ledger import TurnLedger, TurnLost
from taskchat.turns.models import UNFINISHED
from taskchat.turns.outcome import failure_body
from taskchat.turns.schemas import (
    MESSAGES_SHOWN_MAX,
    ChatAnswer,
    Usage,
    VersionAnswer,
    version_out,
)
from taskchat.turns.states import Page, Steered, TurnRef, TurnState, Version
from taskchat.usage.repository import Call


async def settle_completed(
    ledger: TurnLedger,
    said: MessageOut,
    reply: str,
    *,
    deps: TurnDeps,
    shows_conversation: bool,
    version: Version | None = None,
) -> TurnState | None:
    """Store the reply and what it cost, and end the turn.

    If the user has said something meanwhile that the reply does not know, it is no reply: it is
    dropped, and what was said is read.

    Args:
        ledger: The record of this attempt.
        said: The user's message.
        reply: The assistant's.
        deps: What a turn needs.
        shows_conversation: Whether whoever waits wants to see the conversation.
        version: What is told of it, if the message is another version of an earlier one.

    Returns:
        None if the run has to go on.

    Raises:
        TurnLost: another process runs the turn now.
        DatabaseError: the outcome is unknown; the lease decides.
    """
    turn = ledger.held.turn
    calls = list(ledger.calls.values())
    message = MessageOut(
        id=new_id(),
        turn_id=turn.id,
        role="assistant",
        content=reply,
        created_at=utc_now(),
        tool_calls=calls,
    )
    answer = ChatAnswer(
        conversation_id=turn.conversation_id,
        turn_id=turn.id,
        response=reply,
        tool_calls=calls,
        messages=[said, *(_said_later(turn, one) for one in ledger.steering), message],
        has_more=turn.number > 1 if version is None else version.follows,
        model=ledger.answers[-1].model,
        usage=_usage(ledger.answers),
    )
    if version is not None:
        answer = VersionAnswer(**dict(answer), version=version_out(version))
    result = answer.model_dump_json()
    async with ledger.events.carried() as events:
        mark = events.mark()
        ledger.end_draft()
        events.status("responding")
        events.add(AssistantReply, message_id=message.id, content=reply)
        events.add_made(functools.partial(completed, result=result))
        # A first turn's messages are the whole conversation.
        shown = MESSAGES_SHOWN_MAX if shows_conversation and turn.number > 1 else None
        try:
            page = await _settle(ledger, "completed", result, message, deps, messages_max=shown)
        except store.settle.Unread:
            events.undo(mark)
            await ledger.drop_draft()
            return None
    return TurnState(turn, "completed", result, None, page)


def _said_later(turn: TurnRef, said: Steered) -> MessageOut:
    return MessageOut(
        id=said.id,
        turn_id=turn.id,
        role="user",
        content=said.content,
        created_at=said.created_at,
        tool_calls=[],
    )


async def settle_failed(
    ledger: TurnLedger, error: ServiceError, *, deps: TurnDeps, request_id: str
) -> TurnState:
    """End the turn with an error; its message and its executed calls stay.

    Raises:
        TurnLost: another process runs the turn now.
        DatabaseError: the outcome is unknown; the lease decides.
    """
    turn = ledger.held.turn
    body = failure_body(error, turn, request_id=request_id)
    result = body.model_dump_json()
    ledger.end_draft(dropped=True)
    ledger.events.end_stream(dropped=True)
    async with ledger.events.carried() as events:
        if events.closed:
            # The run ended in the middle of a commit: only the log knows what it holds.
            async with deps.database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
                last = await store.events.last_event_held(connection, ledger.held)
            if last is None:
                raise TurnLost
            events.anew(*last)
        events.add_made(functools.partial(failed, body=body))
        await _settle(ledger, "failed", result, None, deps)
    return TurnState(turn, "failed", result, None)


async def _settle(
    ledger: TurnLedger,
    status: str,
    result: str,
    reply: MessageOut | None,
    deps: TurnDeps,
    *,
    messages_max: int | None = None,
) -> Page | None:
    model = ledger.answers[-1].model if ledger.answers else None
    settled = await store.settle.settle(
        deps.database,
        ledger.held,
        status=status,
        result=result,
        reply=reply,
        model=model,
        # The model that wrote the reply; if there is none, the one that was to write it.
        counted_for=model if status == "completed" else ledger.asked,
        calls=priced(ledger.answers, deps.prices),
        events=ledger.events.pending(),
        process=ledger.events.process,
        tokens_per_minute=deps.limits.tokens_per_minute,
        messages_max=messages_max,
    )
    if settled is None:
        raise TurnLost
    if not settled.tokens_counted:
        limiter_failed("tokens")
    return settled.page


async def cancel(
    log: EventLog,
    prices: Prices,
    turn: TurnRef,
    *,
    request_id: str,
    message: str | None = None,
    waiting_only: bool = False,
) -> bool:
    """End an unfinished turn, whoever runs it; False if it is already over.

    What readers were told of its reply is kept as a message, and what it waited to do as calls that
    were interrupted.

    Only the model calls on record are counted: the process that runs the turn may know of others,
    but can no longer report them.

    Args:
        log: The log of events.
        prices: What models cost.
        turn: The turn.
        request_id: The request's id, for the error that the turn ends with.
        message: What that error says, if not the usual.
        waiting_only: Whether to end it only if it waits for its user.

    Raises:
        DatabaseError: the outcome is unknown; repeat the call.
    """
    statuses = ("awaiting_feedback",) if waiting_only else UNFINISHED
    async with log.database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
        channel = await store.settle.cancel(connection, turn, statuses=statuses)
        if channel is None:
            return False
        # Whoever ran it writes no more, so that its record and the last number can be read.
        text = await store.events.told_text(connection, turn)
        error = TurnCancelled(message)
        if text:
            reply_id = new_id()
            await store.settle.keep_interrupted(connection, turn, reply_id, text)
            error = TurnCancelled(
                message, details=[InterruptedReply("reply", "was interrupted", reply_id, text)]
            )
        body = failure_body(error, turn, request_id=request_id)
        await store.settle.keep_result(connection, turn, body.model_dump_json())
        answers = await store.record.recorded_answers(connection, turn)
        if answers:
            await store.settle.keep_usage(connection, turn, priced(answers, prices))
        seq, _ = await store.events.last_event(connection, turn)
        told = await _withdrawn(connection, turn, seq)
        if told:
            await store.feedback.tell(connection, turn, told, process=log.process)
        last = failed(turn, seq + len(told) + 1, utc_now(), body=body)
        await store.events.conclude(connection, turn, last, process=log.process)
    metrics.TURNS.labels("cancelled", channel).inc()
    log.publish(turn, [*told, last])
    return True


async def _withdrawn(connection: Connection, turn: TurnRef, seq: int) -> list[StoredEvent]:
    """Withdraw what a cancelled turn asks; returns the events that tell it, after that number."""
    request = await feedback.open_of(connection, turn.principal, turn.id)
    if request is None:
        return []
    how = Close("withdrawn")
    await feedback.close(connection, turn.principal, request.id, how)
    told = [
        stored(
            FeedbackResponse,
            turn,
            seq + 1,
            utc_now(),
            feedback_id=request.id,
            status=how.status,
            answer=None,
            comment=None,
        )
    ]
    result = {"error": WITHDRAWN}
    for call in request.calls:
        await store.feedback.interrupt(connection, turn, call, result)
        told.append(
            stored(
                ToolResultEvent,
                turn,
                told[-1].seq + 1,
                utc_now(),
                tool_call_id=call.id,
                tool_name=call.tool_name,
                result=result,
                duration_ms=0,
                is_error=True,
            )
        )
    return told


def _usage(answers: Sequence[Answer]) -> Usage:
    return Usage(
        model_calls=len(answers),
        input_tokens=sum(answer.input_tokens for answer in answers),
        output_tokens=sum(answer.output_tokens for answer in answers),
    )


def priced(answers: Sequence[Answer], prices: Prices) -> list[Call]:
    """What the answers used, at the current prices."""
    return [
        Call(
            model=answer.model,
            input_tokens=answer.input_tokens,
            cached_input_tokens=answer.cached_input_tokens,
            output_tokens=answer.output_tokens,
            duration_ms=answer.duration_ms,
            cost=cost_of(
                prices.get(answer.model),
                input_tokens=answer.input_tokens,
                cached_input_tokens=answer.cached_input_tokens,
                output_tokens=answer.output_tokens,
            ),
        )
        for answer in answers
    ]
