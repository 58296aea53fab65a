"""Does the chores that are due. Each is done by one process at a time, once an interval.

It never stands in a turn's way: it goes last in the line for connections, by batches that are small
and short, with a pause after each.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

import structlog

from taskchat.errors import DatabaseError
from taskchat.housekeeping import repository
from taskchat.housekeeping.chores import Chore
from taskchat.housekeeping.repository import ChoreLost, Taken
from taskchat.postgres.database import Database
from taskchat.settings import Settings
from taskchat.telemetry import metrics

log = structlog.get_logger()

LOOKS_AN_INTERVAL: Final = 5
"""How often each process looks in an interval: what a dead one left is not left for long."""

LATE_INTERVALS: Final = 12
"""A chore that was not done for so many intervals, an hour by default, is not just waiting."""

HALVINGS_MAX: Final = 4
"""A batch that fails may be too much at once. Each further failure halves it, down to a sixteenth:
with less, a backlog would grow faster than it is worked down."""


class Keeper:
    """Keeps house for one process.

    Args:
        database: Whose house it is.
        process: This process.
        chores: What has to be done.
        settings: For the size of a batch, and how long a silent process keeps what it has taken.
    """

    def __init__(
        self, database: Database, process: UUID, chores: Sequence[Chore], settings: Settings
    ) -> None:
        self._database = database
        self._process = process
        self._chores = {chore.name: chore for chore in chores}
        self._rows_max = settings.chore_rows_max
        self._hold_s = settings.lease_s + settings.lease_grace_s

    async def keep_house(self) -> None:
        """Do what is due, one after another, until nothing is.

        Raises:
            DatabaseError: what is due can't be told.
        """
        while (taken := await self._take()) is not None:
            await self._do(taken)
        async with self._database.spare_transaction() as connection:
            found = await repository.standings(connection, self._chores, late_s=0)
        for row in found:
            if row.finished_at is not None:
                metrics.CHORE_FINISHED.labels(row.name).set(row.finished_at.timestamp())

    async def _take(self) -> Taken | None:
        async with self._database.spare_transaction() as connection:
            return await repository.take(
                connection, self._chores, process=self._process, hold_s=self._hold_s
            )

    async def _do(self, taken: Taken) -> None:
        """Do a chore. Whatever comes of it, the others are done."""
        began, rows, batches, outcome = time.monotonic(), 0, 0, "done"
        chore = self._chores[taken.name]
        if taken.left_by is not None:
            log.info("chore.taken_over", chore=chore.name, left_by=str(taken.left_by))
        try:
            async for changed in self._batches(chore, taken):
                metrics.CHORE_ROWS.labels(chore.name).inc(changed)
                rows, batches = rows + changed, batches + 1
        except ChoreLost:
            outcome = "lost"
            log.info("chore.lost", chore=chore.name, rows=rows)
        except DatabaseError as error:
            outcome = "failed"
            reason = type(error.__cause__ or error).__name__
            log.warning("chore.failed", chore=chore.name, error=reason, failures=taken.failures + 1)
            await self._fail(chore, taken, reason)
        except Exception as error:
            # One chore's bug is no reason to leave the others undone.
            outcome = "failed"
            log.exception("chore.crashed", chore=chore.name)
            await self._fail(chore, taken, type(error).__name__)
        else:
            took = {"duration_ms": round((time.monotonic() - began) * 1000)}
            if rows:
                log.info("chore.done", chore=chore.name, rows=rows, batches=batches, **took)
            else:
                log.debug("chore.done", chore=chore.name, rows=0, batches=batches, **took)
        metrics.CHORE_RUNS.labels(chore.name, outcome).inc()
        metrics.CHORE_SECONDS.labels(chore.name).observe(time.monotonic() - began)

    async def _batches(self, chore: Chore, taken: Taken) -> AsyncIterator[int]:
        """Do a chore batch by batch, each in a transaction; yields the rows of each."""
        rows_max = max(1, self._rows_max >> min(taken.failures, HALVINGS_MAX))
        rows, more = 0, True
        while more:
            async with self._database.spare_transaction() as connection:
                began = time.monotonic()
                await repository.hold(connection, taken, hold_s=self._hold_s)
                changed = await chore.batch(connection, rows_max=rows_max)
                rows, more = rows + changed, changed >= rows_max
                if not more:
                    await repository.finish(connection, taken, rows=rows, every_s=chore.every_s)
            took_s = time.monotonic() - began
            yield changed
            if more:
                # However long the backlog, the database is left alone for half of the time.
                await asyncio.sleep(took_s)

    async def _fail(self, chore: Chore, taken: Taken, error: str) -> None:
        # If the database is away, it is free again when it is no longer held.
        with contextlib.suppress(DatabaseError):
            async with self._database.spare_transaction() as connection:
                await repository.fail(connection, taken, error=error, every_s=chore.every_s)
