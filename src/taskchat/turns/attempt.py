"""One attempt at a turn: run the agent, then settle, whatever came of it."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from taskchat.assistant.record import Answer, AwaitsUser
from taskchat.errors import DatabaseError, InternalError, ModelError, ServiceError
from taskchat.limits.buckets import limiter_failed
from taskchat.postgres.faults import FAULTS
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal
from taskchat.telemetry import metrics
from taskchat.telemetry.traces import Attributes, span
from taskchat.turns.asking import ask_user
from taskchat.turns.deps import TurnDeps
from taskchat.turns.event_log import EventWriter
from taskchat.turns.jobs import Job
from taskchat.turns.ledger import TurnLedger, TurnLost
from taskchat.turns.resume import StartedTurn
from taskchat.turns.settle import priced, settle_completed, settle_failed
from taskchat.turns.states import TurnRef, TurnState
from taskchat.turns.store.claim import ATTEMPTS_MAX, DEATHS_MAX
from taskchat.turns.summary import sum_up
from taskchat.turns.title import entitle
from taskchat.usage.repository import count_apart

log = structlog.get_logger()


async def run_turn(job: Job, start: StartedTurn, *, deps: TurnDeps, request_id: str) -> TurnState:
    """Run the agent and settle, or ask the user: one attempt at a turn.

    Raises:
        TurnLost: another process owns the turn now, or it was cancelled.
        DatabaseError: the record can't be written; what is committed stays.
    """
    began = time.monotonic()
    events = EventWriter(
        deps.events,
        start.held,
        last_seq=start.last_seq,
        open_stream=start.open_stream,
        status=start.status,
    )
    held = start.held
    facts: Attributes = {
        "taskchat.turn.id": str(held.turn.id),
        "taskchat.turn.attempt": held.attempt,
        "taskchat.turn.channel": held.channel,
        "taskchat.turn.taken_over": held.taken.reason if held.taken else None,
        "gen_ai.conversation.id": str(held.turn.conversation_id),
    }
    try:
        with span("turn", facts, parent=start.circumstances.trace) as traced:
            ended = await _run(job, start, events, deps=deps, request_id=request_id, began=began)
            traced.note({"taskchat.turn.outcome": ended.status})
            return ended
    finally:
        events.close()


async def _run(
    job: Job,
    start: StartedTurn,
    events: EventWriter,
    *,
    deps: TurnDeps,
    request_id: str,
    began: float,
) -> TurnState:
    ledger = TurnLedger(
        deps.database,
        start.held,
        events,
        answers_kept=start.answers,
        calls=start.calls,
        approvals=deps.assistant.approvals,
        decisions=start.decisions,
        steered=start.steered,
        unread=job.unread,
        manner=start.circumstances.manner,
        script=start.circumstances.script,
        tool_calls_max=deps.settings.tool_calls_max,
    )
    if start.has_unread:
        job.unread.may_be = True
    ended = None
    while ended is None:
        job.settling = False
        try:
            reply = await _reply(start, ledger, deps)
        except (TurnLost, DatabaseError):
            raise
        except AwaitsUser as asked:
            job.settling = True
            ended = await ask_user(ledger, asked, deps=deps)
            _note_end(ended, ledger, began)
            return ended
        except ServiceError as error:
            ended = await _settle_failed(job, ledger, error, deps, request_id)
        except Exception:
            log.exception("turn.crashed", turn_id=str(job.turn.id))
            ended = await _settle_failed(job, ledger, InternalError(), deps, request_id)
        else:
            job.settling = True
            ended = await settle_completed(
                ledger,
                start.message,
                reply,
                deps=deps,
                shows_conversation=job.shows_conversation,
                version=start.background.version,
            )
    if deps.settings.history_summary:
        deps.jobs.run_errand(_afterwards(sum_up, job.turn, deps))
    if deps.settings.conversation_titles and job.turn.number == 1 and ended.status == "completed":
        deps.jobs.run_errand(_afterwards(entitle, job.turn, deps))
    deps.wakeups.wake(job.turn.conversation_id, job.turn.number, job.turn.number + 1)
    _note_end(ended, ledger, began)
    return ended


def _note_end(ended: TurnState, ledger: TurnLedger, began: float) -> None:
    took_s = time.monotonic() - began
    metrics.TURNS.labels(ended.status, ledger.held.channel).inc()
    metrics.TURN_SECONDS.labels(ended.status).observe(took_s)
    log.info(
        f"turn.{ended.status}",
        turn_id=str(ended.turn.id),
        attempt=ledger.held.attempt,
        model_calls=len(ledger.answers),
        tool_calls=len(ledger.calls),
        duration_ms=round(took_s * 1000),
    )


async def _reply(start: StartedTurn, ledger: TurnLedger, deps: TurnDeps) -> str:
    if start.held.deaths >= DEATHS_MAX or start.held.attempt > ATTEMPTS_MAX:
        raise InternalError(
            "This message was taken up several times and could never be finished. What was done "
            "is kept; say it in another way."
        )
    model_calls_left = deps.settings.model_calls_max - len(ledger.answers)
    if model_calls_left <= 0:
        raise ModelError
    # From the record in either case: after a takeover, and after a reply that was dropped.
    so_far = replace(
        start,
        answers=ledger.answers,
        calls=list(ledger.calls.items()),
        steered=ledger.steering,
    )
    run = so_far.run_input(deps.assistant.needs)
    ledger.history = run.history
    return await deps.assistant.reply(
        run.items,
        ledger,
        start.facts,
        pending=run.pending,
        model_calls_max=model_calls_left,
    )


Afterwards = Callable[[TurnRef, TurnDeps], Awaitable[Sequence[Answer]]]
"""Something that models write once a turn is over; returns their answers."""


async def _afterwards(work: Afterwards, turn: TurnRef, deps: TurnDeps) -> None:
    """Do it, and count what it used; a failure does not change how the turn ended."""
    answers = await work(turn, deps)
    await _count_tokens(turn.principal, answers, deps)
    await _count_usage(turn, answers, deps)


async def _count_tokens(principal: Principal, answers: Sequence[Answer], deps: TurnDeps) -> None:
    """Count the tokens that models used after the turn's end against its user's limit."""
    tokens = sum(answer.input_tokens + answer.output_tokens for answer in answers)
    if not (tokens and deps.limits.tokens_per_minute):
        return
    try:
        async with deps.database.transaction(principal, Precedence.ACCEPTED) as connection:
            await deps.limits.debit_tokens(connection, principal, tokens)
    except (DatabaseError, *FAULTS):
        limiter_failed("tokens")


async def _count_usage(turn: TurnRef, answers: Sequence[Answer], deps: TurnDeps) -> None:
    """Add what models used after the turn's end to its user's usage of the day."""
    if not answers:
        return
    try:
        async with deps.database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
            await count_apart(connection, turn.principal, priced(answers, deps.prices))
    except DatabaseError:
        log.warning("usage.uncounted", turn_id=str(turn.id), model_calls=len(answers))


async def _settle_failed(
    job: Job, ledger: TurnLedger, error: ServiceError, deps: TurnDeps, request_id: str
) -> TurnState:
    job.settling = True
    ended = await settle_failed(ledger, error, deps=deps, request_id=request_id or str(job.turn.id))
    metrics.TURN_FAILURES.labels(error.code).inc()
    return ended
