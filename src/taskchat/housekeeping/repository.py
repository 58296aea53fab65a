"""SQL of whose turn a chore is. Only the database's clock decides; all are system transactions.

A chore is held by its row, not by a session: it works behind a transaction pooler, and what a dead
process held is free after a while.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection

RETRY_S: Final = 10
"""After a failure a chore is due again so much later, after each further one twice as much; never
later than it would be anyway."""

ERROR_CHARS_MAX: Final = 64
"""As in the column: a name of an error, not what it says."""

# A conflict with a row that somebody holds would be waited for: those that are there are left out.
_ENROLL = text(
    "INSERT INTO chores (name) SELECT known FROM unnest(CAST(:names AS text[])) AS known"
    " WHERE NOT EXISTS (SELECT FROM chores WHERE name = known) ON CONFLICT (name) DO NOTHING"
)
# Whoever is being taken is passed over, and whoever was just taken is seen as it is by then.
_TAKE = text(
    "WITH due AS (SELECT name, process FROM chores WHERE name = ANY (CAST(:names AS text[]))"
    " AND due_at <= now() AND (held_until IS NULL OR held_until <= now())"
    " ORDER BY due_at, name LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " UPDATE chores AS c SET run = c.run + 1, process = :process, started_at = now(),"
    " held_until = now() + make_interval(secs => :hold_s) FROM due WHERE c.name = due.name"
    " RETURNING c.name, c.run, c.failures, due.process AS left_by"
)
_HOLD = text(
    "UPDATE chores SET held_until = now() + make_interval(secs => :hold_s)"
    " WHERE name = :name AND run = :run"
)
_FINISH = text(
    "UPDATE chores SET process = NULL, held_until = NULL, finished_at = now(),"
    " due_at = now() + make_interval(secs => :every_s), rows = :rows, failures = 0, error = NULL"
    " WHERE name = :name AND run = :run"
)
# Where the end of a run was committed and nobody heard of it, it did not fail.
_FAIL = text(
    "UPDATE chores SET process = NULL, held_until = NULL, failures = failures + 1, error = :error,"
    " due_at = now() + make_interval(secs => least(:every_s, :retry_s * 2 ^ least(failures, 16)))"
    " WHERE name = :name AND run = :run AND process IS NOT NULL"
)
_STANDINGS = text(
    "SELECT name, finished_at, CAST(extract(epoch FROM now() - finished_at) AS float8) AS ago_s,"
    " now() - coalesce(finished_at, created_at) > make_interval(secs => :late_s) AS late,"
    " failures, error FROM chores WHERE name = ANY (CAST(:names AS text[])) ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A chore that this process does now.

    Attributes:
        name: Which one.
        run: The fencing token: another run is somebody else's.
        failures: How often in a row it has failed.
        left_by: The process that did not finish it, if there is one.
    """

    name: str
    run: int
    failures: int
    left_by: UUID | None


class ChoreLost(Exception):
    """Another process has taken the chore, because this one was away for too long."""


async def take(
    connection: Connection, names: Iterable[str], *, process: UUID, hold_s: float
) -> Taken | None:
    """Take the chore of these that has been due for longest.

    Args:
        connection: A system transaction.
        names: The chores that this process knows.
        process: Who takes it.
        hold_s: After how long without a batch another process may take it.

    Returns:
        None if none is due, or others are at them.
    """
    known = list(names)
    await connection.execute(_ENROLL, {"names": known})
    found = await connection.execute(_TAKE, {"names": known, "process": process, "hold_s": hold_s})
    row = found.one_or_none()
    return None if row is None else Taken(row.name, row.run, row.failures, row.left_by)


async def hold(connection: Connection, taken: Taken, *, hold_s: float) -> None:
    """Hold on to a chore. Until the transaction ends, nobody else can take it.

    Raises:
        ChoreLost: somebody has.
    """
    values = {"name": taken.name, "run": taken.run, "hold_s": hold_s}
    if not await connection.change(_HOLD, values):
        raise ChoreLost


async def finish(connection: Connection, taken: Taken, *, rows: int, every_s: float) -> None:
    """Note that a chore is done, in the transaction that holds it."""
    await connection.change(
        _FINISH, {"name": taken.name, "run": taken.run, "rows": rows, "every_s": every_s}
    )


async def fail(connection: Connection, taken: Taken, *, error: str, every_s: float) -> None:
    """Note that a chore failed, and when it is due again; nothing if somebody else has it."""
    await connection.change(
        _FAIL,
        {
            "name": taken.name,
            "run": taken.run,
            "error": error[:ERROR_CHARS_MAX],
            "every_s": every_s,
            "retry_s": RETRY_S,
        },
    )


async def standings(
    connection: Connection, names: Iterable[str], *, late_s: float
) -> Sequence[AnyRow]:
    """How chores stand, by name.

    Returns:
        Rows of `name`, `finished_at`, `ago_s` (seconds since then; both null if it never was),
        `late` (whether that is longer ago than `late_s`), `failures` in a row, and the `error`.
    """
    found = await connection.execute(_STANDINGS, {"names": list(names), "late_s": late_s})
    return found.all()
