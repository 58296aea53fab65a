"""SQL of sessions and their refresh tokens. Whoever refreshes holds the session's row first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.moments import new_id
from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal

_HOLD_ACCOUNT: Final = text(
    "SELECT true FROM accounts WHERE user_id = :owner AND password_changed_at = :seen FOR UPDATE"
)
_ADD: Final = text(
    "INSERT INTO account_sessions (user_id, id, user_agent, expires_at, ends_at)"
    " SELECT :owner, CAST(:session AS uuid), :user_agent,"
    " now() + least(i.idle, i.whole), now() + i.whole"
    " FROM (SELECT make_interval(hours => :idle_h) AS idle,"
    " make_interval(hours => :whole_h) AS whole) AS i"
)
_END_OLDEST: Final = text(
    "DELETE FROM account_sessions WHERE user_id = :owner AND id IN (SELECT id FROM account_sessions"
    " WHERE user_id = :owner ORDER BY id = :session DESC, used_at DESC, id DESC OFFSET :kept)"
)
_ADD_TOKEN: Final = text(
    "INSERT INTO refresh_tokens (user_id, id, session_id, hash, expires_at)"
    " SELECT user_id, CAST(:token AS uuid), id, CAST(:hash AS bytea), expires_at"
    " FROM account_sessions WHERE user_id = :owner AND id = :session"
)
_SEEK: Final = text("SELECT user_id, id, session_id FROM refresh_tokens WHERE hash = :hash")
_HOLD: Final = text(
    "SELECT true FROM account_sessions WHERE user_id = :owner AND id = :session FOR UPDATE"
)
_STANDING: Final = text(
    "SELECT CASE WHEN spent_at IS NULL AND expires_at > clock_timestamp() THEN 'good'"
    " WHEN spent_at IS NULL THEN 'expired'"
    " WHEN spent_at > clock_timestamp() - make_interval(secs => :grace_s) THEN 'spent'"
    " ELSE 'reused' END FROM refresh_tokens WHERE user_id = :owner AND id = :token"
)
_SPEND: Final = text(
    "UPDATE refresh_tokens SET spent_at = clock_timestamp() WHERE user_id = :owner AND id = :token"
)
_USE: Final = text(
    "UPDATE account_sessions SET used_at = clock_timestamp(),"
    " expires_at = least(ends_at, clock_timestamp() + make_interval(hours => :idle_h))"
    " WHERE user_id = :owner AND id = :session"
)
_FIND: Final = text(
    "SELECT a.email, a.created_at, a.password_changed_at FROM account_sessions AS s"
    " JOIN accounts AS a ON a.user_id = s.user_id"
    " WHERE s.user_id = :owner AND s.id = :session AND s.expires_at > now()"
)
_LIST: Final = text(
    "SELECT id, user_agent, created_at, used_at, expires_at FROM account_sessions"
    " WHERE user_id = :owner AND expires_at > now() ORDER BY used_at DESC, id DESC"
)
_END: Final = text("DELETE FROM account_sessions WHERE user_id = :owner AND id = :session")
_END_ALL: Final = text(
    "DELETE FROM account_sessions WHERE user_id = :owner"
    " AND id IS DISTINCT FROM CAST(:kept AS uuid)"
)
_FORGET: Final = text(
    "DELETE FROM account_sessions WHERE (user_id, id) IN (SELECT user_id, id FROM account_sessions"
    " WHERE expires_at < now() LIMIT :rows_max)"
)
_FORGET_TOKENS: Final = text(
    "DELETE FROM refresh_tokens WHERE (user_id, id) IN (SELECT user_id, id FROM refresh_tokens"
    " WHERE expires_at < now() LIMIT :rows_max)"
)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long sessions live, in hours: without being refreshed, and in all."""

    idle_h: int
    whole_h: int


@dataclass(frozen=True, slots=True)
class TokenRef:
    """One refresh token: its owner, its id, its session."""

    principal: Principal
    id: UUID
    session: UUID


