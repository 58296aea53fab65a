"""SQL of conversations and what they hold. Every statement names the owner."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from taskchat.conversations.models import Conversation, Message, ToolCall
from taskchat.conversations.schemas import (
    ConversationOut,
    ConversationStatus,
    MessageOut,
    ToolCallOut,
)
from taskchat.db import AnyRow, table_of
from taskchat.principal import Principal

_conversations = table_of(Conversation)
_messages = table_of(Message)
_tool_calls = table_of(ToolCall)


def calls_of_turn(*columns: str) -> Any:
    """The tool calls of the turn at hand as one JSON array, so that a page is one statement."""
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
"""Joins each message with the reply of its turn, where there is one."""

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
    connection: AsyncConnection,
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
    connection: AsyncConnection,
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


_conversation_columns = (
    _conversations.c.id,
    _conversations.c.title,
    _conversations.c.status,
    _conversations.c.last_turn.label("turns"),
    _conversations.c.summary,
    _conversations.c.created_at,
    _conversations.c.updated_at,
)


def _conversation(row: AnyRow) -> ConversationOut:
    return ConversationOut.model_construct(**row._mapping)


async def find_conversation(
    connection: AsyncConnection, principal: Principal, conversation_id: UUID
) -> ConversationOut | None:
    """The principal's conversation of that id, if there is one."""
    row = (
        await connection.execute(
            select(*_conversation_columns).where(
                _conversations.c.user_id == principal.user_id,
                _conversations.c.id == conversation_id,
            )
        )
    ).one_or_none()
    return _conversation(row) if row else None


async def start_conversation(
    connection: AsyncConnection, principal: Principal, conversation_id: UUID
) -> None:
    """Start a conversation in which nothing has been said yet."""
    await connection.execute(
        insert(_conversations), {"user_id": principal.user_id, "id": conversation_id}
    )


async def resume_conversation(
    connection: AsyncConnection, principal: Principal, conversation_id: UUID
) -> bool:
    """Make a paused conversation active; False when it is ended or not there."""
    resumed = await connection.execute(
        update(_conversations)
        .where(
            _conversations.c.user_id == principal.user_id,
            _conversations.c.id == conversation_id,
            _conversations.c.status != "ended",
        )
        .values(status="active")
    )
    return resumed.rowcount > 0


async def list_conversations(
    connection: AsyncConnection,
    principal: Principal,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None,
    status: ConversationStatus | None,
) -> Sequence[ConversationOut]:
    """Conversations, the one with the newest activity first."""
    place = tuple_(_conversations.c.updated_at, _conversations.c.id)
    statement = (
        select(*_conversation_columns)
        .where(_conversations.c.user_id == principal.user_id)
        .order_by(_conversations.c.updated_at.desc(), _conversations.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(
            place < tuple_(func.coalesce(after[0]), func.coalesce(after[1]))
        )
    if status is not None:
        statement = statement.where(_conversations.c.status == status)
    return [_conversation(row) for row in await connection.execute(statement)]
