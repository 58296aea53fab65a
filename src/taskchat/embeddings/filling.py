"""Makes the vectors of what was said before a model was in use, or by another one."""

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import UUID

from taskchat.assistant.embedding import EmbeddingError
from taskchat.embeddings import repository
from taskchat.embeddings.making import REST_S_MAX, EmbeddingMaker
from taskchat.postgres.database import Database
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal

ROWS_AT_ONCE: Final = 1000
"""Messages looked at in one transaction."""

FAILURES_MAX: Final = 7
"""A model that gave no vectors so often in a row is away: a limit by the minute is over by then."""

LOOK_S: Final = 1.0
"""How often to look whether another process has made what it took; how long a model that failed is
left alone, twice as long each time, or as long as it asks for."""

FIRST: Final = UUID(int=0)


async def queue_all(database: Database, model: str) -> None:
    """Queue every message of every user that lacks a vector."""
    async with database.spare_transaction() as connection:
        await repository.want(connection, model)
        await repository.retry_left_alone(connection, model)
        user = await repository.next_user(connection, "")
    while user is not None:
        principal, after = Principal(user), FIRST
        while after is not None:
            async with database.transaction(principal, Precedence.SPARE) as connection:
                last = await repository.queue_lacking(
                    connection, principal, model, after=after, rows_max=ROWS_AT_ONCE
                )
            if last is None:
                break
            after = last
        async with database.spare_transaction() as connection:
            user = await repository.next_user(connection, user)


async def count_unmade(database: Database, model: str) -> tuple[int, int]:
    """How many messages wait for their vectors, and how many were left alone."""
    async with database.spare_transaction() as connection:
        return await repository.count_unmade(connection, model)


async def make_all(
    database: Database, maker: EmbeddingMaker, model: str, *, progress: Callable[[int], None]
) -> bool:
    """Make all that waits, beside whoever makes some of it too.

    Args:
        database: Where they wait.
        maker: What makes them.
        model: By which model.
        progress: Called with how many still wait.

    Returns:
        Whether nothing waits any more; False if the model is away.
    """
    failures = 0
    while left := (await count_unmade(database, model))[0]:
        progress(left)
        if not await maker.make_some():
            await asyncio.sleep(LOOK_S)
            continue
        if maker.failure is None:
            failures = 0
            continue
        failures += 1
        if failures == FAILURES_MAX or maker.failure.lasts:
            return False
        await asyncio.sleep(rest_s(maker.failure, failures))
    progress(0)
    return True


def rest_s(failure: EmbeddingError, failures: int) -> float:
    """How long to leave a model alone that failed so often in a row."""
    return max(min(REST_S_MAX, failure.retry_after_s), LOOK_S * 2.0 ** (failures - 1))


async def forget_others(database: Database, model: str) -> int:
    """Delete the vectors of all other models; returns how many."""
    async with database.spare_transaction() as connection:
        await repository.want_no_others(connection, model)
    deleted, some = 0, ROWS_AT_ONCE
    while some == ROWS_AT_ONCE:
        async with database.spare_transaction() as connection:
            some = await repository.forget_others(connection, model, rows_max=ROWS_AT_ONCE)
        deleted += some
    return deleted
