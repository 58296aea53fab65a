"""SQL that finds turns. Every statement names the owner."""

from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, bindparam, select, text

from taskchat.conversations.models import Message
from taskchat.postgres.database import AnyRow, Connection, table_of
from taskchat.principal import Principal
from taskchat.turns.models import Turn
from taskchat.turns.states import TurnRef, TurnState

_turns = table_of(Turn)
_messages = table_of(Message)
_WHOLE = select(_turns).where(
    _turns.c.user_id == bindparam("owner"), _turns.c.id == bindparam("turn")
)
_TEXTS = (
    select(_messages.c.content)
    .where(_messages.c.user_id == bindparam("owner"), _messages.c.turn_id == bindparam("turn"))
    .order_by(_messages.c.position)
)
_BY_KEY = text(
    "SELECT id, conversation_id, number, status, result, fingerprint FROM turns"
    " WHERE user_id = :owner AND idempotency_key = :key"
)
_BY_ID = text(
    "SELECT id, conversation_id, number, status, result, fingerprint FROM turns"
    " WHERE user_id = :owner AND id = :turn"
)


async def by_key(connection: Connection, principal: Principal, key: str) -> TurnState | None:
    """The principal's turn that began with this key."""
    return await _state(connection, principal, _BY_KEY, {"key": key})


async def by_id(connection: Connection, principal: Principal, turn_id: UUID) -> TurnState | None:
    """The principal's turn of this id."""
    return await _state(connection, principal, _BY_ID, {"turn": turn_id})


async def _state(
    connection: Connection,
    principal: Principal,
    statement: TextClause,
    values: dict[str, Any],
) -> TurnState | None:
    rows = await connection.execute(statement, {"owner": principal.user_id, **values})
    row = rows.one_or_none()
    if row is None:
        return None
    id_, conversation_id, number, status, result, fingerprint = row
    return TurnState(TurnRef(principal, id_, conversation_id, number), status, result, fingerprint)


async def whole(connection: Connection, principal: Principal, turn_id: UUID) -> AnyRow | None:
    """All columns of the principal's turn of this id."""
    rows = await connection.execute(_WHOLE, {"owner": principal.user_id, "turn": turn_id})
    return rows.one_or_none()


async def texts(connection: Connection, principal: Principal, turn_id: UUID) -> list[str]:
    """What was said in a turn: the user's message, and the reply if there is one."""
    rows = await connection.execute(_TEXTS, {"owner": principal.user_id, "turn": turn_id})
    return list(rows.scalars())
