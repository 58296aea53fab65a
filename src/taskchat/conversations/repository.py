"""SQL of conversations themselves. Every statement names the owner."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text, tuple_

from taskchat.conversations.models import Conversation
from taskchat.conversations.schemas import ConversationOut, ConversationStatus
from taskchat.postgres.database import AnyRow, Connection, table_of
from taskchat.principal import Principal

_conversations = table_of(Conversation)

SESSIONS_CHANNEL: Final = "taskchat_sessions"
"""Payload: the id of a conversation that was ended, and the process that knows."""

_END = text(
    "UPDATE conversations SET status = 'ended', updated_at = now()"
    " WHERE user_id = :owner AND id = :conversation"
    " RETURNING pg_notify(:channel, id || ' ' || :process)"
)


_START = text("INSERT INTO conversations (user_id, id) VALUES (:owner, :conversation)")
_RESUME = text(
    "UPDATE conversations SET status = 'active'"
    " WHERE user_id = :owner AND id = :conversation AND status <> 'ended'"
)
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
    return ConversationOut.model_construct(**row)


async def find_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
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
    connection: Connection, principal: Principal, conversation_id: UUID
) -> None:
    """Start a conversation in which nothing has been said yet."""
    values = {"owner": principal.user_id, "conversation": conversation_id}
    await connection.change(_START, values)


async def resume_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> bool:
    """Make a paused conversation active; False if it is ended or not there."""
    values = {"owner": principal.user_id, "conversation": conversation_id}
    return await connection.change(_RESUME, values) > 0


async def list_conversations(
    connection: Connection,
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


async def end_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID, *, process: UUID
) -> bool:
    """End a conversation, and let other processes know; False if it is not there."""
    rows = await connection.execute(
        _END,
        {
            "owner": principal.user_id,
            "conversation": conversation_id,
            "process": str(process),
            "channel": SESSIONS_CHANNEL,
        },
    )
    return rows.one_or_none() is not None
