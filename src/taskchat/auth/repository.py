"""SQL of users. Every statement concerns the caller only."""

from typing import Final

from sqlalchemy import text

from taskchat.postgres.database import Connection
from taskchat.principal import Principal

_INSERT: Final = text("INSERT INTO users (id) VALUES (:owner) ON CONFLICT DO NOTHING")


async def know(connection: Connection, principal: Principal) -> None:
    """Make the principal's row, if there is none."""
    await connection.execute(_INSERT, {"owner": principal.user_id})
