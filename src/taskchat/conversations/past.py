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
        reply: What was answered; None if the turn failed, or was cancelled before anything was.
        interrupted: Whether the reply was stopped in the middle.
        steered: What the user said while it ran, each with how many calls had been executed when it
            was read; None if it never was.
    """

    number: int
    said: str
    calls: Sequence[dict[str, Any]]
    reply: str | None
    interrupted: bool = False
    steered: Sequence[tuple[str, int | None]] = ()


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
    " WHERE user_id = :owner AND id = :conversation AND CASE"
    " WHEN branch IS NULL THEN summary_turn = :after"
    # Of the branch that is shown; a summary of another one is none.
    " ELSE CAST(:until AS int) <@ branch"
    " AND CASE WHEN summary_turn <@ branch THEN summary_turn ELSE 0 END = :after END"
)
_FIND_SUMMARY: Final = text("SELECT summary, summary_turn FROM turn_summary_1(:owner, :turn)")
_HISTORY: Final = text("SELECT turn_history_3(:owner, :turn, :before, :turns_max)")
_OLDEST: Final = text(
    "SELECT max(oldest.number) FROM (SELECT t.number FROM turns AS t, turns AS last"
    " WHERE last.user_id = :owner AND last.id = :turn"
    " AND t.user_id = :owner AND t.conversation_id = last.conversation_id"
    " AND t.number > :after AND t.number < :before"
    " AND (last.path IS NULL OR t.number <@ last.path OR t.number = last.number)"
    " ORDER BY t.number LIMIT :turns_max) AS oldest"
)


async def past_turns(
    connection: Connection,
    principal: Principal,
    turn_id: UUID,
    *,
    before: int,
    turns_max: int,
) -> list[PastTurn]:
    """The newest turns that a turn follows, newest first. All of them are over when it may run.

    Args:
        connection: Where to look.
        principal: The turn's user.
        turn_id: The turn.
        before: Only those below this number; above the turn's own it counts among them.
        turns_max: The most to return.
    """
    return past_turns_in(
        await connection.scalar(
            _HISTORY,
            {
                "owner": principal.user_id,
                "turn": turn_id,
                "before": before,
                "turns_max": turns_max,
            },
        )
    )


async def turns_between(
    connection: Connection,
    principal: Principal,
    turn_id: UUID,
    *,
    after: int,
    before: int,
    turns_max: int,
) -> list[PastTurn]:
    """The oldest turns between two numbers, oldest first, of those that a turn follows."""
    values = {
        "owner": principal.user_id,
        "turn": turn_id,
        "after": after,
        "before": before,
        "turns_max": turns_max,
    }
    last = await connection.scalar(_OLDEST, values)
    if last is None:
        return []
    turns = await past_turns(connection, principal, turn_id, before=last + 1, turns_max=turns_max)
    return [turn for turn in turns[::-1] if turn.number > after]


def past_turns_in(history: str | None) -> list[PastTurn]:
    """The turns in what the function `turn_history_3` returned."""
    return [
        PastTurn(
            number,
            said,
            calls or (),
            reply,
            bool(interrupted),
            [(content, after_calls) for content, after_calls in steered or ()],
        )
        for number, said, calls, reply, interrupted, steered in json.loads(history or "[]")
    ]


async def find_summary(
    connection: Connection, principal: Principal, turn_id: UUID
) -> Summary | None:
    """The summary of the beginning of what a turn follows; None if the turn is gone."""
    rows = await connection.execute(_FIND_SUMMARY, {"owner": principal.user_id, "turn": turn_id})
    row = rows.one()
    return None if row.summary_turn is None else Summary(row.summary, row.summary_turn)


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
