"""SQL of who lives. Only the database's clock decides, and only those who watched may judge."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import SYSTEM_ROLE, Connection

BEATS_A_LEASE: Final = 6
"""Some beats may be missed, and a death is still noticed long before the lease ends."""

GONE_S_MIN: Final = 1.5
"""A process whose session was cut needs a moment to open another, on a busy machine too."""

FORGOTTEN_H: Final = 1
"""Hours for which the row of a process that is gone is kept: how it ended decides what its turns
lost with it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a silent process keeps its turns.

    Attributes:
        seconds: Without a sign of life, if nothing else is known about it.
        grace_s: How much longer while its session with the database is open: slow is not dead.
    """

    seconds: float
    grace_s: float

    @property
    def gone_s(self) -> float:
        """How long it may be silent once that session has ended.

        A process that judges others must itself have been there, without a break, for as long:
        after the database was away, all processes come back one after another.
        """
        return max(self.seconds / 3, GONE_S_MIN)

    @property
    def beat_s(self) -> float:
        """The time between two signs of life."""
        return self.seconds / BEATS_A_LEASE

    def values(self) -> dict[str, float]:
        """The parameters of `LOST` besides `process`."""
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
"""A part of a statement: the processes whose turns may be taken, and what became of them.

`ended`: it ended in order, and said so. `gone`: its session is closed. `stuck`: its heartbeat
reports that its event loop no longer answers. `silent`: it is connected and says nothing, like a
frozen process. `unknown`: it has no session to look for, and its lease ran out."""

DEATHS: Final = ("gone", "stuck", "unknown")
"""Fates in which the current turn may have had a part. What freezes a process comes from outside,
and a silent process, however long it is silent, is alive."""

REVOCABLE: Final = ("gone", "unknown")
"""Deaths that are taken back if the process is heard again: its connections were cut, and it was
slow to open others."""


# A heartbeat is a script: one transaction in one round trip, with nothing for a pooler to confuse.
# A lost sign of life is followed by the next, so none waits for a disk or for a standby.
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
    # A process that was away does not know what became of the others meanwhile.
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
        process: The process that lives.
        lease: How long the sign is valid.
        session: What its session holds as a lock; None if it has none of its own.
        stuck: Whether its event loop no longer answers: then its lease is not renewed.
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
    """The end of a process, in order, as a script."""
    return (_AS_SYSTEM + _LEAVE).format(process=process, timeout_ms=round(timeout_s * 1000))


def hold_session(session: int, *, server_pid: int, lease: Lease) -> str:
    """Hold a lock for as long as the session is open, as a script.

    Nothing is held, and no row comes back, if the server process is not the one that the driver was
    told of: then there is a pooler in between, and the session is shared. The server probes for a
    peer that left silently: a machine that lost its power closes nothing.
    """
    return _HOLD_SESSION.format(
        session=session, server_pid=server_pid, idle_s=max(1, round(lease.gone_s))
    )


_FORGET = text(
    "DELETE FROM processes WHERE id IN (SELECT id FROM processes"
    " WHERE expires_at < now() - make_interval(hours => :forgotten_h)"
    " LIMIT :rows_max FOR UPDATE SKIP LOCKED)"
)


async def forget_dead(connection: Connection, *, rows_max: int) -> int:
    """Forget processes that are no more; returns how many. A system transaction.

    One that was frozen all the time puts its row back as soon as it wakes.
    """
    return await connection.change(_FORGET, {"forgotten_h": FORGOTTEN_H, "rows_max": rows_max})
