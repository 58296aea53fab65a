"""One chat turn: begin, run, settle. The user's message outlives any failure.

A run lives in a job of its own. Whoever waits for it may leave; if its process dies, another one
takes the turn up.
"""

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import structlog

from taskchat.errors import (
    ConversationBusy,
    InternalError,
    NotFound,
    ServiceError,
    ShuttingDown,
    TurnInProgress,
    TurnNotCancellable,
)
from taskchat.limits.buckets import RateLevel
from taskchat.principal import Channel, Principal
from taskchat.settings import Settings
from taskchat.turns import store
from taskchat.turns.begin import NewMessage, begin
from taskchat.turns.deps import TurnDeps
from taskchat.turns.drive import see_through
from taskchat.turns.feedback import check_unasked, withdraw_passed_over
from taskchat.turns.jobs import Job
from taskchat.turns.resume import started
from taskchat.turns.settle import cancel
from taskchat.turns.states import TurnRef, TurnState

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AcceptedTurn:
    """A turn that will be answered, whatever becomes of its client and its process.

    Attributes:
        turn: The turn by its ids.
        state: How it ended, or that it waits for its user, if its key was used before.
        job: The job that sees it through here, if it is not over.
        replayed: Whether its key had been used before.
        rate: The tightest of the user's rate limits, if any was spent from.
    """

    turn: TurnRef
    state: TurnState | None
    job: Job | None
    replayed: bool
    rate: RateLevel | None


async def accept_turn(
    message: NewMessage,
    *,
    principal: Principal,
    deps: TurnDeps,
    acknowledge: Callable[[AcceptedTurn], None] | None = None,
) -> AcceptedTurn:
    """Accept a message: it is committed, and a job of this process sees to its answer.

    Args:
        message: What was said.
        principal: Who said it.
        deps: What a turn needs.
        acknowledge: Called with the turn before anybody is told of its events.

    Raises:
        ServiceError: as `begin`.
        AwaitingFeedback: the agent waits for an answer in the conversation.
    """
    on_question = deps.settings.feedback_new_message
    if message.channel is Channel.SCHEDULE:
        # Nobody has passed over the question: they may not even be there.
        on_question = "refuse"
    if on_question == "refuse" and message.conversation_id is not None:
        await check_unasked(
            deps.database, principal, message.conversation_id, key=message.idempotency_key
        )
    begun = await begin(
        deps.database,
        principal,
        message,
        limits=deps.limits,
        process=deps.process,
        lease_s=deps.settings.lease_s,
        queue_max=deps.settings.queue_max,
        active_max=deps.settings.active_max,
        conversations_max=deps.settings.conversations_max,
        versions_max=deps.settings.versions_max,
        needs=deps.assistant.needs,
        draining=lambda: deps.jobs.draining,
    )
    if isinstance(begun, TurnState):
        job = _job_of(begun, deps) if begun.is_under_way else None
        over = begun if job is None else None
        accepted = AcceptedTurn(begun.turn, over, job, replayed=True, rate=None)
        if acknowledge is not None:
            acknowledge(accepted)
        return accepted
    start = started(begun)
    job = deps.jobs.start(
        begun.turn,
        functools.partial(see_through, start=start, deps=deps, request_id=message.request_id),
        shows_conversation=message.shows_conversation,
    )
    accepted = AcceptedTurn(begun.turn, None, job, replayed=False, rate=begun.rate)
    if acknowledge is not None:
        acknowledge(accepted)
    deps.events.publish(begun.turn, begun.events)
    if start is None and on_question == "withdraw":
        deps.jobs.run_errand(withdraw_passed_over(begun.turn, deps))
    return accepted


async def ended_turn(accepted: AcceptedTurn, deps: TurnDeps) -> TurnState:
    """Wait until an accepted turn ends, or waits for its user; returns how far it is.

    Raises:
        ServiceError: the wait ran out; the turn goes on.
    """
    if accepted.job is None:
        assert accepted.state is not None  # noqa: S101 - there is one or the other
        return accepted.state
    if accepted.replayed:
        return await _ended(accepted.job, deps.settings.queue_timeout_s)
    return await _answered(accepted.job, deps.settings)


async def _answered(job: Job, settings: Settings) -> TurnState:
    """Wait until a new turn ends: first for its time to come, then for its run."""
    if not job.running.is_set():
        runs = asyncio.create_task(job.running.wait())
        await asyncio.wait(
            {runs, job.task},
            timeout=settings.queue_timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        runs.cancel()
        if not job.running.is_set() and not job.task.done():
            raise ConversationBusy(
                "Earlier messages of this conversation are still being answered. Yours is kept "
                "and will be answered after them; read it from the conversation.",
                conversation_id=job.turn.conversation_id,
                turn_id=job.turn.id,
                retry_after_s=5,
            )
    # A frozen owner's time has to run out before another process runs the turn from the start.
    return await _ended(job, settings.run_timeout_s + settings.lease_s + settings.lease_grace_s)


def _job_of(known: TurnState, deps: TurnDeps) -> Job:
    """The job for the turn of a repeated key: it waits for the turn, or takes it up again."""
    job = deps.jobs.get(known.turn.id)
    if job is None and deps.jobs.draining:
        raise ShuttingDown(retry_after_s=1)
    return job or deps.jobs.start(
        known.turn, functools.partial(see_through, start=None, deps=deps, request_id="")
    )


async def _ended(job: Job, timeout_s: float) -> TurnState:
    done, _ = await asyncio.wait({job.task}, timeout=timeout_s)
    if not done:
        raise TurnInProgress(
            conversation_id=job.turn.conversation_id, turn_id=job.turn.id, retry_after_s=5
        )
    if job.task.cancelled():
        raise ShuttingDown(
            conversation_id=job.turn.conversation_id, turn_id=job.turn.id, retry_after_s=1
        )
    crash = job.task.exception()
    if crash is None:
        return job.task.result()
    # A bug was logged where it happened; the turn is taken up again, and can be asked about.
    error = crash if isinstance(crash, ServiceError) else InternalError()
    error.conversation_id, error.turn_id = job.turn.conversation_id, job.turn.id
    raise error from crash.__cause__


async def cancel_turn(
    turn_id: UUID, *, principal: Principal, deps: TurnDeps, request_id: str
) -> None:
    """Stop a turn, whichever process runs it. What was done stays on record.

    Raises:
        NotFound: the principal has no such turn.
        TurnNotCancellable: it is over.
    """
    async with deps.database.transaction(principal) as connection:
        state = await store.find.by_id(connection, principal, turn_id)
    if state is None:
        raise NotFound(f"No turn {turn_id}.")
    turn = state.turn
    if not await cancel(deps.events, deps.prices, turn, request_id=request_id):
        raise TurnNotCancellable(conversation_id=turn.conversation_id, turn_id=turn.id)
    deps.wakeups.wake(turn.conversation_id, turn.number, turn.number + 1)
    log.info("turn.cancelled", turn_id=str(turn.id))
