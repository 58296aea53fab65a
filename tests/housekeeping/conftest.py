"""Chores of tests, which no other process knows, on rows of one user."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.factories import Person, person_in

from taskchat.housekeeping.chores import Chore
from taskchat.housekeeping.keeper import Keeper
from taskchat.moments import new_id
from taskchat.postgres.database import Connection, Database
from taskchat.settings import Settings

_FORGET = text(
    "DELETE FROM rate_buckets WHERE (user_id, scope) IN (SELECT user_id, scope FROM rate_buckets"
    " WHERE user_id = :owner LIMIT :rows_max FOR UPDATE SKIP LOCKED)"
)


class House:
    """A chore that deletes a user's rate buckets, and processes that do it.

    Attributes:
        chore: The chore.
        batches: Of each batch, how many rows it was allowed and how many it had.
        during: Called in each batch with the number of those before; by default does nothing.
    """

    def __init__(self, superuser: AsyncEngine, settings: Settings, person: Person) -> None:
        self._superuser = superuser
        self._settings = settings
        self._person = person
        self._databases: list[Database] = []
        self.batches: list[tuple[int, int]] = []
        self.during: Callable[[int], Awaitable[None]] | None = None
        self.chore = Chore(f"test_{new_id().hex}", 300, self._batch)

    async def _batch(self, connection: Connection, /, *, rows_max: int) -> int:
        if self.during is not None:
            await self.during(len(self.batches))
        values = {"owner": self._person.user_id, "rows_max": rows_max}
        changed = await connection.change(_FORGET, values)
        self.batches.append((rows_max, changed))
        return changed

    async def fill(self, rows: int) -> None:
        """Give the chore this much to do."""
        async with self._superuser.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO rate_buckets (user_id, scope, per_minute, level, updated_at)"
                    " SELECT :owner, 'test:' || n, 1, 1, now() FROM generate_series(1, :rows) AS n"
                ),
                {"owner": self._person.user_id, "rows": rows},
            )

    def database(self, **changes: Any) -> Database:
        """The pool of one more process."""
        settings = self._settings.model_copy(update=changes)
        assert settings.database_url is not None
        database = Database(settings.database_url.get_secret_value(), settings)
        self._databases.append(database)
        return database

    def keeper(
        self, *more: Chore, database: Database | None = None, **changes: Any
    ) -> tuple[Keeper, str]:
        """One more process that does the chore and these; returns its id as well."""
        process = new_id()
        settings = self._settings.model_copy(update={"chore_rows_max": 10, **changes})
        keeper = Keeper(database or self.database(), process, [self.chore, *more], settings)
        return keeper, str(process)

    async def record(self, chore: Chore | None = None) -> Any:
        """What the database has of the chore."""
        async with self._superuser.connect() as connection:
            found = await connection.execute(
                text("SELECT *, due_at - now() AS due_in FROM chores WHERE name = :name"),
                {"name": (chore or self.chore).name},
            )
            return found.one()

    async def change(self, changes: str) -> None:
        """Change what the database has of the chore, as time would."""
        async with self._superuser.begin() as connection:
            await connection.execute(
                text(f"UPDATE chores SET {changes} WHERE name = :name"), {"name": self.chore.name}
            )

    async def close(self) -> None:
        """Close all pools."""
        await asyncio.gather(*(database.close() for database in self._databases))


@pytest.fixture
async def house(
    superuser: AsyncEngine, settings: Settings, database: Database
) -> AsyncIterator[House]:
    """A chore, and nobody who does it yet."""
    house = House(superuser, settings, await person_in(database))
    yield house
    await house.close()
