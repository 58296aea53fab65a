"""SQL of conversations themselves. Every statement names the owner."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, insert, select, text, tuple_, update

from taskchat.conversations.models import Conversation
from taskchat.conversations.schemas import ConversationOut, ConversationStatus
from taskchat.postgres.database import AnyRow, Connection, table_of
from taskchat.principal import Principal

_conversations = table_of(Conversation)

SESSIONS_CHANNEL: Final = "taskchat_sessions"
"""Payload: the id of a conversation that was ended, and the process that knows."""

_NEW_CONVERSATION = text(
    "INSERT INTO conversations (user_id, id, title, last_turn)"
    " VALUES (:owner, :conversation, :title, 1)"
)
# Ownership, order and lock in one statement. What else is read about the conversation is read
# later: a statement that waits for this lock continues with the snapshot from before its wait.
_NEXT_NUMBER = text(
    "UPDATE conversations SET last_turn = last_turn + 1, updated_at = now(),"
    " status = 'active'"
    " WHERE user_id = :owner AND id = :conversation AND status <> 'ended'"
    " RETURNING last_turn"
)
_EXISTS = text("SELECT 1 FROM conversations WHERE user_id = :owner AND id = :conversation")
_END = text(
    "UPDATE conversations SET status = 'ended', updated_at = now()"
    " WHERE user_id = :owner AND id = :conversation"
    " RETURNING pg_notify(:channel, id || ' ' || :process)"
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
    return ConversationOut.model_construct(**row._mapping)


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


async def insert_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID, *, title: str
) -> int:
    """Start a conversation and take its first number."""
    await connection.execute(
        _NEW_CONVERSATION,
        {"owner": principal.user_id, "conversation": conversation_id, "title": title},
    )
    return 1


async def next_number(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> int | None:
    """Lock the conversation and take its next number; None if it is ended or not there."""
    number = await connection.scalar(
        _NEXT_NUMBER, {"owner": principal.user_id, "conversation": conversation_id}
    )
    return None if number is None else int(number)


async def conversation_exists(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> bool:
    """Whether the principal has it, ended or not."""
    found = await connection.scalar(
        _EXISTS, {"owner": principal.user_id, "conversation": conversation_id}
    )
    return found is not None


async def start_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> None:
    """Start a conversation in which nothing has been said yet."""
    await connection.execute(
        insert(_conversations), {"user_id": principal.user_id, "id": conversation_id}
    )


async def resume_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> bool:
    """Make a paused conversation active; False if it is ended or not there."""
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
