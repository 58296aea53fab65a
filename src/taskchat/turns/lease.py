"""Signs of life, and taking over from those who give none. Only the database's clock decides."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from taskchat.db import Database
from taskchat.errors import DatabaseError
from taskchat.turns import claims
from taskchat.turns.deps import TurnDeps
from taskchat.turns.turn import adopt_turn

log = structlog.get_logger()

ADOPTED_AT_ONCE = 20
"""Turns that one process takes in one transaction; its neighbours take others meanwhile."""

KEYS_AT_ONCE = 1000
"""Expired keys forgotten in one transaction, so that none of them is long."""

KEYS_EVERY_S = 600.0
"""An expired key that lives ten minutes longer harms nobody."""


async def every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Repeat some work for ever, jittered; a database that is away is no reason to stop."""
    while True:
        await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311
        try:
            await work()
        except DatabaseError:
            log.warning("lease.database_away", work=work.__name__)
        except Exception:
            # Nobody would notice that this process takes up no more dead turns.
            log.exception("lease.crashed", work=work.__name__)


def lease_jobs(deps: TurnDeps) -> list[asyncio.Task[None]]:
    """The jobs of this module, started; cancel them to stop."""

    async def renew() -> None:
        await renew_leases(deps)

    async def sweep() -> None:
        await sweep_dead_turns(deps)

    async def forget() -> None:
        await forget_keys(deps.database, deps.settings.idempotency_retention_h)

    third = deps.settings.lease_s / 3
    return [
        asyncio.create_task(every(third, renew), name="lease: renew"),
        asyncio.create_task(every(third, sweep), name="lease: sweep"),
        asyncio.create_task(every(KEYS_EVERY_S, forget), name="lease: forget keys"),
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


async def forget_keys(database: Database, retention_h: int) -> None:
    """Forget idempotency keys whose time is over; their turns stay."""
    forgotten = KEYS_AT_ONCE
    while forgotten == KEYS_AT_ONCE:
        async with database.system_transaction() as connection:
            forgotten = await claims.forget_keys(
                connection, retention_h=retention_h, keys_max=KEYS_AT_ONCE
            )


async def release_leases(deps: TurnDeps) -> None:
    """Hand over what is unfinished, so that others take it up at once."""
    async with deps.database.system_transaction() as connection:
        released = await claims.release(connection, process=deps.process)
    if released:
        log.info("lease.released", turns=released)
