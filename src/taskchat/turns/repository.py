"""SQL of turns and what they record. Every statement names the owner, every write the attempt.

Only the database's clock decides about leases.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, bindparam, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from taskchat.conversations.models import Message, ToolCall
from taskchat.conversations.schemas import ToolCallOut
from taskchat.db import AnyRow, table_of
from taskchat.principal import Principal
from taskchat.turns.models import ModelAnswer, Turn

_turns = table_of(Turn)
_messages = table_of(Message)
_answers = table_of(ModelAnswer)
_calls = table_of(ToolCall)

WAKE_CHANNEL: Final = "taskchat_turns"
"""Payload: conversation id, number of the turn that is over, number of the next one or 0."""

DEATHS_MAX: Final = 3
"""A turn that took its process with it this often is not tried again."""


@dataclass(frozen=True, slots=True)
class TurnRef:
    """Which turn, whose, and where in its conversation."""

    principal: Principal
    id: UUID
    conversation_id: UUID
    number: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A turn that this process runs now.

    Attributes:
        turn: Which.
        attempt: The fencing token.
        deaths: How often its process died while it ran.
    """

    turn: TurnRef
    attempt: int
    deaths: int


@dataclass(frozen=True, slots=True)
class TurnState:
    """How far a turn is.

    Attributes:
        turn: Which.
        status: Its state.
        result: The JSON of the answer, or of the error, once it is over.
        fingerprint: Of the body that began it, where it came with a key.
    """

    turn: TurnRef
    status: str
    result: str | None
    fingerprint: bytes | None


# --- begin ---

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
# The row and the user's message in one round trip. A key that another request has just used makes
# both come to nothing.
_INSERT_TURN = text(
    "WITH turn AS ("
    " INSERT INTO turns (user_id, id, conversation_id, number, channel, status, attempt, owner,"
    " lease_expires_at, started_at, idempotency_key, fingerprint)"
    " VALUES (:owner, :turn, :conversation, :number, :channel, :status, :attempt, :process,"
    " now() + make_interval(secs => :lease_s),"
    " CASE WHEN :attempt = 1 THEN now() END, :key, :fingerprint)"
    " ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
    " RETURNING user_id, id, conversation_id, number)"
    " INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number, position, role,"
    " content, created_at)"
    " SELECT user_id, :message, conversation_id, id, number, 0, 'user', :content, :created_at"
    " FROM turn RETURNING turn_id"
).bindparams(
    bindparam("attempt", type_=_turns.c.attempt.type),
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
    message_id: UUID,
    content: str,
    created_at: datetime,
) -> bool:
    """Insert the turn with the user's message; False when another turn has the key."""
    inserted = await connection.scalar(
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
            "message": message_id,
            "content": content,
            "created_at": created_at,
        },
    )
    return inserted is not None


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


# --- claim ---

# The earlier turns of a conversation only ever become finished, never unfinished again, so that an
# old snapshot can only err by waiting longer.
_IS_FREE = (
    "((t.status = 'queued' AND NOT EXISTS (SELECT 1 FROM turns AS earlier"
    " WHERE earlier.user_id = t.user_id AND earlier.conversation_id = t.conversation_id"
    " AND earlier.number < t.number"
    " AND earlier.status IN ('queued', 'running', 'awaiting_feedback')){and_queued})"
    " OR (t.status = 'running' AND t.lease_expires_at < now()))"
)
_TAKE = (
    "UPDATE turns AS t SET status = 'running', attempt = attempt + 1, owner = :process,"
    # A lease that was released carries no death: its process handed the turn over.
    " deaths = deaths + (status = 'running' AND lease_expires_at <> '-infinity')::int,"
    " lease_expires_at = now() + make_interval(secs => :lease_s),"
    " started_at = coalesce(started_at, now())"
)
_RETURNING = " RETURNING t.user_id, t.id, t.conversation_id, t.number, t.attempt, t.deaths"
_CLAIM = text(
    _TAKE
    + " WHERE t.user_id = :owner AND t.id = :turn AND "
    + _IS_FREE.format(and_queued="")
    + _RETURNING
)
_ADOPT = text(
    _TAKE
    + " WHERE (t.user_id, t.id) IN (SELECT t.user_id, t.id FROM turns AS t"
    + " WHERE t.status IN ('queued', 'running') AND t.lease_expires_at < now()"
    + " AND t.id <> ALL (CAST(:here AS uuid[])) AND "
    + _IS_FREE.format(and_queued=" AND t.lease_expires_at < now()")
    + " ORDER BY t.lease_expires_at LIMIT :turns_max FOR UPDATE SKIP LOCKED)"
    + _RETURNING
)


def _claim(row: AnyRow) -> Claim:
    turn = TurnRef(Principal(row.user_id), row.id, row.conversation_id, row.number)
    return Claim(turn, row.attempt, row.deaths)


