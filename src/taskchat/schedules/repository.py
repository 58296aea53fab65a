"""SQL of schedules. Every statement names the owner, but those of who looks for what is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal
from taskchat.schedules.models import ScheduleStatus
from taskchat.schedules.schemas import ScheduleOut

SHOWN: Final = (
    "id, conversation_id, message, at, rule, time_zone, starts_at AS start, status, end_reason,"
    " next_at, last_at, last_turn_id, last_error, created_at, updated_at"
)
"""What is told of a schedule, as columns."""

_MINE: Final = "user_id = :owner AND id = :id"

_ADD = text(
    "SELECT schedule_add_1(:owner, :id, :conversation, :message, :at, :rule, :time_zone,"
    " :starts_at, :next_at, :number, :schedules_max)"
)
_LIST = text(
    f"SELECT {SHOWN} FROM schedules WHERE user_id = :owner"
    " AND (CAST(:status AS text) IS NULL OR status = :status)"
    " AND (CAST(:conversation AS uuid) IS NULL OR conversation_id = :conversation)"
    " AND (CAST(:after AS uuid) IS NULL OR id < :after) ORDER BY id DESC LIMIT :rows_max"
)
_FIND = text(f"SELECT {SHOWN} FROM schedules WHERE {_MINE}")
_HOLD = text(f"SELECT {SHOWN}, number FROM schedules WHERE {_MINE} FOR NO KEY UPDATE")
_COUNT = text(
    # Held, so that of two that are added at once the second one counts the first.
    "WITH held AS MATERIALIZED (SELECT id FROM users WHERE id = :owner FOR NO KEY UPDATE)"
    " SELECT count(*) FROM held JOIN schedules AS s ON s.user_id = held.id"
    " WHERE s.status <> 'ended'"
)
_CHANGE = text(
    "UPDATE schedules SET message = :message, at = :at, rule = :rule, time_zone = :time_zone,"
    " starts_at = :starts_at, status = :status, end_reason = :end_reason, next_at = :next_at,"
    " try_at = :next_at, number = :number, tries = 0, last_error = NULL, updated_at = now()"
    f" WHERE {_MINE} RETURNING {SHOWN}"
).bindparams(bindparam("end_reason", None))
_REWORD = text(
    f"UPDATE schedules SET message = :message, updated_at = now() WHERE {_MINE} RETURNING {SHOWN}"
)
_WITHDRAW = text(f"DELETE FROM schedules WHERE {_MINE}")

# --- for who says them ---

_CLAIM = text(
    "UPDATE schedules AS s SET try_at = now() + make_interval(secs => :hold_s)"
    " FROM (SELECT user_id, id FROM schedules WHERE status = 'active' AND try_at <= now()"
    " AND next_at <= now() ORDER BY try_at LIMIT :rows_max FOR UPDATE SKIP LOCKED) AS due"
    " WHERE s.user_id = due.user_id AND s.id = due.id"
    " RETURNING s.user_id, s.id, s.next_at"
)
_DUE_ROW: Final = (
    "SELECT conversation_id, message, at, rule, time_zone, starts_at, next_at, number, tries,"
    f" now() AS now FROM schedules WHERE {_MINE} AND status = 'active' AND next_at = :occurrence"
)
_DUE = text(_DUE_ROW)
_HOLD_DUE = text(f"{_DUE_ROW} FOR NO KEY UPDATE")
_SAID = text(
    "UPDATE schedules SET last_at = :occurrence, last_turn_id = :turn, last_error = NULL,"
    f" conversation_id = coalesce(conversation_id, :conversation) WHERE {_MINE}"
    " AND (last_at IS NULL OR last_at <= :occurrence)"
)
_FROM_HERE: Final = f"{_MINE} AND status = 'active' AND next_at = :occurrence"
_MOVE_ON = text(
    "UPDATE schedules SET next_at = :next_at, try_at = :next_at, number = :number, tries = 0"
    f" WHERE {_FROM_HERE}"
)
_END = text(
    "UPDATE schedules SET status = 'ended', end_reason = :reason, next_at = NULL, try_at = NULL,"
    f" updated_at = now() WHERE {_FROM_HERE}"
)
_PUT_OFF = text(
    "UPDATE schedules SET tries = tries + 1, last_error = :error,"
    f" try_at = now() + make_interval(secs => :wait_s) WHERE {_FROM_HERE}"
)
_STANDING = text(
    "SELECT count(*) AS active, count(*) FILTER (WHERE next_at < now()"
    " - make_interval(secs => :overdue_s)) AS overdue FROM schedules WHERE status = 'active'"
)
_FORGET = text(
    "DELETE FROM schedules WHERE (user_id, id) IN (SELECT user_id, id FROM schedules"
    " WHERE status = 'ended' AND updated_at < now() - make_interval(hours => :retention_h)"
    " ORDER BY updated_at LIMIT :rows_max FOR UPDATE SKIP LOCKED)"
)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A schedule that is due, and the occurrence that is to be said.

    Attributes:
        principal: Whose it is.
        id: The schedule.
        at: The occurrence.
    """

    principal: Principal
    id: UUID
    at: datetime

    def values(self) -> dict[str, Any]:
        """As parameters."""
        return {"owner": self.principal.user_id, "id": self.id, "occurrence": self.at}


def _schedule(row: AnyRow) -> ScheduleOut:
    return ScheduleOut.model_construct(**row)


