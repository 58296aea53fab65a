"""SQL that finds turns. Every statement names the owner."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, bindparam, select, text

from taskchat.conversations.models import Message
from taskchat.postgres.database import AnyRow, Connection
from taskchat.postgres.tables import table_of
from taskchat.principal import Principal
from taskchat.turns.models import UNFINISHED, Turn, one_of
from taskchat.turns.states import TurnRef, TurnState
from taskchat.turns.store.settle import WAKE_CHANNEL

_turns = table_of(Turn)
_messages = table_of(Message)
_first = _turns.alias("first")
_first_version = (
    select(_first.c.id)
    .where(
        _first.c.user_id == _turns.c.user_id,
        _first.c.conversation_id == _turns.c.conversation_id,
        _first.c.number == _turns.c.version_of,
    )
    .scalar_subquery()
)
_WHOLE = select(_turns, _first_version.label("first_version")).where(
    _turns.c.user_id == bindparam("owner"), _turns.c.id == bindparam("turn")
)
_SAID = (
    select(_messages.c.id, _messages.c.role, _messages.c.content, _messages.c.created_at)
    .where(_messages.c.user_id == bindparam("owner"), _messages.c.turn_id == bindparam("turn"))
    .order_by(_messages.c.position)
)
_LISTED = (
    select(
        _turns.c.id,
        _turns.c.conversation_id,
        _turns.c.number,
        _turns.c.channel,
        _turns.c.status,
        _first_version.label("version_of"),
        _messages.c.content.label("message"),
        _turns.c.created_at,
        _turns.c.started_at,
        _turns.c.finished_at,
    )
    .join(
        _messages,
        (_messages.c.user_id == _turns.c.user_id)
        & (_messages.c.turn_id == _turns.c.id)
        & (_messages.c.position == 0),
    )
    .where(
        _turns.c.user_id == bindparam("owner"),
        _turns.c.conversation_id == bindparam("conversation"),
        _turns.c.number > bindparam("after"),
    )
    .order_by(_turns.c.number)
    .limit(bindparam("rows_max"))
)
_LISTED_OF_STATUS = _LISTED.where(_turns.c.status == bindparam("status"))
_BY_IDS = text(
    "SELECT id, conversation_id, number, status, model, model_calls, input_tokens, output_tokens,"
    " CASE WHEN status IN ('failed', 'cancelled') THEN result END AS error"
    " FROM turns WHERE user_id = :owner AND id = ANY(:turns)"
)
_FIRST_UNFINISHED = text(
    "SELECT id, number, status FROM turns"
    " WHERE user_id = :owner AND conversation_id = :conversation"
    f" AND {one_of('status', UNFINISHED)} ORDER BY number LIMIT 1"
)
_NEXT = text(
    "SELECT id, number, status FROM turns"
    " WHERE user_id = :owner AND conversation_id = :conversation AND number > :after"
    " AND status <> 'cancelled' ORDER BY number LIMIT 1"
)
_HOLD_UNFINISHED = text(
    "WITH held AS MATERIALIZED (SELECT id, conversation_id, number FROM turns"
    " WHERE user_id = :owner AND conversation_id = :conversation"
    f" AND {one_of('status', UNFINISHED)} ORDER BY number FOR UPDATE)"
    f" SELECT id, number, pg_notify('{WAKE_CHANNEL}', conversation_id || ' ' || number || ' 0')"
    " FROM held ORDER BY number"
)
_BY_KEY = text(
    "SELECT id, conversation_id, number, status, result, fingerprint FROM turns"
    " WHERE user_id = :owner AND idempotency_key = :key"
)
_BY_ID = text(
    "SELECT id, conversation_id, number, status, result, fingerprint FROM turns"
    " WHERE user_id = :owner AND id = :turn"
)

_BY_MESSAGE = text(
    "SELECT t.id, t.conversation_id, t.number, t.status, t.result, t.fingerprint, m.content"
    " FROM messages AS m JOIN turns AS t ON t.user_id = :owner AND t.id = m.turn_id"
    " WHERE m.user_id = :owner AND m.id = :message"
)


async def by_key(connection: Connection, principal: Principal, key: str) -> TurnState | None:
    """The principal's turn that began with this key."""
    return await _state(connection, principal, _BY_KEY, {"key": key})


