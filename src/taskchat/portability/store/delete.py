"""SQL that deletes what a user has, in steps."""

from collections.abc import Sequence
from typing import Final, Literal, get_args
from uuid import UUID

from sqlalchemy import TextClause, text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal
from taskchat.turns.models import UNFINISHED, one_of

FORGOTTEN_CHANNEL: Final = "taskchat_forgotten"
"""Payload: the process that deleted a user's data, and the user's id."""

Table = Literal[
    "shares", "schedules", "webhook_deliveries", "webhooks", "turns", "conversations", "tasks"
]

TABLES: Final[tuple[Table, ...]] = get_args(Table)
"""What may be too much for one statement, in the order in which it is deleted, each row with all
that hangs on it: links first, so that nobody reads what is left; then what would say more."""

_UNFINISHED = text(
    "SELECT id, conversation_id, number FROM turns WHERE user_id = :owner"
    f" AND {one_of('status', UNFINISHED)}"
    # The newest first: of a queue, none is woken only to be cancelled.
    " ORDER BY conversation_id, number DESC LIMIT :rows_max"
)
_DELETE_SOME: Final[dict[Table, TextClause]] = {
    table: text(
        f"DELETE FROM {table} WHERE user_id = :owner"
        f" AND id IN (SELECT id FROM {table} WHERE user_id = :owner LIMIT :rows_max)"
    )
    for table in TABLES
}
_DELETE_USER = text(
    "DELETE FROM users WHERE id = :owner RETURNING pg_notify(:channel, :process || ' ' || id)"
)


async def unfinished_turns(
    connection: Connection, principal: Principal, *, rows_max: int
) -> Sequence[AnyRow]:
    """Turns of the principal's that are under way or wait."""
    values = {"owner": principal.user_id, "rows_max": rows_max}
    return (await connection.execute(_UNFINISHED, values)).all()


async def delete_some(
    connection: Connection, principal: Principal, table: Table, *, rows_max: int
) -> int:
    """Delete rows of a table, each with all that hangs on it; returns how many."""
    values = {"owner": principal.user_id, "rows_max": rows_max}
    return await connection.change(_DELETE_SOME[table], values)


async def delete_user(connection: Connection, principal: Principal, *, process: UUID) -> None:
    """Delete the principal's row with all that is left, and let every process know."""
    values = {
        "owner": principal.user_id,
        "process": str(process),
        "channel": FORGOTTEN_CHANNEL,
    }
    await connection.execute(_DELETE_USER, values)
