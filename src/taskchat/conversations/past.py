"""SQL of what a run is given of a conversation: its newest turns, and a summary of older ones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import Connection
from taskchat.principal import Principal


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


_KEEP_SUMMARY: Final = text(
    "UPDATE conversations SET summary = :summary, summary_turn = :until"
    " WHERE user_id = :owner AND id = :conversation AND summary_turn = :after"
)
_FIND_SUMMARY: Final = text(
    "SELECT summary, summary_turn FROM conversations WHERE user_id = :owner AND id = :conversation"
)
_HISTORY: Final = text("SELECT turn_history_1(:owner, :conversation, :before, :turns_max)")


async def past_turns(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    before: int,
    turns_max: int,
) -> list[PastTurn]:
    """The newest turns before this one, newest first. All of them are over when it may run."""
    return past_turns_in(
        await connection.scalar(
            _HISTORY,
            {
                "owner": principal.user_id,
                "conversation": conversation_id,
                "before": before,
                "turns_max": turns_max,
            },
        )
    )


async def turns_between(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    after: int,
    before: int,
    turns_max: int,
) -> list[PastTurn]:
    """The oldest turns between two, oldest first."""
    # Turns are numbered without gaps.
    before = min(before, after + turns_max + 1)
    turns = await past_turns(
        connection,
        principal,
        conversation_id,
        before=before,
        turns_max=max(0, before - after - 1),
    )
    return turns[::-1]


def past_turns_in(history: str | None) -> list[PastTurn]:
    """The turns in what the function `turn_history_1` returned."""
    return [
        PastTurn(number=number, said=said, calls=calls or (), reply=reply)
        for number, said, calls, reply in (json.loads(history) if history else ())
    ]


async def find_summary(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> Summary | None:
    """The summary of a conversation's beginning; None if the conversation is gone."""
    rows = await connection.execute(
        _FIND_SUMMARY, {"owner": principal.user_id, "conversation": conversation_id}
    )
    row = rows.one_or_none()
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
    return (
        await connection.change(
            _KEEP_SUMMARY,
            {
                "owner": principal.user_id,
                "conversation": conversation_id,
                "after": after,
                "summary": summary.text,
                "until": summary.until,
            },
        )
        > 0
    )
