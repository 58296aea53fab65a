"""SQL of messages, with the tool calls of their turns. Every statement names the owner."""

import json
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text

from taskchat.conversations.schemas import MessageOut, ToolCallOut
from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal


def _page(beyond: str, order: str) -> TextClause:
    """A page of messages, in one statement: first which ones, then what belongs to them."""
    fields = ", ".join(f"'{name}', c.{name}" for name in ToolCallOut.model_fields)
    return text(
        "SELECT m.turn_number, m.position, m.id, m.role, m.content, m.created_at, called.calls"
        " FROM (SELECT * FROM messages WHERE user_id = :owner AND conversation_id = :conversation"
        f" AND (turn_number, position) {beyond} (:turn, :position)"
        f" ORDER BY turn_number {order}, position {order} LIMIT :rows_max) AS m"
        " LEFT JOIN LATERAL ("
        f"SELECT json_agg(json_build_object({fields}) ORDER BY c.position) AS calls"
        " FROM tool_calls AS c WHERE c.user_id = :owner AND c.turn_id = m.turn_id"
        # With the last message of the turn: the reply, or what got none.
        " AND m.position = (SELECT max(last.position) FROM messages AS last"
        " WHERE last.user_id = :owner AND last.turn_id = m.turn_id)) AS called ON true"
        f" ORDER BY m.turn_number {order}, m.position {order}"
    )


_NEWEST: Final = _page("<", "DESC")
_FOLLOWING: Final = _page(">", "ASC")

Place = tuple[int, int]
"""Where a message stands: turn number, position."""


def _message(row: AnyRow) -> tuple[Place, MessageOut]:
    return (row.turn_number, row.position), MessageOut.model_construct(
        id=row.id,
        role=row.role,
        content=row.content,
        created_at=row.created_at,
        tool_calls=[ToolCallOut.model_validate(call) for call in json.loads(row.calls or "[]")],
    )


async def messages_before(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    before: Place,
    limit: int,
) -> list[tuple[Place, MessageOut]]:
    """The newest messages before a place, in order."""
    rows = await connection.execute(
        _NEWEST,
        {
            "owner": principal.user_id,
            "conversation": conversation_id,
            "turn": before[0],
            "position": before[1],
            "rows_max": limit,
        },
    )
    return [_message(row) for row in rows][::-1]


async def messages_after(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    after: Place,
    limit: int,
) -> list[tuple[Place, MessageOut]]:
    """The oldest messages after a place, in order."""
    rows = await connection.execute(
        _FOLLOWING,
        {
            "owner": principal.user_id,
            "conversation": conversation_id,
            "turn": after[0],
            "position": after[1],
            "rows_max": limit,
        },
    )
    return [_message(row) for row in rows]
