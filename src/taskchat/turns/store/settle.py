"""SQL of a turn's end. Every statement names the owner, and every write of a run its attempt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import insert, text

from taskchat.conversations.models import Message
from taskchat.postgres.database import Connection, table_of
from taskchat.presence.repository import tell_followers
from taskchat.turns.events import StoredEvent
from taskchat.turns.models import UNFINISHED, one_of
from taskchat.turns.states import Claim, TurnRef
from taskchat.turns.store.events import event_values, insert_events
from taskchat.usage.repository import Call, record_usage, usage_values

_messages = table_of(Message)

WAKE_CHANNEL: Final = "taskchat_turns"
"""Payload: conversation id, number of the turn that is over, number of the next one or 0."""

# No notification is sent if nobody can be waiting: committing one takes a lock that all of the
# cluster's committing listeners share.
_WAKE = (
    " RETURNING (SELECT pg_notify('" + WAKE_CHANNEL + "', t.conversation_id || ' ' || t.number"
    " || ' ' || coalesce(min(next.number), 0)) FROM turns AS next"
    " WHERE next.user_id = t.user_id AND next.conversation_id = t.conversation_id"
    f" AND next.id <> t.id AND {one_of('next.status', UNFINISHED)}"
    " HAVING count(*) > 0 OR t.idempotency_key IS NOT NULL OR t.attempt > 1"
    " OR t.status = 'cancelled')"
)
_INSERT_REPLY = insert(_messages)
_SETTLE = text(
    "WITH settled AS ("
    "UPDATE turns AS t SET status = :status, result = :result, model = :model,"
    " model_calls = :model_calls, input_tokens = :input_tokens, output_tokens = :output_tokens,"
    " last_seq = :last_seq, finished_at = now(), lease_expires_at = NULL"
    " WHERE t.user_id = :owner AND t.id = :turn AND t.attempt = :attempt"
    " AND t.status = 'running'" + _WAKE + ", t.user_id, t.id, t.conversation_id),"
    " told AS ("
    + insert_events("settled")
    + "), "
    + record_usage("settled")
    + " SELECT settled.id, "
    + tell_followers("settled")
    + " FROM settled"
)
_CANCEL = text(
    "UPDATE turns AS t SET status = 'cancelled', result = :result, finished_at = now(),"
    " lease_expires_at = NULL"
    " WHERE t.user_id = :owner AND t.id = :turn"
    f" AND {one_of('t.status', UNFINISHED)}" + _WAKE
)
_KEEP_USAGE = text(
    "WITH over AS (UPDATE turns SET model = :model, model_calls = :model_calls,"
    " input_tokens = :input_tokens, output_tokens = :output_tokens"
    " WHERE user_id = :owner AND id = :turn RETURNING user_id, id), "
    + record_usage("over")
    + " SELECT 1 FROM over"
)


async def settle(
    connection: Connection,
    held: Claim,
    *,
    status: str,
    result: str,
    model: str | None,
    counted_for: str | None,
    calls: Sequence[Call],
    events: Sequence[StoredEvent],
    process: UUID,
) -> bool:
    """End a turn that this attempt runs, and wake the next; False if it no longer runs it.

    Args:
        connection: A connection of the principal's.
        held: The attempt.
        status: How it ends.
        result: The JSON of the answer or of the error.
        model: The model that answered last.
        counted_for: The model that the turn counts for in its user's usage.
        calls: What models answered in it, in any attempt.
        events: The turn's last events.
        process: This process.
    """
    rows = await connection.execute(
        _SETTLE,
        {
            "owner": held.turn.principal.user_id,
            "turn": held.turn.id,
            "attempt": held.attempt,
            "status": status,
            "result": result,
            "model": model,
            "last_seq": events[-1].seq,
            "process": process,
            **event_values(events),
            **_sums(calls),
            **usage_values(calls, counted_for),
        },
    )
    return rows.one_or_none() is not None


def _sums(calls: Sequence[Call]) -> dict[str, int]:
    return {
        "model_calls": len(calls),
        "input_tokens": sum(call.input_tokens for call in calls),
        "output_tokens": sum(call.output_tokens for call in calls),
    }


async def cancel(connection: Connection, turn: TurnRef, *, result: str) -> bool:
    """End an unfinished turn, whoever runs it; False if it is already over."""
    rows = await connection.execute(
        _CANCEL, {"owner": turn.principal.user_id, "turn": turn.id, "result": result}
    )
    return rows.one_or_none() is not None


async def keep_usage(connection: Connection, turn: TurnRef, calls: Sequence[Call]) -> None:
    """Count the model calls of a turn that this transaction has cancelled."""
    model = calls[-1].model
    await connection.execute(
        _KEEP_USAGE,
        {
            "owner": turn.principal.user_id,
            "turn": turn.id,
            "model": model,
            **_sums(calls),
            **usage_values(calls, model),
        },
    )


async def insert_reply(
    connection: Connection,
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