async def claim(
    connection: AsyncConnection, turn: TurnRef, *, process: UUID, lease_s: float
) -> Claim | None:
    """Take a turn whose time has come, or whose owner died; None when it is neither."""
    row = (
        await connection.execute(
            _CLAIM,
            {
                "owner": turn.principal.user_id,
                "turn": turn.id,
                "process": process,
                "lease_s": lease_s,
            },
        )
    ).one_or_none()
    return _claim(row) if row else None


async def adopt(
    connection: AsyncConnection,
    *,
    process: UUID,
    lease_s: float,
    turns_max: int,
    here: Sequence[UUID],
) -> Sequence[Claim]:
    """Take turns of anybody whose owners died. Needs a system transaction.

    Args:
        connection: Of the system's.
        process: Who takes them.
        lease_s: For how long.
        turns_max: The most that are taken.
        here: Turns that are seen through here already, and claimed by their own jobs.
    """
    rows = await connection.execute(
        _ADOPT,
        {"process": process, "lease_s": lease_s, "turns_max": turns_max, "here": here},
    )
    return [_claim(row) for row in rows]


# --- lease ---

_RENEW = text(
    "UPDATE turns AS t SET lease_expires_at = now() + make_interval(secs => :lease_s)"
    " FROM unnest(CAST(:users AS text[]), CAST(:turns AS uuid[]), CAST(:attempts AS int[]))"
    " AS mine (user_id, id, attempt)"
    " WHERE t.user_id = mine.user_id AND t.id = mine.id AND t.attempt = mine.attempt"
    " AND t.status IN ('queued', 'running')"
    " RETURNING t.id"
)
_RELEASE = text(
    "UPDATE turns SET lease_expires_at = '-infinity'"
    " WHERE owner = :process AND status IN ('queued', 'running')"
)


async def renew(
    connection: AsyncConnection, held: Iterable[tuple[TurnRef, int]], *, lease_s: float
) -> set[UUID]:
    """Renew leases; returns the ids of those turns that are still held. A system transaction."""
    turns = list(held)
    rows = await connection.execute(
        _RENEW,
        {
            "lease_s": lease_s,
            "users": [turn.principal.user_id for turn, _ in turns],
            "turns": [turn.id for turn, _ in turns],
            "attempts": [attempt for _, attempt in turns],
        },
    )
    return {row.id for row in rows}


async def release(connection: AsyncConnection, *, process: UUID) -> int:
    """Give up every lease of a process, so that others need not wait. A system transaction."""
    return (await connection.execute(_RELEASE, {"process": process})).rowcount


_FORGET_KEYS = text(
    "UPDATE turns SET idempotency_key = NULL, fingerprint = NULL"
    " WHERE (user_id, id) IN (SELECT user_id, id FROM turns WHERE idempotency_key IS NOT NULL"
    " AND finished_at < now() - make_interval(hours => :retention_h)"
    " LIMIT :keys_max FOR UPDATE SKIP LOCKED)"
)


async def forget_keys(connection: AsyncConnection, *, retention_h: int, keys_max: int) -> int:
    """Forget keys of turns that ended so long ago; returns how many. A system transaction."""
    forgotten = await connection.execute(
        _FORGET_KEYS, {"retention_h": retention_h, "keys_max": keys_max}
    )
    return forgotten.rowcount


# --- the record ---

_FENCE = text(
    "SELECT 1 FROM turns WHERE user_id = :owner AND id = :turn AND attempt = :attempt"
    " AND status = 'running' FOR SHARE"
)
_INSERT_CALL = insert(_calls).returning(_calls.c.executed_at)
_INSERT_ANSWER = insert(_answers)
_SAID = select(_messages.c.content, _messages.c.id, _messages.c.created_at).where(
    _messages.c.user_id == bindparam("owner"),
    _messages.c.turn_id == bindparam("turn"),
    _messages.c.position == 0,
)
_ANSWERS = (
    select(_answers)
    .where(_answers.c.user_id == bindparam("owner"), _answers.c.turn_id == bindparam("turn"))
    .order_by(_answers.c.number)
)
_CALLS = (
    select(_calls.c.call_id, *(_calls.c[name] for name in ToolCallOut.model_fields))
    .where(_calls.c.user_id == bindparam("owner"), _calls.c.turn_id == bindparam("turn"))
    .order_by(_calls.c.position)
)


async def still_ours(connection: AsyncConnection, held: Claim) -> bool:
    """The fence: whether this attempt still runs the turn. A takeover waits for the answer.

    Parallel tool calls pass each other here; an UPDATE of the turn waits for them all.
    """
    found = await connection.scalar(
        _FENCE,
        {
            "owner": held.turn.principal.user_id,
            "turn": held.turn.id,
            "attempt": held.attempt,
        },
    )
    return found is not None


