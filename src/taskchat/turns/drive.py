"""Driving a turn to its end: run it here once its time has come, or wait while others run it."""

import asyncio
import contextlib
import functools
from typing import Final

import structlog

from taskchat.errors import DatabaseError
from taskchat.postgres.line import Precedence
from taskchat.telemetry import metrics
from taskchat.turns import store
from taskchat.turns.attempt import run_turn
from taskchat.turns.deps import TurnDeps
from taskchat.turns.jobs import Job
from taskchat.turns.ledger import TurnLost
from taskchat.turns.resume import StartedTurn, claim_turn, read_adopted, turn_deleted
from taskchat.turns.states import Claim, TurnState
from taskchat.turns.wakeups import pause

log = structlog.get_logger()

GIVE_BACK_S: Final = 0.5
"""Wait between attempts to give a turn back; the database was away a moment ago."""


async def see_through(
    job: Job,
    *,
    start: StartedTurn | None,
    deps: TurnDeps,
    request_id: str,
    adopted: Claim | None = None,
) -> TurnState:
    """See the turn through: run it once its time has come, wait while another process does.

    Returns:
        How it ended; or that it waits for its user, and for nobody here.

    Raises:
        DatabaseError: while it ran here; it is given back, and a sweeper takes it up.
        NotFound: its conversation was deleted.
    """
    turn = job.turn
    # The job has a context of its own, and goes on when the request that began it is answered.
    structlog.contextvars.bind_contextvars(
        turn_id=str(turn.id), conversation_id=str(turn.conversation_id)
    )
    if request_id:
        structlog.contextvars.bind_contextvars(request_id=request_id)
    if adopted is not None:
        try:
            start = await read_adopted(deps.database, adopted, needs=deps.assistant.needs)
        except DatabaseError:
            deps.jobs.run_errand(give_back(adopted, deps))
            raise
    with deps.wakeups.waiting(turn.conversation_id, turn.number) as woken:
        while True:
            if start is not None:
                try:
                    ended = await job.run(
                        start.held, run_turn(job, start, deps=deps, request_id=request_id)
                    )
                except TurnLost:
                    ended = None
                except DatabaseError:
                    deps.jobs.run_errand(give_back(start.held, deps))
                    raise
                if ended is not None:
                    return ended
                metrics.TURNS_LOST.inc()
                log.info("turn.lost", turn_id=str(turn.id), attempt=start.held.attempt)
                start = None
            try:
                found = await claim_turn(
                    deps.database,
                    turn,
                    process=deps.process,
                    lease=deps.lease,
                    needs=deps.assistant.needs,
                )
            except DatabaseError:
                await pause(woken)
                continue
            if isinstance(found, StartedTurn):
                start = found
                note_takeover(found.held)
                continue
            if found is None:
                raise turn_deleted()
            if not found.is_under_way:
                return found
            if found.status == "running":
                job.running.set()
            await pause(woken)


async def give_back(held: Claim, deps: TurnDeps) -> None:
    """Give back a turn that this process took and does not run, as soon as the database allows it.

    This is not a death, because the process lives; and the turn need not wait for its lease.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(deps.settings.lease_s):
            while True:
                try:
                    async with deps.database.transaction(
                        held.turn.principal, Precedence.ACCEPTED
                    ) as connection:
                        await store.claim.give_back(connection, held)
                except DatabaseError:
                    await asyncio.sleep(GIVE_BACK_S)
                else:
                    return


def note_takeover(held: Claim) -> None:
    """Record that this process took a turn up, and why that turn was free."""
    if held.taken is not None:
        metrics.TAKEOVERS.labels(held.taken.reason).inc()
        log.info(
            "turn.adopted",
            turn_id=str(held.turn.id),
            attempt=held.attempt,
            deaths=held.deaths,
            reason=held.taken.reason,
            left_by=str(held.taken.left_by),
        )


def adopt_turn(held: Claim, *, deps: TurnDeps) -> None:
    """See through a turn that the sweeper took."""
    note_takeover(held)
    if deps.jobs.get(held.turn.id) is not None:
        # It was asked for here after the sweeper looked, and that job claims the turn itself.
        deps.jobs.run_errand(give_back(held, deps))
    else:
        deps.jobs.start(
            held.turn,
            functools.partial(see_through, start=None, deps=deps, request_id="", adopted=held),
        )
