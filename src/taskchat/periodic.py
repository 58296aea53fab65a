"""Work that is repeated for as long as the app lives."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from taskchat.errors import DatabaseError

log = structlog.get_logger()


async def every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Repeat some work for ever, jittered; it goes on even if the database is away."""
    while True:
        await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311
        try:
            await work()
        except DatabaseError:
            log.warning("periodic.database_away", work=work.__name__)
        except Exception:
            # Otherwise nobody would notice that this work is no longer done.
            log.exception("periodic.crashed", work=work.__name__)
