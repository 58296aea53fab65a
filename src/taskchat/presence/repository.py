"""SQL of who is connected. Only the database's clock decides who still is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.errors import NotFound
from taskchat.moments import new_id
from taskchat.postgres.database import Connection, Database, Function
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal

EVENTS_CHANNEL: Final = "taskchat_events"
"""Payload: the id of a conversation in which something happened."""

PLACES_CHANNEL: Final = "taskchat_places"
"""Payload: the id of a user who needs a place for a WebSocket and has none left."""


JOIN: Final = Function(
    "presence_join_1", "id", "kind", "conversation", "process", "lease_s", "connections_max"
)
_COUNT = text(
    "SELECT count(*) FROM live_connections WHERE user_id = :owner AND kind = :kind"
    " AND expires_at > now()"
)
_ASK_OTHERS = text(
    "SELECT pg_notify('" + PLACES_CHANNEL + "', :owner) WHERE EXISTS (SELECT 1"
    " FROM live_connections WHERE user_id = :owner AND kind = 'websocket'"
    " AND expires_at > now() AND process <> :process)"
)
_CROWDED = text(
    "SELECT user_id FROM live_connections WHERE kind = 'websocket' AND expires_at > now()"
    " AND user_id IN (SELECT user_id FROM live_connections WHERE process = :process)"
    " GROUP BY user_id HAVING count(*) >= :most"
)
_MOVE = text(
    "UPDATE live_connections SET conversation_id = :conversation"
    " WHERE user_id = :owner AND id = :id"
)
_LEAVE = text("DELETE FROM live_connections WHERE user_id = :owner AND id = :id")
_RENEW = text(
    "UPDATE live_connections SET expires_at = now() + make_interval(secs => :lease_s)"
    " WHERE process = :process AND id = ANY (CAST(:ids AS uuid[]))"
)
_FORGET = text(
    "DELETE FROM live_connections WHERE (user_id, id) IN (SELECT user_id, id FROM live_connections"
    " WHERE expires_at < now() - make_interval(secs => :lease_s)"
    " LIMIT :rows_max FOR UPDATE SKIP LOCKED)"
)


@dataclass(frozen=True, slots=True)
class Joined:
    """A connection that is noted, and where its conversation stood at that moment.

    Attributes:
        id: Its id.
        last_turn: How many turns the conversation had.
        unfinished: Those under way or waiting, in order.
        numbers: Their numbers.
        seqs: The last event of each.
    """

    id: UUID
    last_turn: int
    unfinished: Sequence[UUID]
    numbers: Sequence[int]
    seqs: Sequence[int]


async def join(
    database: Database,
    principal: Principal,
    *,
    kind: str,
    conversation_id: UUID | None,
    process: UUID,
    lease_s: float,
    connections_max: int | None,
) -> Joined | None:
    """Note a connection: presence_join_1.sql.

    Args:
        database: Where it is noted.
        principal: Whose it is.
        kind: websocket or sse.
        conversation_id: What it follows, if that exists yet.
        process: This process.
        lease_s: How long it counts without a sign of life.
        connections_max: The most of its kind; None counts none.

    Returns:
        None if the user has as many as they may.

    Raises:
        NotFound: the principal has no such conversation.
        DatabaseError: it could not be noted.
    """
    id_ = new_id()
    row = await database.call(
        principal,
        JOIN,
        {
            "id": id_,
            "kind": kind,
            "conversation": conversation_id,
            "process": process,
            "lease_s": lease_s,
            "connections_max": connections_max,
        },
        Precedence.ARRIVING,
    )
    if row.outcome == "no_conversation":
        raise NotFound(f"No conversation {conversation_id}.", conversation_id=conversation_id)
    if row.outcome == "full":
        return None
    return Joined(id_, row.last_turn or 0, row.unfinished or (), row.numbers or (), row.seqs or ())


async def count(connection: Connection, principal: Principal, *, kind: str) -> int:
    """How many connections of a kind a user has."""
    counted = await connection.scalar(_COUNT, {"owner": principal.user_id, "kind": kind})
    return int(counted or 0)


async def ask_others(connection: Connection, principal: Principal, *, process: UUID) -> bool:
    """Notify the other processes that have WebSockets of a user; False if there are none."""
    told = await connection.execute(_ASK_OTHERS, {"owner": principal.user_id, "process": process})
    return bool(told.all())


async def crowded(connection: Connection, *, process: UUID, most: int) -> list[str]:
    """Users of a process who have this many WebSockets or more. A system transaction."""
    found = await connection.execute(_CROWDED, {"process": process, "most": most})
    return [str(user_id) for user_id in found.scalars()]


async def move(
    connection: Connection, principal: Principal, id_: UUID, conversation_id: UUID
) -> None:
    """Note that a connection follows this conversation now."""
    await connection.execute(
        _MOVE, {"owner": principal.user_id, "id": id_, "conversation": conversation_id}
    )


async def leave(connection: Connection, principal: Principal, id_: UUID) -> None:
    """Note that a connection is gone."""
    await connection.execute(_LEAVE, {"owner": principal.user_id, "id": id_})


async def renew(
    connection: Connection, ids: Sequence[UUID], *, process: UUID, lease_s: float
) -> None:
    """Renew connections of a process. A system transaction."""
    await connection.execute(_RENEW, {"ids": ids, "process": process, "lease_s": lease_s})


async def forget_dead(connection: Connection, *, lease_s: float, rows_max: int) -> int:
    """Forget connections of processes that died; returns how many. A system transaction."""
    return await connection.change(_FORGET, {"lease_s": lease_s, "rows_max": rows_max})
