"""SQL of who lives. Only the database's clock decides, and only who has watched may judge."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import SYSTEM_ROLE, Connection

BEATS_A_LEASE: Final = 6
"""A few may be missed, and a death is noticed long before the lease ends."""

GONE_S_MIN: Final = 1.5
"""A process whose session was cut needs a moment to open another, on a busy machine too."""

FORGOTTEN_H: Final = 1
"""Hours for which the row of a process that is no more is kept: how it ended decides what its turns
lost with it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """For how long a silent process keeps its turns.

    Attributes:
        seconds: Without a sign of life, where nothing else is known of it.
        grace_s: So much longer while its session with the database is open: slow is not dead.
    """

    seconds: float
    grace_s: float

    @property
    def gone_s(self) -> float:
        """How long it may be silent once that session has ended.

        Whoever judges others must itself have been there, without a break, for as long: after a
        database was away, all processes come back one after another.
        """
        return max(self.seconds / 3, GONE_S_MIN)

    @property
    def beat_s(self) -> float:
        """Between two signs of life."""
        return self.seconds / BEATS_A_LEASE

    def values(self) -> dict[str, float]:
        """What `LOST` takes besides `process`."""
        return {"lease_s": self.seconds, "grace_s": self.grace_s, "gone_s": self.gone_s}


LOST: Final = (
    "lost AS MATERIALIZED (SELECT silent.id, silent.fate FROM ("
    "SELECT p.id, p.expires_at, CASE WHEN p.ended THEN 'ended'"
    " WHEN p.session IS NULL THEN 'unknown'"
    # A session holds a lock for as long as it is open, and no longer.
    " WHEN NOT EXISTS (SELECT 1 FROM pg_locks AS l WHERE l.locktype = 'advisory'"
    " AND l.objsubid = 1 AND l.granted"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (l.classid::bigint << 32) | l.objid::bigint = p.session) THEN 'gone'"
    " WHEN p.stuck THEN 'stuck' ELSE 'silent' END AS fate"
    " FROM processes AS p WHERE p.id <> :process"
    " AND (p.expires_at < now() OR p.seen_at < now() - make_interval(secs => :gone_s))"
    " AND EXISTS (SELECT 1 FROM processes AS me WHERE me.id = :process AND me.expires_at > now()"
    " AND me.since < now() - make_interval(secs => :gone_s))) AS silent"
    " WHERE silent.fate = 'gone' OR silent.expires_at < now() - CASE silent.fate"
    " WHEN 'silent' THEN make_interval(secs => :grace_s) ELSE interval '0' END)"
)
"""A part of a statement: the processes whose turns are up, and what became of them.

`ended`: in order, and said so. `gone`: its session is closed. `stuck`: its heart beats, and says
that its event loop answers no more. `silent`: it is connected and says nothing, as one that is
frozen. `unknown`: it has no session that could be looked for, and its lease ran out."""

DEATHS: Final = ("gone", "stuck", "unknown")
"""Fates in which the turn at hand may have had a part. What freezes a process comes from outside,
and a process that is silent, however long, is alive."""

REVOCABLE: Final = ("gone", "unknown")
"""Deaths that were none if the process is heard again: its connections were cut, and it was slow to
open others."""


# What a heartbeat says is a script: one transaction in one trip, and nothing that a pooler could
# confuse. A lost sign of life is followed by the next: none waits for a disk, nor for a standby.
_AS_SYSTEM: Final = (
    f"SELECT set_config('role', '{SYSTEM_ROLE}', true),"
    " set_config('synchronous_commit', 'off', true),"
    " set_config('statement_timeout', '{timeout_ms}ms', true),"
    " set_config('lock_timeout', '{timeout_ms}ms', true);"
)
_BEAT: Final = (
    " INSERT INTO processes AS p (id, session, since, seen_at, expires_at, stuck)"
    " VALUES ('{process}', {session}, now(), now(), now() + interval '{lease_s} s', {stuck})"
    " ON CONFLICT (id) DO UPDATE SET session = excluded.session, seen_at = excluded.seen_at,"
    " stuck = excluded.stuck,"
    " expires_at = CASE WHEN excluded.stuck THEN p.expires_at ELSE excluded.expires_at END,"
    # Who was away does not know what became of the others meanwhile.
    " since = CASE WHEN p.expires_at < now() OR p.session IS DISTINCT FROM excluded.session"
    " THEN excluded.since ELSE p.since END"
)
_LEAVE: Final = (
    " UPDATE processes SET ended = true, seen_at = now(), expires_at = now() WHERE id = '{process}'"
)
_HOLD_SESSION: Final = (
    "SELECT pg_advisory_lock({session}), set_config('tcp_keepalives_idle', '{idle_s}', false),"
    " set_config('tcp_keepalives_interval', '{idle_s}', false),"
    " set_config('tcp_keepalives_count', '2', false) WHERE pg_backend_pid() = {server_pid}"
)


def beat(process: UUID, *, lease: Lease, session: int | None, stuck: bool, timeout_s: float) -> str:
    """A sign of life, as a script.

    Args:
        process: Who lives.
        lease: For how long it is good.
        session: What its session holds as a lock; None where it has none of its own.
        stuck: Whether its event loop answers no more: then its lease is not renewed.
        timeout_s: The longest it may take.
    """
    return (_AS_SYSTEM + _BEAT).format(
        process=process,
        session="NULL" if session is None else session,
        lease_s=lease.seconds,
        stuck=stuck,
        timeout_ms=round(timeout_s * 1000),
    )


def leave(process: UUID, *, timeout_s: float) -> str:
    """A process ends in order, as a script."""
    return (_AS_SYSTEM + _LEAVE).format(process=process, timeout_ms=round(timeout_s * 1000))


def hold_session(session: int, *, server_pid: int, lease: Lease) -> str:
    """Hold a lock for as long as the session is open, as a script.

    Nothing is held, and no row comes back, where the server process is another than the one that
    the driver was told of: there is a pooler in between, and the session is everybody's. The server
    looks for a peer that went without a word: a machine that lost its power closes nothing.
    """
    return _HOLD_SESSION.format(
        session=session, server_pid=server_pid, idle_s=max(1, round(lease.gone_s))
    )


_FORGET = text(
    "DELETE FROM processes WHERE expires_at < now() - make_interval(hours => :forgotten_h)"
)


async def forget_dead(connection: Connection) -> int:
    """Forget processes that are no more; returns how many. A system transaction.

    One that was frozen all the time puts its row back as soon as it wakes.
    """
    return (await connection.execute(_FORGET, {"forgotten_h": FORGOTTEN_H})).rowcount