async def insert_answers(
    connection: AsyncConnection, turn: TurnRef, answers: Sequence[dict[str, Any]]
) -> None:
    """Keep what the model answered: number, model, items, input_tokens, output_tokens."""
    await connection.execute(
        _INSERT_ANSWER,
        [{"user_id": turn.principal.user_id, "turn_id": turn.id, **answer} for answer in answers],
    )


async def insert_call(connection: AsyncConnection, turn: TurnRef, call: dict[str, Any]) -> datetime:
    """Record a tool call; returns the moment of its transaction."""
    moment = await connection.scalar(
        _INSERT_CALL, {"user_id": turn.principal.user_id, "turn_id": turn.id, **call}
    )
    assert isinstance(moment, datetime)  # noqa: S101 - narrowed for the type checker
    return moment


async def user_message(connection: AsyncConnection, turn: TurnRef) -> AnyRow:
    """What the user said in a turn: content, id, created_at."""
    return (
        await connection.execute(_SAID, {"owner": turn.principal.user_id, "turn": turn.id})
    ).one()


async def recorded_answers(connection: AsyncConnection, turn: TurnRef) -> Sequence[AnyRow]:
    """What models answered in a turn, as far as it is kept, in order."""
    return (
        await connection.execute(_ANSWERS, {"owner": turn.principal.user_id, "turn": turn.id})
    ).all()


async def recorded_calls(
    connection: AsyncConnection, turn: TurnRef
) -> list[tuple[str, ToolCallOut]]:
    """The executed calls of a turn in order, with the model's id of each."""
    rows = await connection.execute(_CALLS, {"owner": turn.principal.user_id, "turn": turn.id})
    calls = []
    for row in rows:
        values = dict(row._mapping)
        call_id = values.pop("call_id")
        calls.append((call_id, ToolCallOut.model_construct(**values)))
    return calls


# --- settle ---

# The notification is left out where nobody can be waiting: committing one takes a lock that all
# of the cluster's committing listeners share.
_WAKE = (
    " RETURNING (SELECT pg_notify('" + WAKE_CHANNEL + "', t.conversation_id || ' ' || t.number"
    " || ' ' || coalesce(min(next.number), 0)) FROM turns AS next"
    " WHERE next.user_id = t.user_id AND next.conversation_id = t.conversation_id"
    " AND next.id <> t.id AND next.status IN ('queued', 'running', 'awaiting_feedback')"
    " HAVING count(*) > 0 OR t.idempotency_key IS NOT NULL OR t.attempt > 1"
    " OR t.status = 'cancelled')"
)
_INSERT_REPLY = insert(_messages)
_SETTLE = text(
    "UPDATE turns AS t SET status = :status, result = :result, model = :model,"
    " model_calls = :model_calls, input_tokens = :input_tokens, output_tokens = :output_tokens,"
    " finished_at = now(), lease_expires_at = NULL"
    " WHERE t.user_id = :owner AND t.id = :turn AND t.attempt = :attempt"
    " AND t.status = 'running'" + _WAKE
)
_CANCEL = text(
    "UPDATE turns AS t SET status = 'cancelled', result = :result, finished_at = now(),"
    " lease_expires_at = NULL"
    " WHERE t.user_id = :owner AND t.id = :turn"
    " AND t.status IN ('queued', 'running', 'awaiting_feedback')" + _WAKE
)


async def settle(
    connection: AsyncConnection,
    held: Claim,
    *,
    status: str,
    result: str,
    model: str | None,
    model_calls: int,
    input_tokens: int,
    output_tokens: int,
) -> bool:
    """End a turn that this attempt runs, and wake the next; False when it runs it no more."""
    rows = await connection.execute(
        _SETTLE,
        {
            "owner": held.turn.principal.user_id,
            "turn": held.turn.id,
            "attempt": held.attempt,
            "status": status,
            "result": result,
            "model": model,
            "model_calls": model_calls,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
        },
    )
    return rows.one_or_none() is not None


async def cancel(connection: AsyncConnection, turn: TurnRef, *, result: str) -> bool:
    """End an unfinished turn of anybody's running; False when it is over already."""
    rows = await connection.execute(
        _CANCEL, {"owner": turn.principal.user_id, "turn": turn.id, "result": result}
    )
    return rows.one_or_none() is not None


async def insert_reply(
    connection: AsyncConnection,
    turn: TurnRef,
    *,
    message_id: UUID,
    content: str,
    created_at: datetime,
) -> None:
    """Store the assistant's message."""
    await connection.execute(
        _INSERT_REPLY,
        {
            "user_id": turn.principal.user_id,
            "id": message_id,
            "conversation_id": turn.conversation_id,
            "turn_id": turn.id,
            "turn_number": turn.number,
            "position": 1,
            "role": "assistant",
            "content": content,
            "created_at": created_at,
        },
    )
