"""SQL of what the agent asks. Every statement names the owner."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select, text

from taskchat.feedback.decisions import AskedCall, Decision, Decisions
from taskchat.feedback.models import FeedbackRequest
from taskchat.postgres.database import AnyRow, Connection
from taskchat.postgres.tables import table_of
from taskchat.principal import Principal

_requests = table_of(FeedbackRequest)
_mine = select(_requests).where(_requests.c.user_id == bindparam("owner"))
_FIND = _mine.where(_requests.c.id == bindparam("feedback"))
_OF_TURN = _mine.where(_requests.c.turn_id == bindparam("turn")).order_by(
    _requests.c.asked_at, _requests.c.id
)
_OF_TURNS = _mine.where(text("turn_id = ANY(:turns)")).order_by(
    _requests.c.asked_at, _requests.c.id
)
_OPEN_OF_TURN = _OF_TURN.where(_requests.c.status == "open")
_CLOSE: Final = text(
    "UPDATE feedback_requests SET status = :status, answer = :answer, comment = :comment,"
    " decisions = CAST(:decisions AS json), channel = :channel, closed_at = now()"
    " WHERE user_id = :owner AND id = :feedback AND status = 'open'"
    " AND (CAST(:status AS text) = 'withdrawn' OR (expires_at > now()) <> (:status = 'expired'))"
)
_DUE: Final = text(
    "SELECT user_id, id, turn_id FROM feedback_requests"
    " WHERE status = 'open' AND expires_at <= now() ORDER BY expires_at LIMIT :rows_max"
)
# A scheduled message was said by nobody who could have answered: it waits.
_PASSED_OVER: Final = text(
    "SELECT f.user_id, f.turn_id FROM feedback_requests AS f WHERE f.status = 'open'"
    " AND EXISTS (SELECT FROM turns AS t WHERE t.user_id = f.user_id"
    " AND t.conversation_id = f.conversation_id AND t.status = 'queued'"
    " AND t.created_at > f.asked_at AND t.channel <> 'schedule') LIMIT :rows_max"
)
_PASSED_OVER_BY: Final = text(
    "SELECT f.turn_id FROM feedback_requests AS f JOIN turns AS t ON t.user_id = :owner"
    " AND t.conversation_id = f.conversation_id AND t.created_at > f.asked_at"
    " WHERE f.user_id = :owner AND f.status = 'open' AND t.id = :turn AND t.channel <> 'schedule'"
)


@dataclass(frozen=True, slots=True)
class Request:
    """What a turn asks, or has asked: a row, with its JSON read."""

    id: UUID
    turn_id: UUID
    conversation_id: UUID
    kind: str
    question: str
    choices: Sequence[str]
    calls: Sequence[AskedCall]
    status: str
    answer: str | None
    comment: str | None
    decisions: Mapping[str, Mapping[str, Any]]
    channel: str | None
    asked_at: datetime
    expires_at: datetime
    closed_at: datetime | None

    @property
    def decided(self) -> Decisions:
        """What was decided on each of its calls; nothing while it is open."""
        match self.status:
            case "expired":
                return {call.call_id: Decision("expired") for call in self.calls}
            case "answered":
                answer = Decision("answer", self.answer, self.comment)
                return {call.call_id: answer for call in self.calls}
            case _:
                return {id_: Decision(**decided) for id_, decided in self.decisions.items()}


def _request(row: AnyRow) -> Request:
    values = {field.name: row[field.name] for field in fields(Request)}
    values["choices"] = json.loads(row["choices"])
    values["calls"] = [
        AskedCall(**{**call, "id": UUID(call["id"])}) for call in json.loads(row["calls"])
    ]
    values["decisions"] = json.loads(row["decisions"] or "{}")
    return Request(**values)


@dataclass(frozen=True, slots=True)
class Close:
    """How a request ends.

    Attributes:
        status: Its status from now on.
        answer: What was answered.
        comment: What was said besides.
        decisions: What was decided on its calls, by the model's ids.
        channel: How the answer came in.
    """

    status: str
    answer: str | None = None
    comment: str | None = None
    decisions: Mapping[str, Mapping[str, Any]] | None = None
    channel: str | None = None


async def find(connection: Connection, principal: Principal, id_: UUID) -> Request | None:
    """The principal's request of this id."""
    rows = await connection.execute(_FIND, {"owner": principal.user_id, "feedback": id_})
    row = rows.one_or_none()
    return _request(row) if row else None


async def of_turn(connection: Connection, principal: Principal, turn_id: UUID) -> list[Request]:
    """What was asked in a turn, in order."""
    rows = await connection.execute(_OF_TURN, {"owner": principal.user_id, "turn": turn_id})
    return [_request(row) for row in rows]


async def of_turns(
    connection: Connection, principal: Principal, turn_ids: Sequence[UUID]
) -> list[Request]:
    """What was asked in some turns, in order."""
    values = {"owner": principal.user_id, "turns": list(turn_ids)}
    return [_request(row) for row in await connection.execute(_OF_TURNS, values)]


async def open_of(connection: Connection, principal: Principal, turn_id: UUID) -> Request | None:
    """What a turn waits for."""
    rows = await connection.execute(_OPEN_OF_TURN, {"owner": principal.user_id, "turn": turn_id})
    row = rows.one_or_none()
    return _request(row) if row else None


async def listed(
    connection: Connection,
    principal: Principal,
    *,
    status: str | None,
    conversation_id: UUID | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Request]:
    """Requests of the principal's, the newest first.

    Args:
        connection: Where to look.
        principal: Whose they are.
        status: Only those of this status.
        conversation_id: Only those of this conversation.
        before: Time and id of the one that they follow in the list.
        limit: The most to return.
    """
    statement = _mine.order_by(_requests.c.asked_at.desc(), _requests.c.id.desc()).limit(limit)
    if status is not None:
        statement = statement.where(_requests.c.status == status)
    if conversation_id is not None:
        statement = statement.where(_requests.c.conversation_id == conversation_id)
    if before is not None:
        asked_at, id_ = before
        statement = statement.where(
            (_requests.c.asked_at < asked_at)
            | ((_requests.c.asked_at == asked_at) & (_requests.c.id < id_))
        )
    rows = await connection.execute(statement, {"owner": principal.user_id})
    return [_request(row) for row in rows]


async def close(connection: Connection, principal: Principal, id_: UUID, how: Close) -> bool:
    """End an open request; False if it is not open, or its time does not allow it."""
    values = {
        "owner": principal.user_id,
        "feedback": id_,
        "status": how.status,
        "answer": how.answer,
        "comment": how.comment,
        "decisions": None if how.decisions is None else json.dumps(how.decisions),
        "channel": how.channel,
    }
    return await connection.change(_CLOSE, values) > 0


async def due(connection: Connection, *, rows_max: int) -> Sequence[AnyRow]:
    """Open requests of anybody's whose time is up. A system transaction.

    Returns:
        user_id, id and turn_id of each.
    """
    return (await connection.execute(_DUE, {"rows_max": rows_max})).all()


async def passed_over(connection: Connection, *, rows_max: int) -> Sequence[AnyRow]:
    """Open requests whose users have said something else since. A system transaction.

    Returns:
        user_id and turn_id of each.
    """
    return (await connection.execute(_PASSED_OVER, {"rows_max": rows_max})).all()


async def passed_over_by(
    connection: Connection, principal: Principal, turn_id: UUID
) -> UUID | None:
    """The turn of the same conversation that waited for an answer when this one was accepted."""
    values = {"owner": principal.user_id, "turn": turn_id}
    found: UUID | None = await connection.scalar(_PASSED_OVER_BY, values)
    return found
