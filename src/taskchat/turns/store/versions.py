"""SQL of messages that come in several versions. Every statement names the owner."""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal
from taskchat.tasks.tools import LOOKING
from taskchat.turns.states import TurnRef, Version

_MESSAGE: Final = text(
    "SELECT m.role, m.position, m.conversation_id, said.content,"
    " CASE WHEN t.version_of IS NULL THEN t.id ELSE (SELECT first.id FROM turns AS first"
    " WHERE first.user_id = :owner AND first.conversation_id = t.conversation_id"
    " AND first.number = t.version_of) END AS first_version"
    " FROM messages AS m JOIN turns AS t ON t.user_id = :owner AND t.id = m.turn_id"
    " JOIN messages AS said"
    " ON said.user_id = :owner AND said.turn_id = m.turn_id AND said.position = 0"
    " WHERE m.user_id = :owner AND m.id = :message"
)
_TOLD: Final = text("SELECT * FROM turn_version_1(:owner, :turn, :looking)")


async def find_message(
    connection: Connection, principal: Principal, message_id: UUID
) -> AnyRow | None:
    """A message of the principal's.

    Returns:
        role; position; conversation_id; content, what the user said in its turn; first_version, the
        turn with the first version of that. None if there is no such message.
    """
    rows = await connection.execute(_MESSAGE, {"owner": principal.user_id, "message": message_id})
    return rows.one_or_none()


async def told(connection: Connection, turn: TurnRef) -> Version:
    """What is told of a turn that is another version of an earlier one."""
    rows = await connection.execute(
        _TOLD, {"owner": turn.principal.user_id, "turn": turn.id, "looking": list(LOOKING)}
    )
    row = rows.one()
    return Version(row.version_of, row.version, row.follows, row.changes_kept)
