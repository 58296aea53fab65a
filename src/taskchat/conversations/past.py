"""SQL of what a run is given of a conversation: its newest turns, and a summary of older ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, true, update

from taskchat.conversations.messages import IS_REPLY, REPLIES, calls_of_turn
from taskchat.conversations.models import Conversation, Message
from taskchat.postgres.database import AnyRow, Connection, table_of
from taskchat.principal import Principal

_conversations = table_of(Conversation)
_messages = table_of(Message)


@dataclass(frozen=True, slots=True)
class PastTurn:
    """A finished turn, as the next one's history needs it.

    Attributes:
        number: Its place in the conversation.
        said: The user's message.
        calls: Its executed tool calls in order: call_id, tool_name, parameters, result, status.
        reply: What was answered; None if the turn failed or was cancelled.
    """

    number: int
    said: str
    calls: Sequence[dict[str, Any]]
    reply: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of the first turns of a conversation.

    Attributes:
        text: The summary; None while there is none.
        until: The last turn that it covers.
    """

    text: str | None
    until: int


_history_calls = calls_of_turn("call_id", "tool_name", "parameters", "result", "status")
_PAST_TURNS = (
    select(
        _messages.c.turn_number,
        _messages.c.content,
        _history_calls.c.calls,
        REPLIES.c.content.label("reply"),
    )
    .select_from(_messages.outerjoin(REPLIES, IS_REPLY).join(_history_calls, true(), isouter=True))
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
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    before: int,
    turns_max: int,
) -> Sequence[PastTurn]:
    """The newest turns before this one, newest first. All of them are over when it may run."""
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
    connection: Connection,
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
    connection: Connection, principal: Principal, conversation_id: UUID
) -> Summary | None:
    """The summary of a conversation's beginning; None if the conversation is gone."""
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
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    after: int,
    summary: Summary,
) -> bool:
    """Replace the summary that covered up to `after`; False if that one has changed."""
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
