"""Signs of life, and taking over from those who give none. Only the database's clock decides."""

import asyncio

import structlog

from taskchat.periodic import every
from taskchat.turns import claims
from taskchat.turns.deps import TurnDeps
from taskchat.turns.drive import adopt_turn

log = structlog.get_logger()

ADOPTED_AT_ONCE = 20
"""Turns that one process takes in one transaction; its neighbours take others meanwhile."""


def lease_jobs(deps: TurnDeps) -> list[asyncio.Task[None]]:
    """The jobs of this module, started; cancel them to stop."""

    async def renew() -> None:
        await renew_leases(deps)

    async def sweep() -> None:
        await sweep_dead_turns(deps)

    third = deps.settings.lease_s / 3
    return [
        asyncio.create_task(every(third, renew), name="lease: renew"),
        asyncio.create_task(every(third, sweep), name="lease: sweep"),
    ]


async def renew_leases(deps: TurnDeps) -> None:
    """Renew the leases of all turns that are held here, in one statement; stop runs that lost."""
    held = {turn.id: (turn, attempt) for turn, attempt in deps.jobs.held()}
    if not held:
        return
    async with deps.database.system_transaction() as connection:
        renewed = await claims.renew(connection, held.values(), lease_s=deps.settings.lease_s)
    for turn_id in held.keys() - renewed:
        job = deps.jobs.get(turn_id)
        if job is not None and job.attempt == held[turn_id][1]:
            job.interrupt()


async def sweep_dead_turns(deps: TurnDeps) -> None:
    """Take up turns whose owners died, anybody's, until there are none."""
    found = ADOPTED_AT_ONCE
    while found == ADOPTED_AT_ONCE and not deps.jobs.draining:
        async with deps.database.system_transaction() as connection:
            adopted = await claims.adopt(
                connection,
                process=deps.process,
                lease_s=deps.settings.lease_s,
                turns_max=ADOPTED_AT_ONCE,
                # A job that waits here for a dead owner claims the turn itself; taken from under
                # it, the turn would have a lease and nobody who runs it.
                here=deps.jobs.turn_ids(),
            )
        found = len(adopted)
        for held in adopted:
            log.info(
                "turn.adopted",
                turn_id=str(held.turn.id),
                attempt=held.attempt,
                deaths=held.deaths,
            )
            adopt_turn(held, deps=deps)


async def release_leases(deps: TurnDeps) -> None:
    """Hand over what is unfinished, so that others take it up at once."""
    async with deps.database.system_transaction() as connection:
        released = await claims.release(connection, process=deps.process)
    if released:
        log.info("lease.released", turns=released)
