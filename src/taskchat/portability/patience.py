"""Work in many short transactions: once it has begun, a database that is away is waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from taskchat.errors import DatabaseError, ParentGone

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often a step is tried before the whole is given up; a restart of Postgres is waited for."""

WAIT_S: Final = 1.0
"""Time between two attempts."""


async def patiently(step: Callable[[], Awaitable[T]], *, attempts: int = ATTEMPTS) -> T:
    """Do a step that may be repeated, again if the database fails.

    Raises:
        ParentGone: what it belongs to is not there any more.
        DatabaseError: it failed every time.
    """
    for _ in range(attempts - 1):
        try:
            return await step()
        except ParentGone:
            # Waiting brings nothing back.
            raise
        except DatabaseError:
            await asyncio.sleep(WAIT_S)
    return await step()
