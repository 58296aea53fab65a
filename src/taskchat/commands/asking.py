"""What a command asks the database once, before its own work."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from taskchat.settings import Settings

if TYPE_CHECKING:
    from taskchat.postgres.database import Database

Answer = TypeVar("Answer")


def asked(settings: Settings, ask: "Callable[[Database], Awaitable[Answer]]") -> Answer:
    """What somebody finds in the database, with a connection that is closed again.

    Args:
        settings: With the database's address.
        ask: Finds it.
    """
    # Not every command that could ask does.
    from taskchat.postgres.database import Database

    assert settings.database_url is not None  # noqa: S101 - checked by the callers
    url = settings.database_url.get_secret_value()

    async def answer() -> Answer:
        database = Database(url, settings)
        try:
            return await ask(database)
        finally:
            await database.close()

    return asyncio.run(answer())
