"""SQL of conversations themselves. Every statement names the owner."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Label, Text, cast, func, literal_column, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE

from taskchat.conversations.models import Conversation
from taskchat.conversations.schemas import ConversationOut, ConversationStatus
from taskchat.postgres.database import AnyRow, Connection
from taskchat.postgres.tables import table_of
from taskchat.principal import Principal

_conversations = table_of(Conversation)

SESSIONS_CHANNEL: Final = "taskchat_sessions"
"""Payload: the id of a conversation that takes no more messages, the process that knows, and ended
or deleted."""

SessionEnd = Literal["ended", "deleted"]

Cap = Literal["full", "crowded"]
"""Of a user's conversations: of all of them, or of the active ones."""

_START = text("INSERT INTO conversations (user_id, id) VALUES (:owner, :conversation)")
_FITS = text("SELECT conversation_fits_2(:owner, :active_max, :conversations_max)")
_HOLD = text(
    "SELECT status FROM conversations WHERE user_id = :owner AND id = :conversation"
    " FOR NO KEY UPDATE"
)
_REPLACE_TITLE = text(
    "UPDATE conversations SET title = :title"
    " WHERE user_id = :owner AND id = :conversation AND title = :before"
)
_DELETE = text("DELETE FROM conversations WHERE user_id = :owner AND id = :conversation")
_TELL = text("SELECT pg_notify(:channel, :payload)")
_PAUSE_IDLE = text(
    "UPDATE conversations SET status = 'paused' WHERE (user_id, id) IN ("
    "SELECT c.user_id, c.id FROM conversations AS c WHERE c.status = 'active'"
    " AND c.updated_at < now() - make_interval(hours => :idle_h)"
    # Somebody is being answered there, or asked.
    " AND NOT EXISTS (SELECT FROM turns AS t WHERE t.user_id = c.user_id"
    " AND t.conversation_id = c.id AND t.status IN ('queued', 'running', 'awaiting_feedback'))"
    # One that is locked is just being talked in, or paused by another process.
    " ORDER BY c.updated_at LIMIT :rows_max FOR UPDATE OF c SKIP LOCKED)"
)
_BRANCH = text(
    "SELECT CASE WHEN CAST(:turn AS uuid) IS NULL THEN CAST(c.branch AS text) ELSE ("
    "SELECT CAST(coalesce(last.path, int4multirange(int4range(1, last.number)))"
    " + int4multirange(int4range(last.number, last.number + 1)) AS text)"
    " FROM turns AS this, turns AS last WHERE this.user_id = :owner"
    " AND this.conversation_id = c.id AND this.id = :turn"
    " AND last.user_id = :owner AND last.conversation_id = c.id AND (last.number = this.number"
    " OR this.number <@ last.path"
    " OR (this.path IS NULL AND last.path IS NULL AND this.number < last.number))"
    " ORDER BY last.number DESC LIMIT 1) END"
    " FROM conversations AS c WHERE c.user_id = :owner AND c.id = :conversation"
)
_last_of_branch = (
    select(literal_column("turns.id"))
    .select_from(text("turns"))
    .where(
        text(
            "turns.user_id = conversations.user_id AND turns.conversation_id = conversations.id"
            " AND turns.number = upper(conversations.branch) - 1"
        )
    )
    .scalar_subquery()
)
_summary_shown: Label[str | None] = literal_column(
    # One of another branch counts for nothing.
    "CASE WHEN conversations.branch IS NULL OR conversations.summary_turn <@ conversations.branch"
    " THEN conversations.summary END"
).label("summary")
_conversation_columns = (
    _conversations.c.id,
    _conversations.c.title,
    _conversations.c.status,
    _conversations.c.archived,
    _conversations.c.last_turn.label("turns"),
    _last_of_branch.label("branch"),
    _summary_shown,
    _conversations.c.created_at,
    _conversations.c.updated_at,
)


def _conversation(row: AnyRow) -> ConversationOut:
    return ConversationOut.model_construct(**row)


async def find_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> ConversationOut | None:
    """The principal's conversation of that id, if there is one."""
    row = (
        await connection.execute(
            select(*_conversation_columns).where(
                _conversations.c.user_id == principal.user_id,
                _conversations.c.id == conversation_id,
            )
        )
    ).one_or_none()
    return _conversation(row) if row else None


async def start_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> None:
    """Start a conversation in which nothing has been said yet."""
    values = {"owner": principal.user_id, "conversation": conversation_id}
    await connection.change(_START, values)