async def by_id(connection: Connection, principal: Principal, turn_id: UUID) -> TurnState | None:
    """The principal's turn of this id."""
    return await _state(connection, principal, _BY_ID, {"turn": turn_id})


async def by_message(
    connection: Connection, principal: Principal, message_id: UUID
) -> tuple[TurnState, str] | None:
    """The turn of the principal's message of this id, and what the message says."""
    values = {"owner": principal.user_id, "message": message_id}
    row = (await connection.execute(_BY_MESSAGE, values)).one_or_none()
    if row is None:
        return None
    id_, conversation_id, number, status, result, fingerprint, content = row
    turn = TurnRef(principal, id_, conversation_id, number)
    return TurnState(turn, status, result, fingerprint), content


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
    """All columns of the principal's turn of this id, and `first_version`, a turn's id."""
    rows = await connection.execute(_WHOLE, {"owner": principal.user_id, "turn": turn_id})
    return rows.one_or_none()


async def by_ids(
    connection: Connection, principal: Principal, turn_ids: Sequence[UUID]
) -> Sequence[AnyRow]:
    """What became of some of the principal's turns, in any order.

    Returns:
        id, conversation_id, number, status, model, model_calls, input_tokens, output_tokens and
        error, the stored end of a turn without success.
    """
    values = {"owner": principal.user_id, "turns": list(turn_ids)}
    return (await connection.execute(_BY_IDS, values)).all()


async def first_unfinished(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> tuple[TurnRef, str] | None:
    """The first turn of a conversation that is not over, and its status, if there is one."""
    values = {"owner": principal.user_id, "conversation": conversation_id}
    rows = await connection.execute(_FIRST_UNFINISHED, values)
    return _with_status(principal, conversation_id, rows.one_or_none())


async def next_after(connection: Connection, turn: TurnRef) -> tuple[TurnRef, str] | None:
    """The turn behind one that was followed to its end, and its status, if there is one.

    It may be over by now: whoever waited behind another is done in a moment. One that was cancelled
    is passed over.
    """
    values = {
        "owner": turn.principal.user_id,
        "conversation": turn.conversation_id,
        "after": turn.number,
    }
    rows = await connection.execute(_NEXT, values)
    return _with_status(turn.principal, turn.conversation_id, rows.one_or_none())


def _with_status(
    principal: Principal, conversation_id: UUID, row: AnyRow | None
) -> tuple[TurnRef, str] | None:
    if row is None:
        return None
    return TurnRef(principal, row.id, conversation_id, row.number), row.status


async def said(connection: Connection, principal: Principal, turn_id: UUID) -> Sequence[AnyRow]:
    """What was said in a turn, its message first: id, role, content, created_at."""
    rows = await connection.execute(_SAID, {"owner": principal.user_id, "turn": turn_id})
    return rows.all()


async def of_conversation(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    status: str | None,
    after: int,
    limit: int,
) -> Sequence[AnyRow]:
    """Turns of a conversation with what the user said in them, in order.

    Args:
        connection: Where to look.
        principal: The conversation's owner.
        conversation_id: The conversation.
        status: Only those of this status.
        after: The number of the turn that they follow.
        limit: The most to return.
    """
    rows = await connection.execute(
        _LISTED if status is None else _LISTED_OF_STATUS,
        {
            "owner": principal.user_id,
            "conversation": conversation_id,
            "status": status,
            "after": after,
            "rows_max": limit,
        },
    )
    return rows.all()


async def hold_unfinished(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> list[TurnRef]:
    """The unfinished turns of a conversation, in order.

    Until the transaction ends, nothing of them is written; once it is committed, whoever runs them
    or waits for them looks at them again.
    """
    rows = await connection.execute(
        _HOLD_UNFINISHED, {"owner": principal.user_id, "conversation": conversation_id}
    )
    return [TurnRef(principal, row.id, conversation_id, row.number) for row in rows]
