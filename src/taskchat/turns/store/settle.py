"""The end of a turn. Every write of a run names its attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.conversations.schemas import MessageOut
from taskchat.postgres.database import Connection, Database, Function
from taskchat.turns.events import StoredEvent
from taskchat.turns.models import UNFINISHED
from taskchat.turns.states import Claim, Page, TurnRef
from taskchat.turns.store.events import event_values
from taskchat.usage.repository import Call, record_usage, usage_values

WAKE_CHANNEL: Final = "taskchat_turns"
"""Payload: conversation id, number of the turn that is over, number of the next one or 0."""

TURN_SETTLE: Final = Function(
    "turn_settle_2",
    "turn",
    "attempt",
    "process",
    "status",
    "result",
    "model",
    "model_calls",
    "input_tokens",
    "output_tokens",
    "last_seq",
    "event_seqs",
    "event_types",
    "event_data",
    "reply_id",
    "reply",
    "replied_at",
    "call_models",
    "call_inputs",
    "call_cached",
    "call_outputs",
    "call_durations",
    "call_costs",
    "day_models",
    "day_turns",
    "day_calls",
    "day_inputs",
    "day_cached",
    "day_outputs",
    "day_costs",
    "day_unpriced",
    "tokens_per_minute",
    "messages_max",
)
_CANCEL = text(
    "UPDATE turns AS t SET status = 'cancelled', finished_at = now(), lease_expires_at = NULL"
    " WHERE t.user_id = :owner AND t.id = :turn"
    " AND t.status = ANY (CAST(:statuses AS text[]))"
    " RETURNING wake_next_1(t.user_id, t.conversation_id, t.id, t.number, true), t.channel"
)
_KEEP_TEXT = text(
    "INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number, position, role,"
    " content, interrupted) VALUES (:owner, :id, :conversation, :turn, :number,"
    " (SELECT max(m.position) + 1 FROM messages AS m"
    " WHERE m.user_id = CAST(:owner AS varchar) AND m.turn_id = :turn),"
    " 'assistant', :content, true)"
)
_KEEP_RESULT = text("UPDATE turns SET result = :result WHERE user_id = :owner AND id = :turn")
_KEEP_USAGE = text(
    "UPDATE turns SET model = :model, model_calls = :model_calls, input_tokens = :input_tokens,"
    " output_tokens = :output_tokens WHERE user_id = :owner AND id = :turn"
)


@dataclass(frozen=True, slots=True)
class Settled:
    """A turn that this attempt has ended.

    Attributes:
        tokens_counted: Whether its model tokens are counted against the user's limit.
        page: The conversation so far, if it was asked for.
    """

    tokens_counted: bool
    page: Page | None


class Unread(Exception):
    """The turn can't be completed: its user has said something that its run has not read."""


async def settle(
    database: Database,
    held: Claim,
    *,
    status: str,
    result: str,
    reply: MessageOut | None,
    model: str | None,
    counted_for: str | None,
    calls: Sequence[Call],
    events: Sequence[StoredEvent],
    process: UUID,
    tokens_per_minute: int | None,
    messages_max: int | None,
) -> Settled | None:
    """End a turn that this attempt runs, and wake the next: turn_settle_2.sql.

    Args:
        database: Where it is stored.
        held: The attempt.
        status: How it ends.
        result: The JSON of the answer or of the error.
        reply: The assistant's message, if there is one.
        model: The model that answered last.
        counted_for: The model that the turn counts for in its user's usage.
        calls: What models answered in it, in any attempt.
        events: The turn's last events.
        process: This process.
        tokens_per_minute: How many model tokens the user may spend; None if they are not limited.
        messages_max: How many messages of the conversation to return; None for none.

    Returns:
        None if this attempt no longer runs the turn.

    Raises:
        Unread: it would be completed with a message unread; nothing has changed.
        DatabaseError: the outcome is unknown.
    """
    row = await database.call(
        held.turn.principal,
        TURN_SETTLE,
        {
            "turn": held.turn.id,
            "attempt": held.attempt,
            "process": process,
            "status": status,
            "result": result,
            "model": model,
            "last_seq": events[-1].seq,
            "reply_id": reply.id if reply else None,
            "reply": reply.content if reply else None,
            "replied_at": reply.created_at if reply else None,
            "tokens_per_minute": tokens_per_minute,
            "messages_max": messages_max,
            **event_values(events),
            **_sums(calls),
            **usage_values(calls, counted_for),
        },
    )
    if row.steered:
        raise Unread
    if not row.settled:
        return None
    page = None if messages_max is None else Page(row.messages, row.has_more)
    return Settled(row.tokens_counted, page)


def _sums(calls: Sequence[Call]) -> dict[str, int]:
    return {
        "model_calls": len(calls),
        "input_tokens": sum(call.input_tokens for call in calls),
        "output_tokens": sum(call.output_tokens for call in calls),
    }


async def cancel(
    connection: Connection, turn: TurnRef, *, statuses: Sequence[str] = UNFINISHED
) -> str | None:
    """End an unfinished turn, whoever runs it; None if it has none of these statuses.

    From then on nobody else writes anything of it. Its result is still to be kept.

    Returns:
        How its message came in.
    """
    values = {"owner": turn.principal.user_id, "turn": turn.id, "statuses": list(statuses)}
    row = (await connection.execute(_CANCEL, values)).one_or_none()
    return None if row is None else str(row.channel)


async def keep_result(connection: Connection, turn: TurnRef, result: str) -> None:
    """Keep the JSON of how a turn ended that this transaction has cancelled."""
    values = {"owner": turn.principal.user_id, "turn": turn.id, "result": result}
    await connection.change(_KEEP_RESULT, values)


async def keep_interrupted(
    connection: Connection, turn: TurnRef, message_id: UUID, content: str
) -> None:
    """Keep what was read of the reply of a turn that this transaction has cancelled."""
    values = {
        "owner": turn.principal.user_id,
        "id": message_id,
        "conversation": turn.conversation_id,
        "turn": turn.id,
        "number": turn.number,
        "content": content,
    }
    await connection.change(_KEEP_TEXT, values)


async def keep_usage(connection: Connection, turn: TurnRef, calls: Sequence[Call]) -> None:
    """Count the model calls of a turn that this transaction has cancelled."""
    await connection.execute(
        _KEEP_USAGE,
        {
            "owner": turn.principal.user_id,
            "turn": turn.id,
            "model": calls[-1].model,
            **_sums(calls),
        },
    )
    await record_usage(connection, turn.principal, turn.id, calls)


_PAGE = text("SELECT * FROM conversation_page_2(:owner, :conversation, :until, :messages_max)")


async def page_at(connection: Connection, turn: TurnRef, *, messages_max: int) -> Page:
    """The conversation as it was when a turn had ended, which never changes."""
    row = (
        await connection.execute(
            _PAGE,
            {
                "owner": turn.principal.user_id,
                "conversation": turn.conversation_id,
                "until": turn.number,
                "messages_max": messages_max,
            },
        )
    ).one()
    return Page(row.messages, row.has_more)
