"""Housekeeping, done at once."""

from taskchat.housekeeping.chores import chores_of
from taskchat.postgres.database import Database
from taskchat.settings import Settings


async def do_chores(database: Database, settings: Settings) -> None:
    """Do every chore to its end, due or not."""
    for chore in chores_of(settings):
        changed = settings.chore_rows_max
        while changed >= settings.chore_rows_max:
            async with database.spare_transaction() as connection:
                changed = await chore.batch(connection, rows_max=settings.chore_rows_max)
