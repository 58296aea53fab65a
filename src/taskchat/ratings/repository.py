"""SQL of ratings. Every statement names the owner."""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import Connection
from taskchat.principal import Principal
from taskchat.ratings.schemas import NewRating, RatingOut

_ROLE: Final = text("SELECT role FROM messages WHERE user_id = :owner AND id = :message")
_RATE: Final = text(
    "INSERT INTO ratings AS r (user_id, message_id, value, comment)"
    " VALUES (:owner, :message, :value, :comment) ON CONFLICT (user_id, message_id)"
    # The same again is no news.
    " DO UPDATE SET value = excluded.value, comment = excluded.comment, rated_at = CASE"
    " WHEN (r.value, r.comment) IS NOT DISTINCT FROM (excluded.value, excluded.comment)"
    " THEN r.rated_at ELSE now() END RETURNING value, comment, rated_at"
)
_UNRATE: Final = text("DELETE FROM ratings WHERE user_id = :owner AND message_id = :message")


async def role_of(connection: Connection, principal: Principal, message_id: UUID) -> str | None:
    """Who said a message of the principal's; None if there is no such message."""
    values = {"owner": principal.user_id, "message": message_id}
    role: str | None = await connection.scalar(_ROLE, values)
    return role


async def rate(
    connection: Connection, principal: Principal, message_id: UUID, rating: NewRating
) -> RatingOut:
    """Keep a rating, in place of the one before."""
    values = {"owner": principal.user_id, "message": message_id, **rating.model_dump()}
    row = (await connection.execute(_RATE, values)).one()
    return RatingOut.model_construct(**row)


async def unrate(connection: Connection, principal: Principal, message_id: UUID) -> None:
    """Forget a rating, if there is one."""
    await connection.change(_UNRATE, {"owner": principal.user_id, "message": message_id})
