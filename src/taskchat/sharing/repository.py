"""SQL of links. Every statement names the owner; who comes with a link learns it from the link."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import TextClause, text

from taskchat.conversations.messages import calls_with
from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal
from taskchat.sharing.schemas import SharedMessage, SharedToolCall, ShareOut

SHOWN: Final = (
    "id, title, (SELECT CAST(coalesce(sum(upper(r) - lower(r)), 0) AS int) FROM unnest(turns) AS r)"
    " AS turns, with_tool_calls, created_at, expires_at"
)
"""What is told of a link, as columns."""

_MINE: Final = "user_id = :owner AND conversation_id = :conversation"

_MAKE = text(
    "INSERT INTO shares (user_id, id, conversation_id, token_hash, title, turns,"
    " with_tool_calls, expires_at) SELECT c.user_id, :id, c.id, :token_hash, c.title,"
    " coalesce(c.branch, int4multirange(int4range(1, c.last_turn + 1)))"
    # Turns run in order: those before the first unfinished one are over for good.
    " * int4multirange(int4range(1, coalesce((SELECT min(t.number) FROM turns AS t"
    " WHERE t.user_id = :owner AND t.conversation_id = :conversation"
    " AND t.status IN ('queued', 'running', 'awaiting_feedback')), c.last_turn + 1))),"
    " :with_tool_calls, now() + make_interval(hours => :expires_in_h)"
    " FROM conversations AS c WHERE c.user_id = :owner AND c.id = :conversation"
    f" RETURNING {SHOWN}"
)
_COUNT = text(f"SELECT count(*) FROM shares WHERE {_MINE} AND expires_at > now()")
_LIST = text(
    f"SELECT {SHOWN} FROM shares WHERE {_MINE} AND expires_at > now()"
    " AND (CAST(:after AS uuid) IS NULL OR id < :after) ORDER BY id DESC LIMIT :rows_max"
)
_REVOKE = text(f"DELETE FROM shares WHERE {_MINE} AND id = :id AND expires_at > now()")
_REVOKE_ALL = text(f"DELETE FROM shares WHERE {_MINE}")
_FORGET = text(
    "DELETE FROM shares WHERE (user_id, id) IN (SELECT user_id, id FROM shares"
    " WHERE expires_at <= now() ORDER BY expires_at LIMIT :rows_max FOR UPDATE SKIP LOCKED)"
)
_OPEN = text(
    "SELECT user_id, conversation_id, title, with_tool_calls, created_at, expires_at"
    " FROM shares WHERE token_hash = :token_hash AND expires_at > now()"
)


def _page(beyond: str, order: str) -> TextClause:
    """A page of messages with their tool calls, as far as row-level security shows them."""
    columns = "turn_id, turn_number, position, role, content, created_at, interrupted"
    return text(
        "SELECT m.turn_number, m.position, m.role, m.content, m.created_at, m.interrupted,"
        " called.calls"
        f" FROM (SELECT {columns} FROM messages WHERE {_MINE}"
        f" AND (turn_number, position) {beyond} (CAST(:turn AS int), CAST(:position AS int))"
        f" ORDER BY turn_number {order}, position {order} LIMIT :rows_max) AS m"
        f" LEFT JOIN {calls_with(SharedToolCall.model_fields)} ON true"
        f" ORDER BY m.turn_number {order}, m.position {order}"
    )


_BEFORE: Final = _page("<", "DESC")
_AFTER: Final = _page(">", "ASC")
_CALLS: Final = TypeAdapter(list[SharedToolCall])


@dataclass(frozen=True, slots=True)
class OpenShare:
    """A link that is good, as the database knows it."""

    user_id: str
    conversation_id: UUID
    title: str | None
    with_tool_calls: bool
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """A message of a conversation: the number of its turn, and its position there."""

    turn: int
    position: int


def _share(row: AnyRow) -> ShareOut:
    return ShareOut.model_construct(**row)


async def make_share(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    id_: UUID,
    *,
    token_hash: bytes,
    with_tool_calls: bool,
    expires_in_h: int,
) -> ShareOut:
    """Keep a link to a conversation that is held, as far as its turns are over."""
    values = {
        **_of(principal, conversation_id),
        "id": id_,
        "token_hash": token_hash,
        "with_tool_calls": with_tool_calls,
        "expires_in_h": expires_in_h,
    }
    return _share((await connection.execute(_MAKE, values)).one())


async def count_shares(connection: Connection, principal: Principal, conversation_id: UUID) -> int:
    """How many good links a conversation has."""
    return int(await connection.scalar(_COUNT, _of(principal, conversation_id)))


async def list_shares(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    after: UUID | None,
    limit: int,
) -> list[ShareOut]:
    """Good links of a conversation, the newest first, from behind one of them."""
    values = {**_of(principal, conversation_id), "after": after, "rows_max": limit}
    return [_share(row) for row in await connection.execute(_LIST, values)]


async def revoke_share(
    connection: Connection, principal: Principal, conversation_id: UUID, id_: UUID
) -> bool:
    """Delete a link; False if there is none that is good."""
    values = {**_of(principal, conversation_id), "id": id_}
    return await connection.change(_REVOKE, values) > 0


async def revoke_shares(connection: Connection, principal: Principal, conversation_id: UUID) -> int:
    """Delete all links of a conversation; returns how many."""
    return await connection.change(_REVOKE_ALL, _of(principal, conversation_id))


def _of(principal: Principal, conversation_id: UUID) -> dict[str, object]:
    return {"owner": principal.user_id, "conversation": conversation_id}


async def forget_expired(connection: Connection, *, rows_max: int) -> int:
    """Delete links of anybody's that have expired; returns how many. A system transaction."""
    return await connection.change(_FORGET, {"rows_max": rows_max})


