"""SQL of a turn's beginning. Every statement names the owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from taskchat.conversations.models import Message
from taskchat.db import table_of
from taskchat.presence.repository import TELL_FOLLOWERS
from taskchat.principal import Principal
from taskchat.turns.event_rows import INSERT_EVENTS, event_values
from taskchat.turns.events import StoredEvent
from taskchat.turns.models import Turn
from taskchat.turns.states import TurnRef, TurnState

_turns = table_of(Turn)
_messages = table_of(Message)

_NEW_CONVERSATION = text(
    "INSERT INTO conversations (user_id, id, title, last_turn)"
    " VALUES (:owner, :conversation, :title, 1)"
)
# Ownership, order and lock in one statement. What is read about the conversation is read in later
# ones: a statement that waits for this lock goes on with the snapshot from before its wait.
_NEXT_NUMBER = text(
    "UPDATE conversations SET last_turn = last_turn + 1, updated_at = now(),"
    " status = 'active'"
    " WHERE user_id = :owner AND id = :conversation AND status <> 'ended'"
    " RETURNING last_turn"
)
_EXISTS = text("SELECT 1 FROM conversations WHERE user_id = :owner AND id = :conversation")
_WAITING = text(
    "SELECT count(*) FROM turns WHERE user_id = :owner AND conversation_id = :conversation"
    " AND status IN ('queued', 'running', 'awaiting_feedback')"
)
# The row, the user's message and the first events in one round trip. A key that another request has
# just used makes all of them come to nothing.
_INSERT_TURN = text(
    "WITH turn AS ("
    " INSERT INTO turns (user_id, id, conversation_id, number, channel, status, attempt, owner,"
    " lease_expires_at, started_at, idempotency_key, fingerprint, circumstances)"
    " VALUES (:owner, :turn, :conversation, :number, :channel, :status, :attempt, :process,"
    " now() + make_interval(secs => :lease_s),"
    " CASE WHEN :attempt = 1 THEN now() END, :key, :fingerprint, :circumstances)"
    " ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
    " RETURNING user_id, id, conversation_id, number),"
    " said AS (INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number, position,"
    " role, content, created_at)"
    " SELECT user_id, :message, conversation_id, id, number, 0, 'user', :content, :created_at"
    " FROM turn),"
    " told AS (" + INSERT_EVENTS.format(turn="turn") + ")"
    " SELECT turn.id, CASE WHEN :count_open THEN (SELECT count(*) FROM tasks"
    " WHERE user_id = :owner AND NOT completed) END AS open_tasks, "
    + TELL_FOLLOWERS.format(turn="turn")
    + " FROM turn"
).bindparams(
    bindparam("attempt", type_=_turns.c.attempt.type),
    bindparam("circumstances", type_=_turns.c.circumstances.type),
    bindparam("message", type_=_messages.c.id.type),
    bindparam("content", type_=_messages.c.content.type),
    bindparam("created_at", type_=_messages.c.created_at.type),
)
_BY_KEY = text(
    "SELECT id, conversation_id, number, status, result, fingerprint FROM turns"
    " WHERE user_id = :owner AND idempotency_key = :key"
)
_BY_ID = text(
    "SELECT id, conversation_id, number, status, result, fingerprint FROM turns"
    " WHERE user_id = :owner AND id = :turn"
)


async def insert_conversation(
    connection: AsyncConnection, principal: Principal, conversation_id: UUID, *, title: str
) -> int:
    """Start a conversation and take its first number."""
    await connection.execute(
        _NEW_CONVERSATION,
        {"owner": principal.user_id, "conversation": conversation_id, "title": title},
    )
    return 1


async def next_number(
    connection: AsyncConnection, principal: Principal, conversation_id: UUID
) -> int | None:
    """Lock the conversation and take its next number; None when it is ended or not there."""
    number = await connection.scalar(
        _NEXT_NUMBER, {"owner": principal.user_id, "conversation": conversation_id}
    )
    return None if number is None else int(number)


async def conversation_exists(
    connection: AsyncConnection, principal: Principal, conversation_id: UUID
) -> bool:
    """Whether the principal has it, ended or not."""
    found = await connection.scalar(
        _EXISTS, {"owner": principal.user_id, "conversation": conversation_id}
    )
    return found is not None


async def count_waiting(
    connection: AsyncConnection, principal: Principal, conversation_id: UUID
) -> int:
    """Unfinished turns of a conversation that this transaction has locked."""
    return int(
        await connection.scalar(
            _WAITING, {"owner": principal.user_id, "conversation": conversation_id}
        )
        or 0
    )


@dataclass(frozen=True, slots=True)
class Inserted:
    """What is known of a turn once it is there.

    Attributes:
        open_tasks: How many tasks its user has to do; None where nobody asked.
    """

    open_tasks: int | None


async def insert_turn(
    connection: AsyncConnection,
    turn: TurnRef,
    *,
    channel: str,
    starts: bool,
    process: UUID,
    lease_s: float,
    key: str | None,
    fingerprint: bytes | None,
    circumstances: dict[str, str] | None,
    message_id: UUID,
    content: str,
    created_at: datetime,
    events: Sequence[StoredEvent],
    count_open: bool,
) -> Inserted | None:
    """Insert the turn with the user's message and its first events.

    Args:
        connection: The principal's.
        turn: Which.
        channel: How the message came in.
        starts: Whether its run may begin.
        process: Who runs it then.
        lease_s: For so long without a sign of life.
        key: The caller's, where there is one.
        fingerprint: Of what came with it.
        circumstances: What is known of who speaks.
        message_id: Of the user's message.
        content: What they said.
        created_at: When.
        events: What is told of it at once.
        count_open: Whether to count their open tasks by the way.

    Returns:
        None when another turn has the key.
    """
    rows = await connection.execute(
        _INSERT_TURN,
        {
            "owner": turn.principal.user_id,
            "turn": turn.id,
            "conversation": turn.conversation_id,
            "number": turn.number,
            "channel": channel,
            "status": "running" if starts else "queued",
            "attempt": 1 if starts else 0,
            "process": process,
            "lease_s": lease_s,
            "key": key,
            "fingerprint": fingerprint,
            "circumstances": circumstances,
            "message": message_id,
            "content": content,
            "created_at": created_at,
            "count_open": count_open,
            **event_values(events),
        },
    )
    row = rows.one_or_none()
    return None if row is None else Inserted(row.open_tasks)


async def find_by_key(
    connection: AsyncConnection, principal: Principal, key: str
) -> TurnState | None:
    """The principal's turn that began with this key."""
    return await _state(connection, principal, _BY_KEY, {"key": key})


async def find_by_id(
    connection: AsyncConnection, principal: Principal, turn_id: UUID
) -> TurnState | None:
    """The principal's turn of this id."""
    return await _state(connection, principal, _BY_ID, {"turn": turn_id})


async def _state(
    connection: AsyncConnection,
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
