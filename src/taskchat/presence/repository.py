"""SQL of who is connected. Only the database's clock decides who still is."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import Connection
from taskchat.principal import Principal

EVENTS_CHANNEL: Final = "taskchat_events"
"""Payload: the id of a conversation in which something happened."""

PLACES_CHANNEL: Final = "taskchat_places"
"""Payload: the id of a user who needs a place for a WebSocket and has none left."""


# One user's connections are counted one after another: whoever joins locks the user's row.
_LOCK_USER = text("SELECT 1 FROM users WHERE id = :owner FOR NO KEY UPDATE")
_COUNT = text(
    "SELECT count(*) FROM live_connections WHERE user_id = :owner AND kind = :kind"
    " AND expires_at > now()"
)
_JOIN = text(
    "INSERT INTO live_connections (user_id, id, kind, conversation_id, process, expires_at)"
    " VALUES (:owner, :id, :kind, :conversation, :process, now() + make_interval(secs => :lease_s))"
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
    "DELETE FROM live_connections WHERE expires_at < now() - make_interval(secs => :lease_s)"
)


async def join(
    connection: Connection,
    principal: Principal,
    id_: UUID,
    *,
    kind: str,
    conversation_id: UUID | None,
    process: UUID,
    lease_s: float,
    connections_max: int | None,
) -> bool:
    """Note a connection; False if the user has as many of its kind as they may."""
    if connections_max is not None:
        await connection.execute(_LOCK_USER, {"owner": principal.user_id})
        if await count(connection, principal, kind=kind) >= connections_max:
            return False
    await connection.execute(
        _JOIN,
        {
            "owner": principal.user_id,
            "id": id_,
            "kind": kind,
            "conversation": conversation_id,
            "process": process,
            "lease_s": lease_s,
        },
    )
    return True


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


async def forget_dead(connection: Connection, *, lease_s: float) -> int:
    """Forget connections of processes that died; returns how many. A system transaction."""
    return await connection.change(_FORGET, {"lease_s": lease_s})
