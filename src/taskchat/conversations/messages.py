"""SQL of messages, with the tool calls of their turns. Every statement names the owner."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text

from taskchat.conversations.schemas import ListedMessage, ToolCallOut
from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal
from taskchat.ratings.schemas import RatingOut

_VERSIONS: Final = (
    "WITH first AS (SELECT coalesce(t.version_of, t.number) AS number FROM turns AS t"
    # Where there is one branch, there is nothing to look for.
    " WHERE t.user_id = :owner AND t.id = m.turn_id AND CAST(:branch AS text) IS NOT NULL),"
    # Its number is looked up by itself. As a join, a planner may read all turns for each message.
    " version AS (SELECT t.id, t.number FROM turns AS t"
    " WHERE t.user_id = :owner AND t.conversation_id = :conversation"
    " AND t.number = (SELECT number FROM first)"
    " UNION ALL SELECT t.id, t.number FROM turns AS t"
    " WHERE t.user_id = :owner AND t.conversation_id = :conversation"
    " AND t.version_of = (SELECT number FROM first))"
    " SELECT json_agg(json_build_array(version.id, md5(said.content)) ORDER BY version.number)"
    " AS versions FROM version JOIN messages AS said"
    " ON said.user_id = :owner AND said.turn_id = version.id AND said.position = 0"
)
"""The versions of a row's message: the turns that hold one, each with a hash of its wording."""


def calls_with(fields: Iterable[str]) -> str:
    """SQL: the tool calls that a row `m` of messages is shown with, as JSON named `called.calls`.

    They stand with the last message of their turn: the reply, or what got none.

    Args:
        fields: Columns of `tool_calls`.
    """
    pairs = ", ".join(f"'{name}', c.{name}" for name in fields)
    return (
        f"LATERAL (SELECT json_agg(json_build_object({pairs}) ORDER BY c.position) AS calls"
        " FROM tool_calls AS c WHERE c.user_id = :owner AND c.turn_id = m.turn_id"
        " AND m.position = (SELECT max(last.position) FROM messages AS last"
        " WHERE last.user_id = :owner AND last.turn_id = m.turn_id)) AS called"
    )


def _page(beyond: str, order: str) -> TextClause:
    """A page of messages, in one statement: first which ones, then what belongs to them."""
    return text(
        "SELECT m.turn_number, m.position, m.id, m.turn_id, m.role, m.content, m.created_at,"
        " m.interrupted, called.calls, other.versions,"
        " rating.value AS rated, rating.comment, rating.rated_at,"
        " (SELECT min(t.number) FROM turns AS t"
        " WHERE t.user_id = :owner AND t.conversation_id = :conversation"
        " AND t.status IN ('queued', 'running', 'awaiting_feedback')) AS unfinished"
        " FROM (SELECT * FROM messages WHERE user_id = :owner AND conversation_id = :conversation"
        f" AND {beyond}"
        " AND (CAST(:branch AS text) IS NULL"
        " OR turn_number <@ CAST(CAST(:branch AS text) AS int4multirange))"
        f" ORDER BY turn_number {order}, position {order} LIMIT :rows_max) AS m"
        f" LEFT JOIN {calls_with(ToolCallOut.model_fields)} ON true"
        " LEFT JOIN ratings AS rating ON rating.user_id = :owner AND rating.message_id = m.id"
        f" LEFT JOIN LATERAL ({_VERSIONS}) AS other ON true"
        f" ORDER BY m.turn_number {order}, m.position {order}"
    )