# --- for who comes with a link: in a transaction of `Database.reader_transaction` ---


async def open_share(connection: Connection, token_hash: bytes) -> OpenShare | None:
    """The good link with a token of this hash, if there is one."""
    row = (await connection.execute(_OPEN, {"token_hash": token_hash})).one_or_none()
    return OpenShare(**row) if row else None


async def messages_before(
    connection: Connection, share: OpenShare, before: Place, *, limit: int
) -> tuple[list[SharedMessage], Place | None]:
    """The newest messages before a place, in order; and the first one's, if more precede it."""
    rows = await _rows(connection, _BEFORE, share, before, limit)
    return [_message(row, share) for row in rows[:limit][::-1]], _further(rows, limit)


async def messages_after(
    connection: Connection, share: OpenShare, after: Place, *, limit: int
) -> tuple[list[SharedMessage], Place | None]:
    """The oldest messages after a place, in order; and the last one's, if more follow it."""
    rows = await _rows(connection, _AFTER, share, after, limit)
    return [_message(row, share) for row in rows[:limit]], _further(rows, limit)


def _further(rows: Sequence[AnyRow], limit: int) -> Place | None:
    if len(rows) <= limit:
        return None
    return Place(rows[limit - 1].turn_number, rows[limit - 1].position)


def _message(row: AnyRow, share: OpenShare) -> SharedMessage:
    calls = _CALLS.validate_json(row.calls or "[]") if share.with_tool_calls else None
    return SharedMessage.model_construct(
        role=row.role,
        content=row.content,
        created_at=row.created_at,
        interrupted=row.interrupted,
        tool_calls=calls,
    )


async def _rows(
    connection: Connection, statement: TextClause, share: OpenShare, place: Place, limit: int
) -> Sequence[AnyRow]:
    """The rows of a page, and one more if there is one."""
    values = {
        "owner": share.user_id,
        "conversation": share.conversation_id,
        "turn": place.turn,
        "position": place.position,
        "rows_max": limit + 1,
    }
    return (await connection.execute(statement, values)).all()