async def hold_account(connection: Connection, principal: Principal, *, seen: datetime) -> bool:
    """Whether the password is still the one that was seen; it stays so until the commit.

    Who signs in to one account does so one after another: with a shared lock, two who then change
    the row would wait for each other.
    """
    values = {"owner": principal.user_id, "seen": seen}
    return bool(await connection.scalar(_HOLD_ACCOUNT, values))


async def add(
    connection: Connection,
    principal: Principal,
    *,
    token_hash: bytes,
    user_agent: str,
    lifetimes: Lifetimes,
    sessions_max: int,
) -> UUID:
    """Begin a session; returns its id. Of too many, the least recently used end."""
    owner, session = principal.user_id, new_id()
    await connection.execute(
        _ADD,
        {
            "owner": owner,
            "session": session,
            "user_agent": user_agent,
            "idle_h": lifetimes.idle_h,
            "whole_h": lifetimes.whole_h,
        },
    )
    await add_token(connection, principal, session, token_hash=token_hash)
    values = {"owner": owner, "session": session, "kept": sessions_max}
    await connection.change(_END_OLDEST, values)
    return session


async def add_token(
    connection: Connection, principal: Principal, session: UUID, *, token_hash: bytes
) -> None:
    """Give a session another refresh token, which lives as long as the session."""
    values = {
        "owner": principal.user_id,
        "session": session,
        "token": new_id(),
        "hash": token_hash,
    }
    await connection.execute(_ADD_TOKEN, values)


async def seek(connection: Connection, token_hash: bytes) -> TokenRef | None:
    """The refresh token of that hash. An account transaction that seeks it."""
    row = (await connection.execute(_SEEK, {"hash": token_hash})).one_or_none()
    return None if row is None else TokenRef(Principal(row.user_id), row.id, row.session_id)


async def hold(connection: Connection, ref: TokenRef, *, grace_s: float) -> str:
    """How a refresh token stands, which stays so until the commit.

    Returns:
        good; expired; gone with its session; spent just now; or reused: spent longer ago.
    """
    owner = ref.principal.user_id
    if not await connection.scalar(_HOLD, {"owner": owner, "session": ref.session}):
        return "gone"
    # A statement of its own: one that waited for the row still sees what was before its wait.
    values = {"owner": owner, "token": ref.id, "grace_s": grace_s}
    return str(await connection.scalar(_STANDING, values) or "gone")


async def replace(connection: Connection, ref: TokenRef, *, token_hash: bytes, idle_h: int) -> None:
    """Spend a refresh token that is held, and give its session the next one."""
    owner = ref.principal.user_id
    await connection.execute(_SPEND, {"owner": owner, "token": ref.id})
    await connection.execute(_USE, {"owner": owner, "session": ref.session, "idle_h": idle_h})
    await add_token(connection, ref.principal, ref.session, token_hash=token_hash)


async def find(connection: Connection, principal: Principal, session: UUID) -> AnyRow | None:
    """The account behind a session that has not ended."""
    values = {"owner": principal.user_id, "session": session}
    return (await connection.execute(_FIND, values)).one_or_none()


async def sessions(connection: Connection, principal: Principal) -> Sequence[AnyRow]:
    """The principal's sessions, the one that was used last first."""
    return (await connection.execute(_LIST, {"owner": principal.user_id})).all()


async def end(connection: Connection, principal: Principal, session: UUID) -> bool:
    """End a session; False if the principal has none of that id."""
    values = {"owner": principal.user_id, "session": session}
    return bool(await connection.change(_END, values))


async def end_all(connection: Connection, principal: Principal, *, kept: UUID | None = None) -> int:
    """End the principal's sessions, all or all but one; returns how many."""
    return await connection.change(_END_ALL, {"owner": principal.user_id, "kept": kept})


async def forget_expired(connection: Connection, *, rows_max: int) -> int:
    """Delete some sessions that are over, with their tokens. A system transaction."""
    return await connection.change(_FORGET, {"rows_max": rows_max})


async def forget_expired_tokens(connection: Connection, *, rows_max: int) -> int:
    """Delete some refresh tokens that are of no use even to a thief. A system transaction."""
    return await connection.change(_FORGET_TOKENS, {"rows_max": rows_max})
