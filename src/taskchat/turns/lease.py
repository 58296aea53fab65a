"""Takes up turns whose owners are lost or that have waited long enough, and stops lost runs."""

import asyncio

import structlog

from taskchat.periodic import every
from taskchat.turns import store
from taskchat.turns.deps import TurnDeps
from taskchat.turns.drive import adopt_turn
from taskchat.turns.feedback import sweep_feedback

log = structlog.get_logger()

ADOPTED_AT_ONCE = 20
"""Turns that one process takes in one transaction; other processes take others meanwhile."""


def lease_jobs(deps: TurnDeps) -> list[asyncio.Task[None]]:
    """Start the periodic jobs of this module; cancel them to stop."""

    async def look_after() -> None:
        await stop_lost_runs(deps)

    async def sweep() -> None:
        await sweep_lost_turns(deps)

    async def sweep_asked() -> None:
        await sweep_feedback(deps)

    return [
        asyncio.create_task(every(deps.lease.seconds / 3, look_after), name="lease: look after"),
        asyncio.create_task(every(deps.lease.seconds / 3, sweep_asked), name="feedback: sweep"),
        asyncio.create_task(every(deps.lease.beat_s, sweep), name="lease: sweep"),
    ]


async def stop_lost_runs(deps: TurnDeps) -> None:
    """Stop runs whose turns are over or run elsewhere, in case no notification said so."""
    held = {turn.id: (turn, attempt) for turn, attempt in deps.jobs.held()}
    if not held:
        return
    async with deps.database.system_transaction() as connection:
        still_held = await store.claim.still_held(connection, held.values())
    for turn_id in held.keys() - still_held:
        job = deps.jobs.get(turn_id)
        if job is not None and job.attempt == held[turn_id][1]:
            job.interrupt()


async def sweep_lost_turns(deps: TurnDeps) -> None:
    """Take up turns of any user whose owners are lost, until there are none."""
    found = ADOPTED_AT_ONCE
    while found == ADOPTED_AT_ONCE and not deps.jobs.draining:
        async with deps.database.system_transaction() as connection:
            adopted = await store.claim.adopt(
                connection,
                process=deps.process,
                lease=deps.lease,
                turns_max=ADOPTED_AT_ONCE,
                # A job that waits here for a lost owner claims the turn itself. If the sweep took
                # it first, the turn would have an owner and nobody to run it.
                here=deps.jobs.turn_ids(),
            )
        found = len(adopted)
        for held in adopted:
            adopt_turn(held, deps=deps)


async def release_turns(deps: TurnDeps) -> None:
    """Release unfinished turns, so that other processes take them up at once."""
    async with deps.database.system_transaction() as connection:
        released = await store.claim.release(connection, process=deps.process)
    if released:
        log.info("lease.released", turns=released)
