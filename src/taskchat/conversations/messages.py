"""SQL of messages, with the tool calls of their turns. Every statement names the owner."""

from typing import Any
from uuid import UUID

from sqlalchemy import JSON, bindparam, literal_column, select, tuple_

from taskchat.conversations.models import Message, ToolCall
from taskchat.conversations.schemas import MessageOut, ToolCallOut
from taskchat.postgres.database import AnyRow, Connection, table_of
from taskchat.principal import Principal

_messages = table_of(Message)
_tool_calls = table_of(ToolCall)


def calls_of_turn(*columns: str) -> Any:
    """The tool calls of a turn as one JSON array, so that a page is one statement."""
    fields = ", ".join(f"'{name}', tool_calls.{name}" for name in columns)
    array = literal_column(
        f"json_agg(json_build_object({fields}) ORDER BY tool_calls.position)", JSON
    )
    return (
        select(array.label("calls"))
        .select_from(_tool_calls)
        .where(
            _tool_calls.c.user_id == _messages.c.user_id,
            _tool_calls.c.turn_id == _messages.c.turn_id,
        )
        .correlate(_messages)
        .lateral("called")
    )


REPLIES = _messages.alias("replies")
IS_REPLY = (
    (REPLIES.c.user_id == _messages.c.user_id)
    & (REPLIES.c.turn_id == _messages.c.turn_id)
    & (REPLIES.c.position == 1)
)
"""Joins each message with the reply of its turn, if there is one."""

_shown_calls = calls_of_turn(*ToolCallOut.model_fields)
_has_reply = select(REPLIES.c.id).select_from(REPLIES).where(IS_REPLY).correlate(_messages).exists()
_MESSAGES = (
    select(
        _messages.c.turn_number,
        _messages.c.position,
        _messages.c.id,
        _messages.c.role,
        _messages.c.content,
        _messages.c.created_at,
        _shown_calls.c.calls,
    )
    .select_from(
        _messages.join(_shown_calls, (_messages.c.position == 1) | ~_has_reply, isouter=True)
    )
    .where(
        _messages.c.user_id == bindparam("owner"),
        _messages.c.conversation_id == bindparam("conversation"),
    )
)
_place = tuple_(_messages.c.turn_number, _messages.c.position)
_NEWEST = (
    _MESSAGES.where(_place < tuple_(bindparam("turn"), bindparam("position")))
    .order_by(_messages.c.turn_number.desc(), _messages.c.position.desc())
    .limit(bindparam("rows_max"))
)
_FOLLOWING = (
    _MESSAGES.where(_place > tuple_(bindparam("turn"), bindparam("position")))
    .order_by(_messages.c.turn_number, _messages.c.position)
    .limit(bindparam("rows_max"))
)

Place = tuple[int, int]
"""Where a message stands: turn number, position."""


def _message(row: AnyRow) -> tuple[Place, MessageOut]:
    return (row.turn_number, row.position), MessageOut.model_construct(
        id=row.id,
        role=row.role,
        content=row.content,
        created_at=row.created_at,
        tool_calls=[ToolCallOut.model_validate(call) for call in row.calls or ()],
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