_PLACE: Final = "(CAST(:turn AS int), CAST(:position AS int))"
_NEWEST: Final = _page(f"(turn_number, position) < {_PLACE}", "DESC")
_FOLLOWING: Final = _page(
    # Where the index is entered; then what was not there when it was passed.
    "turn_number >= least(CAST(:turn AS int), CAST(:unanswered AS int))"
    f" AND ((turn_number, position) > {_PLACE}"
    " OR (role = 'assistant' AND turn_number >= CAST(:unanswered AS int)))",
    "ASC",
)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a conversation's messages have been read.

    A message that waits stands behind one that is not answered yet, whose reply will come to stand
    between the two. So a place is not only a message: replies of turns from `unanswered` on are
    still to come, also where they stand before it. What is said to a turn that was passed is not.

    Attributes:
        turn: The number of the turn whose message was read last.
        position: That message's position in the turn.
        unanswered: The first turn whose reply has not been read, if it has one.
    """

    turn: int
    position: int
    unanswered: int


BEGINNING: Final = Place(0, 0, 0)
END: Final = Place(2**31 - 1, 0, 0)


def _versions(row: AnyRow) -> Iterator[UUID]:
    """The turns that hold the versions of a message, in order; none if there is only one.

    A reply's are the turns in which the same was said; a user's message has one for each wording.
    What was said while a turn ran has none.
    """
    if row.role == "user" and row.position > 0:
        return iter(())
    turns = [(UUID(id_), wording) for id_, wording in json.loads(row.versions or "[]")]
    own = dict(turns).get(row.turn_id)
    if row.role == "assistant":
        found = [id_ for id_, wording in turns if wording == own]
    else:
        newest = {wording: id_ for id_, wording in turns}
        found = [row.turn_id if wording == own else id_ for wording, id_ in newest.items()]
    return iter(found if len(found) > 1 else ())


def _message(row: AnyRow) -> ListedMessage:
    return ListedMessage.model_construct(
        id=row.id,
        turn_id=row.turn_id,
        role=row.role,
        content=row.content,
        created_at=row.created_at,
        interrupted=row.interrupted,
        tool_calls=[ToolCallOut.model_validate(call) for call in json.loads(row.calls or "[]")],
        versions=list(_versions(row)),
        rating=RatingOut(value=row.rated, comment=row.comment, rated_at=row.rated_at)
        if row.rated
        else None,
    )


async def messages_before(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    before: Place,
    *,
    branch: str | None,
    limit: int,
) -> tuple[list[ListedMessage], Place | None]:
    """The newest messages of a branch before a place, in order.

    Returns:
        The messages, and the place before which older ones stand, if there are any.
    """
    rows = await _rows(_NEWEST, connection, principal, conversation_id, before, branch, limit)
    shown = rows[:limit][::-1]
    older = None
    if len(rows) > limit:
        first = shown[0]
        older = Place(first.turn_number, first.position, first.turn_number + 1)
    return [_message(row) for row in shown], older


async def messages_after(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    after: Place,
    *,
    branch: str | None,
    limit: int,
) -> tuple[list[ListedMessage], Place | None]:
    """The oldest messages of a branch after a place, in order.

    Returns:
        The messages, and the place after which further ones stand, if there are any.
    """
    rows = await _rows(_FOLLOWING, connection, principal, conversation_id, after, branch, limit)
    shown = rows[:limit]
    further = _place_after(after, shown[-1]) if len(rows) > limit else None
    return [_message(row) for row in shown], further


def _place_after(before: Place, last: AnyRow) -> Place:
    """How far the messages have been read once this row is."""
    read = (last.turn_number, last.position)
    if read <= (before.turn, before.position):
        # A reply that came late; those of later turns may have come, too.
        return Place(before.turn, before.position, last.turn_number + 1)
    # Turns run in order: no turn from the first unfinished one on had a reply.
    return Place(*read, unanswered=last.unfinished or last.turn_number + 1)


async def _rows(
    statement: TextClause,
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    place: Place,
    branch: str | None,
    limit: int,
) -> Sequence[AnyRow]:
    """The rows of a page, and one more if there is one."""
    rows = await connection.execute(
        statement,
        {
            "owner": principal.user_id,
            "conversation": conversation_id,
            "turn": place.turn,
            "position": place.position,
            "unanswered": place.unanswered,
            "branch": branch,
            "rows_max": limit + 1,
        },
    )
    return rows.all()
