"""SQL of which turn follows which. Every statement names the owner."""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.turns.states import TurnRef

# A path holds the numbers of the turns before; where there is one branch, there is none.
_BEFORE: Final = "CASE WHEN {t}.path IS NULL THEN {t}.number - 1 ELSE upper({t}.path) - 1 END"

_FOLLOWED: Final = text(
    "SELECT p.id, (SELECT count(*) FROM feedback_requests AS f WHERE f.user_id = :owner"
    " AND f.turn_id = p.id AND f.status NOT IN ('open', 'withdrawn')) AS answered"
    " FROM turns AS t JOIN turns AS p ON p.user_id = :owner"
    f" AND p.conversation_id = t.conversation_id AND p.number = {_BEFORE.format(t='t')}"
    " WHERE t.user_id = :owner AND t.id = :turn"
)
_FOLLOWER: Final = text(
    "SELECT t.id FROM turns AS t WHERE t.user_id = :owner AND t.conversation_id = :conversation"
    f" AND t.number > :number AND t.version_of IS NULL AND {_BEFORE.format(t='t')} = :number"
    " ORDER BY t.number LIMIT 1"
)


async def followed(connection: Connection, turn: TurnRef) -> AnyRow | None:
    """The turn that a turn goes on from.

    Returns:
        id; answered, how often its user has answered what it asked. None if there is no such turn.
    """
    rows = await connection.execute(_FOLLOWED, {"owner": turn.principal.user_id, "turn": turn.id})
    return rows.one_or_none()


async def follower(connection: Connection, turn: TurnRef) -> UUID | None:
    """The turn with the first version of what was said after a turn, if anything was."""
    values = {
        "owner": turn.principal.user_id,
        "conversation": turn.conversation_id,
        "number": turn.number,
    }
    found: UUID | None = await connection.scalar(_FOLLOWER, values)
    return found
