"""SQL of conversations and what they hold. Every statement names the owner."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
    true,
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


@dataclass(frozen=True, slots=True)
class PastTurn:
    """A finished turn, as the next one's history needs it.

    Attributes:
        number: Its place in the conversation.
        said: The user's message.
        calls: Its executed tool calls in order: call_id, tool_name, parameters, result, status.
        reply: What was answered; None when the turn failed or was cancelled.
    """

    number: int
    said: str
    calls: Sequence[dict[str, Any]]
    reply: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What was said in the first turns of a conversation, in short.

    Attributes:
        text: None while nothing is summed up.
        until: The last turn that it covers.
    """

    text: str | None
    until: int


def _calls_of_turn(*columns: str) -> Any:
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


_history_calls = _calls_of_turn("call_id", "tool_name", "parameters", "result", "status")
_replies = _messages.alias("replies")
_is_reply = (
    (_replies.c.user_id == _messages.c.user_id)
    & (_replies.c.turn_id == _messages.c.turn_id)
    & (_replies.c.position == 1)
)
_PAST_TURNS = (
    select(
        _messages.c.turn_number,
        _messages.c.content,
        _history_calls.c.calls,
        _replies.c.content.label("reply"),
    )
    .select_from(
        _messages.outerjoin(_replies, _is_reply).join(_history_calls, true(), isouter=True)
    )
    .where(
        _messages.c.user_id == bindparam("owner"),
        _messages.c.conversation_id == bindparam("conversation"),
        _messages.c.position == 0,
        _messages.c.turn_number < bindparam("before"),
    )
    .limit(bindparam("turns_max"))
)
_NEWEST_TURNS = _PAST_TURNS.order_by(_messages.c.turn_number.desc())
_OLDEST_TURNS = _PAST_TURNS.where(_messages.c.turn_number > bindparam("after")).order_by(
    _messages.c.turn_number
)


async def past_turns(
    connection: AsyncConnection,
    principal: Principal,
    conversation_id: UUID,
    *,
    before: int,
    turns_max: int,
) -> Sequence[PastTurn]:
    """The newest turns before one, newest first. All of them are over when it may run."""
    rows = await connection.execute(
        _NEWEST_TURNS,
        {
            "owner": principal.user_id,
            "conversation": conversation_id,
            "before": before,
            "turns_max": turns_max,
        },
    )
    return _past(rows)


async def turns_between(
    connection: AsyncConnection,
    principal: Principal,
    conversation_id: UUID,
    *,
    after: int,
    before: int,
    turns_max: int,
) -> Sequence[PastTurn]:
    """The oldest turns between two, oldest first."""
    rows = await connection.execute(
        _OLDEST_TURNS,
        {
            "owner": principal.user_id,
            "conversation": conversation_id,
            "after": after,
            "before": before,
            "turns_max": turns_max,
        },
    )
    return _past(rows)


def _past(rows: Iterable[AnyRow]) -> list[PastTurn]:
    return [
        PastTurn(number=number, said=said, calls=calls or (), reply=reply)
        for number, said, calls, reply in rows
    ]


async def find_summary(
    connection: AsyncConnection, principal: Principal, conversation_id: UUID
) -> Summary | None:
    """What is kept of a conversation's beginning; None when the conversation is gone."""
    row = (
        await connection.execute(
            select(_conversations.c.summary, _conversations.c.summary_turn).where(
                _conversations.c.user_id == principal.user_id,
                _conversations.c.id == conversation_id,
            )
        )
    ).one_or_none()
    return Summary(row.summary, row.summary_turn) if row else None


async def keep_summary(
    connection: AsyncConnection,
    principal: Principal,
    conversation_id: UUID,
    *,
    after: int,
    summary: Summary,
) -> bool:
    """Put a summary in the place of the one that covered `after`; False when that has changed."""
    kept = await connection.execute(
        update(_conversations)
        .where(
            _conversations.c.user_id == principal.user_id,
            _conversations.c.id == conversation_id,
            _conversations.c.summary_turn == after,
        )
        .values(summary=summary.text, summary_turn=summary.until)
    )
    return kept.rowcount > 0


_shown_calls = _calls_of_turn(*ToolCallOut.model_fields)
_has_reply = (
    select(_replies.c.id).select_from(_replies).where(_is_reply).correlate(_messages).exists()
)
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