async def add_schedule(
    connection: Connection, principal: Principal, values: dict[str, Any], *, schedules_max: int
) -> bool:
    """Keep a schedule; False if the user has as many as they may.

    Args:
        connection: Of the transaction in which it is kept.
        principal: Its owner.
        values: id, conversation, message, at, rule, time_zone, starts_at, next_at and number.
        schedules_max: The most that may be kept and have not ended.
    """
    added: bool = await connection.scalar(
        _ADD, {"owner": principal.user_id, "schedules_max": schedules_max, **values}
    )
    return added


async def list_schedules(
    connection: Connection,
    principal: Principal,
    *,
    status: ScheduleStatus | None,
    conversation_id: UUID | None,
    after: UUID | None,
    limit: int,
) -> list[ScheduleOut]:
    """The newest first, from behind one of them."""
    values = {
        "owner": principal.user_id,
        "status": status,
        "conversation": conversation_id,
        "after": after,
        "rows_max": limit,
    }
    return [_schedule(row) for row in await connection.execute(_LIST, values)]


async def find_schedule(
    connection: Connection, principal: Principal, id_: UUID
) -> ScheduleOut | None:
    """The principal's schedule of that id, if there is one."""
    row = (await connection.execute(_FIND, {"owner": principal.user_id, "id": id_})).one_or_none()
    return _schedule(row) if row else None


async def hold_schedule(connection: Connection, principal: Principal, id_: UUID) -> AnyRow | None:
    """The same, and nobody else changes it until the transaction ends; with its number."""
    rows = await connection.execute(_HOLD, {"owner": principal.user_id, "id": id_})
    return rows.one_or_none()


async def count_schedules(connection: Connection, principal: Principal) -> int:
    """How many have not ended; none is added until the transaction ends."""
    return int(await connection.scalar(_COUNT, {"owner": principal.user_id}) or 0)


async def change_schedule(
    connection: Connection, principal: Principal, id_: UUID, values: dict[str, Any]
) -> ScheduleOut:
    """Change a schedule that is held, its plan too."""
    rows = await connection.execute(
        _CHANGE, {"owner": principal.user_id, "id": id_, "end_reason": None, **values}
    )
    return _schedule(rows.one())


async def reword_schedule(
    connection: Connection, principal: Principal, id_: UUID, message: str
) -> ScheduleOut:
    """Change the message of a schedule that is held, and nothing else."""
    rows = await connection.execute(
        _REWORD, {"owner": principal.user_id, "id": id_, "message": message}
    )
    return _schedule(rows.one())


async def withdraw_schedule(connection: Connection, principal: Principal, id_: UUID) -> bool:
    """Delete a schedule; False if there is none of that id."""
    return await connection.change(_WITHDRAW, {"owner": principal.user_id, "id": id_}) > 0


async def claim_due(
    connection: Connection, *, hold_s: float, rows_max: int
) -> Sequence[Occurrence]:
    """Take what is due, of anybody's: no other process looks at it for a while.

    A system transaction.
    """
    rows = await connection.execute(_CLAIM, {"hold_s": hold_s, "rows_max": rows_max})
    return [Occurrence(Principal(row.user_id), row.id, row.next_at) for row in rows]


async def find_due(connection: Connection, due: Occurrence, *, hold: bool = False) -> AnyRow | None:
    """What is to be said, if the occurrence is still to come.

    Args:
        connection: Of its owner.
        due: The occurrence.
        hold: Whether nobody else may change it until the transaction ends.

    Returns:
        conversation_id, message, at, rule, time_zone, starts_at, next_at, number, tries, now.
    """
    statement = _HOLD_DUE if hold else _DUE
    return (await connection.execute(statement, due.values())).one_or_none()


async def note_said(
    connection: Connection, due: Occurrence, *, turn_id: UUID, conversation_id: UUID
) -> None:
    """Note in which turn an occurrence was said."""
    values = {**due.values(), "turn": turn_id, "conversation": conversation_id}
    await connection.execute(_SAID, values)


async def move_on(
    connection: Connection, due: Occurrence, *, next_at: datetime, number: int
) -> bool:
    """Go on to the next occurrence; False if it is no longer at this one."""
    values = {**due.values(), "next_at": next_at, "number": number}
    return await connection.change(_MOVE_ON, values) > 0


async def end_schedule(connection: Connection, due: Occurrence, *, reason: str) -> bool:
    """End it; False if it is no longer at this occurrence."""
    return await connection.change(_END, {**due.values(), "reason": reason}) > 0


async def put_off(connection: Connection, due: Occurrence, *, error: str, wait_s: float) -> bool:
    """Try the occurrence again later; False if it is no longer at this one."""
    values = {**due.values(), "error": error, "wait_s": wait_s}
    return await connection.change(_PUT_OFF, values) > 0


async def standing(connection: Connection, *, overdue_s: float) -> tuple[int, int]:
    """How many are active, and how many of those should have been said. A system transaction."""
    row = (await connection.execute(_STANDING, {"overdue_s": overdue_s})).one()
    return row.active, row.overdue


async def forget_ended(connection: Connection, *, retention_h: int, rows_max: int) -> int:
    """Delete what ended so long ago; returns how many. A system transaction."""
    return await connection.change(_FORGET, {"retention_h": retention_h, "rows_max": rows_max})