async def exceeded(
    connection: Connection,
    principal: Principal,
    *,
    active_max: int | None,
    conversations_max: int | None,
) -> Cap | None:
    """Which cap the principal's conversations exceed, as this transaction leaves them.

    Until it ends, no other one of theirs begins, or becomes active where that is capped. A cap that
    is None is not looked at; with neither, nobody waits.
    """
    values = {
        "owner": principal.user_id,
        "active_max": active_max,
        "conversations_max": conversations_max,
    }
    cap: Cap | None = await connection.scalar(_FITS, values)
    return cap


async def hold_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> ConversationStatus | None:
    """Keep others from changing a conversation; returns its status, None if it is not there."""
    status: ConversationStatus | None = await connection.scalar(
        _HOLD, {"owner": principal.user_id, "conversation": conversation_id}
    )
    return status


async def change_conversation(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    title: str | None,
    status: ConversationStatus | None,
    archived: bool | None,
    branch: str | None,
    is_activity: bool,
) -> ConversationOut:
    """Change what is given of a conversation that is held.

    Args:
        connection: Of the transaction that holds it.
        principal: Its owner.
        conversation_id: The conversation.
        title: Its new title.
        status: Its new status.
        archived: Whether it is archived from now on.
        branch: The numbers of the turns that it shows from now on, as `branch_with` has them.
        is_activity: Whether this counts as activity, as a message does.
    """
    changes = {"title": title, "status": status, "archived": archived}
    values: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    if branch is not None:
        values["branch"] = cast(cast(branch, Text), INT4MULTIRANGE)
    if is_activity:
        values["updated_at"] = func.now()
    rows = await connection.execute(
        update(_conversations)
        .where(
            _conversations.c.user_id == principal.user_id,
            _conversations.c.id == conversation_id,
        )
        .values(values)
        .returning(*_conversation_columns)
    )
    return _conversation(rows.one())


async def branch_with(
    connection: Connection, principal: Principal, conversation_id: UUID, turn_id: UUID | None
) -> str | None:
    """The numbers of the turns of a branch of a conversation, as Postgres writes a multirange.

    Args:
        connection: Where to look.
        principal: The conversation's owner.
        conversation_id: The conversation.
        turn_id: A turn of the branch, which goes on to its newest turn; None for what is shown.

    Returns:
        None if all turns are shown, because there is only one branch; or if the conversation has no
        such turn.
    """
    values = {"owner": principal.user_id, "conversation": conversation_id, "turn": turn_id}
    branch: str | None = await connection.scalar(_BRANCH, values)
    return branch


async def replace_title(
    connection: Connection, principal: Principal, conversation_id: UUID, *, before: str, title: str
) -> bool:
    """Give a conversation another title, if nobody else has; False if they have."""
    values = {
        "owner": principal.user_id,
        "conversation": conversation_id,
        "before": before,
        "title": title,
    }
    return await connection.change(_REPLACE_TITLE, values) > 0


async def delete_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> bool:
    """Delete a conversation with all it holds; False if it is not there."""
    values = {"owner": principal.user_id, "conversation": conversation_id}
    return await connection.change(_DELETE, values) > 0


async def tell_end(
    connection: Connection, conversation_id: UUID, *, end: SessionEnd, process: UUID
) -> None:
    """Let other processes know, once this is committed, that a conversation takes no messages."""
    await connection.execute(
        _TELL, {"channel": SESSIONS_CHANNEL, "payload": f"{conversation_id} {process} {end}"}
    )


async def pause_idle(connection: Connection, *, idle_h: int, rows_max: int) -> int:
    """Pause conversations of anybody's that were idle so long. A system transaction.

    Returns:
        How many.
    """
    return await connection.change(_PAUSE_IDLE, {"idle_h": idle_h, "rows_max": rows_max})


async def list_conversations(
    connection: Connection,
    principal: Principal,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None,
    status: ConversationStatus | None,
    archived: bool | None,
) -> Sequence[ConversationOut]:
    """Conversations, the one with the newest activity first.

    Args:
        connection: Where to look.
        principal: Their owner.
        limit: The most to return.
        after: Activity and id of the one that they follow.
        status: Only those of this status.
        archived: Only those that are archived, or are not; None for both.
    """
    place = tuple_(_conversations.c.updated_at, _conversations.c.id)
    statement = (
        select(*_conversation_columns)
        .where(_conversations.c.user_id == principal.user_id)
        .order_by(_conversations.c.updated_at.desc(), _conversations.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(
            place < tuple_(func.coalesce(after[0]), func.coalesce(after[1]))
        )
    if status is not None:
        statement = statement.where(_conversations.c.status == status)
    if archived is not None:
        statement = statement.where(_conversations.c.archived.is_(archived))
    return [_conversation(row) for row in await connection.execute(statement)]
