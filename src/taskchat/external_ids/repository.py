"""SQL of ids that clients chose. Every statement names the owner."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.external_ids.ids import external_id, plain_id
from taskchat.postgres.database import Connection
from taskchat.principal import Principal

_CONVERSATION: Final = text(
    "SELECT id FROM conversations WHERE user_id = :owner AND id = ANY(:ids)"
    # One of our own ids before a text that looks like it.
    " ORDER BY id = :made LIMIT 1"
)
_TEXTS: Final = text(
    "SELECT id, text FROM external_ids WHERE user_id = :owner"
    " AND id = ANY(:ids) AND protocol = :protocol"
)


async def find_conversation(
    connection: Connection, principal: Principal, protocol: str, chosen: str
) -> UUID | None:
    """The principal's conversation that a client calls so, or of that very id, if there is one.

    Args:
        connection: Where to look.
        principal: Its owner.
        protocol: Whose client it is.
        chosen: What it is called.
    """
    made, plain = external_id(principal, protocol, chosen), plain_id(chosen)
    ids = [made] if plain is None else [plain, made]
    values = {"owner": principal.user_id, "ids": ids, "made": made}
    found: UUID | None = await connection.scalar(_CONVERSATION, values)
    return found


async def texts_of(
    connection: Connection, principal: Principal, protocol: str, ids: Sequence[UUID]
) -> dict[UUID, str]:
    """What clients of a protocol call conversations and messages, by the ids here."""
    values = {"owner": principal.user_id, "protocol": protocol, "ids": list(ids)}
    rows = await connection.execute(_TEXTS, values)
    return {row.id: row.text for row in rows}
