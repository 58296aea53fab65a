"""Work that is repeated for as long as the app lives."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from taskchat.errors import DatabaseError
from taskchat.telemetry import metrics

log = structlog.get_logger()


async def every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Repeat some work for ever, jittered; it goes on even if the database is away."""
    job = asyncio.current_task()
    name = job.get_name() if job else work.__name__
    while True:
        await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311
        outcome = "done"
        try:
            await work()
        except DatabaseError:
            outcome = "database_away"
            log.warning("periodic.database_away", work=work.__name__)
        except Exception:
            outcome = "crashed"
            # Otherwise nobody would notice that this work is no longer done.
            log.exception("periodic.crashed", work=work.__name__)
        metrics.PERIODIC.labels(name, outcome).inc()
