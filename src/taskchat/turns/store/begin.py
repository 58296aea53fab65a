"""SQL of a turn's beginning. Every statement names the owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, text

from taskchat.conversations.models import Message
from taskchat.postgres.database import Connection, table_of
from taskchat.presence.repository import tell_followers
from taskchat.principal import Channel, Principal
from taskchat.tasks.repository import OPEN_TASKS
from taskchat.turns.events import StoredEvent
from taskchat.turns.models import UNFINISHED, Turn, one_of
from taskchat.turns.states import TurnRef
from taskchat.turns.store.events import event_values, insert_events

_turns = table_of(Turn)
_messages = table_of(Message)

_WAITING = text(
    "SELECT count(*) FROM turns WHERE user_id = :owner AND conversation_id = :conversation"
    f" AND {one_of('status', UNFINISHED)}"
)
# The row, the user's message and the first events in one round trip. If another request has just
# used the key, nothing is inserted.
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
    " told AS (" + insert_events("turn") + ")"
    " SELECT turn.id, CASE WHEN :count_open THEN "
    + OPEN_TASKS
    + " END AS open_tasks, "
    + tell_followers("turn")
    + " FROM turn"
).bindparams(
    bindparam("attempt", type_=_turns.c.attempt.type),
    bindparam("circumstances", type_=_turns.c.circumstances.type),
    bindparam("message", type_=_messages.c.id.type),
    bindparam("content", type_=_messages.c.content.type),
    bindparam("created_at", type_=_messages.c.created_at.type),
)


async def count_waiting(connection: Connection, principal: Principal, conversation_id: UUID) -> int:
    """Unfinished turns of a conversation that this transaction has locked."""
    return int(
        await connection.scalar(
            _WAITING, {"owner": principal.user_id, "conversation": conversation_id}
        )
        or 0
    )


@dataclass(frozen=True, slots=True)
class Inserted:
    """What is known about a turn once it is inserted.

    Attributes:
        open_tasks: How many open tasks its user has; None if nobody asked.
    """

    open_tasks: int | None


async def insert_turn(
    connection: Connection,
    turn: TurnRef,
    *,
    channel: Channel,
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
        connection: A connection of the principal's.
        turn: The turn by its ids.
        channel: How the message came in.
        starts: Whether its run may begin.
        process: The process that runs it then.
        lease_s: How long it keeps the turn without a sign of life.
        key: The caller's key, if there is one.
        fingerprint: Of the request that came with the key.
        circumstances: What is known about the sender.
        message_id: The id of the user's message.
        content: What the user said.
        created_at: When the user said it.
        events: The turn's first events.
        count_open: Whether to count the user's open tasks along the way.

    Returns:
        None if another turn has the key.
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
