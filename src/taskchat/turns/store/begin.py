"""The database's part of a turn's beginning, in alembic/functions/.

It is turn_begin_5.sql, or turn_begin_6.sql for a client that chooses ids.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from taskchat.conversations.past import PastTurn, Summary, past_turns_in
from taskchat.external_ids.ids import ChosenIds
from taskchat.postgres.database import Database, Function
from taskchat.postgres.line import Precedence
from taskchat.principal import Channel, Principal
from taskchat.tasks.tools import LOOKING
from taskchat.turns.states import TurnRef, TurnState, Version

PARAMETERS: Final = (
    "key",
    "fingerprint",
    "draining",
    "conversation",
    "is_new",
    "title",
    "scopes",
    "per_minute",
    "costs",
    "queue_max",
    "active_max",
    "conversations_max",
    "process",
    "lease_s",
    "turn",
    "channel",
    "circumstances",
    "message",
    "content",
    "said_at",
    "started_head",
    "started_tail",
    "at_once",
    "in_line",
    "history_turns_max",
    "with_summary",
    "with_open_tasks",
    "version_of",
    "versions_max",
    "looking",
)

TURN_BEGIN: Final = Function("turn_begin_5", *PARAMETERS)
TURN_BEGIN_CHOSEN: Final = Function(
    "turn_begin_6", *PARAMETERS, "protocol", "conversation_text", "message_text"
)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What became of a message.

    Attributes:
        outcome: begun, known, draining, not_found, ended, crowded, limited, busy, versions,
            taken or said (a message of its id is there).
        known: The turn that has its key, if it is known.
        number: The turn's place in its conversation, if it is begun.
        waiting: How many turns of the conversation were unfinished.
        levels: What is left of each limit, by scope; a turn that was refused for them has spent
            nothing, whatever they say.
        limits_failed: Whether the limits could not be checked.
        history: The newest turns before it, newest first.
        summary: A summary of what was said before that.
        open_tasks: How many open tasks its user has; None if nobody asked.
        version: What is told of it, if it may start and is another version of an earlier one.
    """

    outcome: str
    known: TurnState | None
    number: int
    waiting: int
    levels: Mapping[str, float]
    limits_failed: bool
    history: list[PastTurn]
    summary: Summary | None
    open_tasks: int | None
    version: Version | None


async def begin(
    database: Database,
    principal: Principal,
    *,
    key: str | None,
    fingerprint: bytes | None,
    draining: Callable[[], bool],
    conversation_id: UUID,
    is_new: bool,
    title: str,
    limits: Mapping[str, int],
    costs: Mapping[str, int],
    queue_max: int,
    active_max: int | None,
    conversations_max: int,
    process: UUID,
    lease_s: float,
    turn_id: UUID,
    channel: Channel,
    circumstances: dict[str, str] | None,
    message_id: UUID,
    content: str,
    said_at: datetime,
    started: tuple[str, str],
    at_once: str,
    in_line: str,
    history_turns_max: int,
    with_summary: bool,
    with_open_tasks: bool,
    version_of: UUID | None,
    versions_max: int,
    chosen: ChosenIds | None,
) -> Beginning:
    """Accept a message, in one transaction.

    Args:
        database: Where it is stored.
        principal: Who said it.
        key: The caller's key, if there is one.
        fingerprint: Of the request that came with the key.
        draining: Whether this process takes no new turns; asked once a connection is free.
        conversation_id: Where it was said.
        is_new: Whether the message starts the conversation.
        title: The conversation's, if it has none yet.
        limits: What the turn counts against: a minute's worth, by scope.
        costs: How much it spends of each, by scope.
        queue_max: The most turns of the conversation that may wait.
        active_max: The most conversations of the user that may be active; None means any number.
        conversations_max: The most conversations of the user.
        process: This process, which becomes the owner of a turn that may start at once.
        lease_s: How long it stays the owner without a sign of life.
        turn_id: The turn's id.
        channel: How the message came in.
        circumstances: What is known about the sender.
        message_id: The message's id.
        content: What was said.
        said_at: When.
        started: The JSON of the first event, before and after the turn's number.
        at_once: The JSON of the second one, if the turn may start.
        in_line: The same, if it has to wait.
        history_turns_max: The most turns of history to read.
        with_summary: Whether to read the conversation's summary.
        with_open_tasks: Whether to count the user's open tasks.
        version_of: The turn with the first version of the message, if this is another one.
        versions_max: The most versions of one message.
        chosen: What the message's client calls it and its conversation, if it chooses ids. A
            conversation that it has named is begun if it is not there.

    Raises:
        DatabaseError: nothing was stored, or the outcome is unknown.
    """

    def values() -> dict[str, Any]:
        return {
            "key": key,
            "fingerprint": fingerprint,
            "draining": draining(),
            "conversation": conversation_id,
            "is_new": is_new,
            "title": title,
            "scopes": list(limits),
            "per_minute": list(limits.values()),
            "costs": [costs[scope] for scope in limits],
            "queue_max": queue_max,
            "active_max": active_max,
            "conversations_max": conversations_max,
            "process": process,
            "lease_s": lease_s,
            "turn": turn_id,
            "channel": channel,
            "circumstances": None if circumstances is None else json.dumps(circumstances),
            "message": message_id,
            "content": content,
            "said_at": said_at,
            "started_head": started[0],
            "started_tail": started[1],
            "at_once": at_once,
            "in_line": in_line,
            "history_turns_max": history_turns_max,
            "with_summary": with_summary,
            "with_open_tasks": with_open_tasks,
            "version_of": version_of,
            "versions_max": versions_max,
            "looking": list(LOOKING),
            "protocol": chosen and chosen.protocol,
            "conversation_text": chosen and chosen.conversation,
            "message_text": chosen and chosen.message,
        }

    step = TURN_BEGIN if chosen is None else TURN_BEGIN_CHOSEN
    row = await database.call(principal, step, values, Precedence.ARRIVING)
    return Beginning(
        outcome=row.outcome,
        known=_known(row, principal) if row.outcome == "known" else None,
        number=row.number,
        waiting=row.waiting,
        levels=dict(zip(row.scopes or (), row.levels or (), strict=True)),
        limits_failed=bool(row.limits_failed),
        history=past_turns_in(row.history),
        summary=None if row.summary_turn is None else Summary(row.summary, row.summary_turn),
        open_tasks=row.open_tasks,
        version=Version(row.version_of, row.version, row.follows, row.changes_kept)
        if row.version_of
        else None,
    )


def _known(row: Any, principal: Principal) -> TurnState:
    turn = TurnRef(principal, row.turn, row.conversation, row.number)
    return TurnState(turn, row.status, row.result, row.fingerprint)
