"""SQL that reads what a user has, page by page."""

import datetime
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal
from taskchat.sharing.repository import SHOWN

_RANGES: Final = (
    "CASE WHEN {numbers} IS NOT NULL THEN coalesce((SELECT json_agg("
    "json_build_array(lower(r), upper(r) - 1) ORDER BY lower(r))"
    " FROM unnest({numbers}) AS r), '[]') END"
)
"""A multirange of numbers of turns, as JSON."""

_CONVERSATION_COLUMNS: Final = (
    "id, coalesce(origin, id) AS origin, title, status, last_turn AS turn_count, summary,"
    " summary_turn, archived, created_at, updated_at,"
    f" {_RANGES.format(numbers='branch')} AS branch"
)
_CONVERSATION = text(
    f"SELECT {_CONVERSATION_COLUMNS} FROM conversations"
    " WHERE user_id = :owner AND id = :conversation"
)
_CONVERSATIONS = text(
    f"SELECT {_CONVERSATION_COLUMNS} FROM conversations"
    " WHERE user_id = :owner AND id > :after ORDER BY id LIMIT :rows_max"
)
_SAID: Final = (
    "(SELECT json_build_object('id', m.id, 'content', m.content,"
    " 'created_at', moment_1(m.created_at)) FROM messages AS m"
    " WHERE m.user_id = :owner AND m.turn_id = t.id AND {which})"
)
_IS_REPLY: Final = "m.role = 'assistant'"
_TURNS = text(
    f"SELECT t.id, t.number, {_RANGES.format(numbers='t.path')} AS follows, t.version_of,"
    " t.channel, t.status, t.model, t.model_calls, t.input_tokens,"
    " t.output_tokens, t.created_at, t.started_at, t.finished_at,"
    " CASE WHEN t.status IN ('failed', 'cancelled') THEN t.result END AS failure,"
    # Each of these is looked up turn by turn. As joins, a planner may read all that the user has
    # ever said, for each page.
    f" {_SAID.format(which='m.position = 0')} AS said,"
    f" {_SAID.format(which=_IS_REPLY)} AS reply,"
    " (SELECT json_agg(json_build_object('id', m.id, 'content', m.content,"
    " 'created_at', moment_1(m.created_at), 'read_after_calls', s.read_after_calls)"
    " ORDER BY m.position) FROM steering AS s"
    " JOIN messages AS m ON m.user_id = :owner AND m.id = s.message_id"
    " WHERE s.user_id = :owner AND s.turn_id = t.id) AS steered,"
    " (SELECT json_build_object('value', r.value, 'comment', r.comment,"
    " 'rated_at', moment_1(r.rated_at)) FROM ratings AS r JOIN messages AS m"
    " ON m.user_id = :owner AND m.id = r.message_id"
    " WHERE r.user_id = :owner AND m.turn_id = t.id) AS rating,"
    " (SELECT json_agg(json_build_object('id', c.id, 'call_id', c.call_id,"
    " 'tool_name', c.tool_name, 'parameters', c.parameters, 'result', c.result,"
    " 'status', c.status, 'duration_ms', c.duration_ms, 'executed_at', moment_1(c.executed_at))"
    " ORDER BY c.position)"
    " FROM tool_calls AS c WHERE c.user_id = :owner AND c.turn_id = t.id) AS calls,"
    " (SELECT json_agg(json_build_object('id', f.id, 'kind', f.kind, 'question', f.question,"
    " 'choices', f.choices, 'calls', f.calls, 'status', f.status, 'answer', f.answer,"
    " 'comment', f.comment, 'decisions', f.decisions, 'channel', f.channel,"
    " 'asked_at', moment_1(f.asked_at), 'expires_at', moment_1(f.expires_at),"
    " 'closed_at', moment_1(f.closed_at)) ORDER BY f.asked_at, f.id) FROM feedback_requests AS f"
    " WHERE f.user_id = :owner AND f.turn_id = t.id) AS feedback,"
    " (SELECT json_agg(json_build_object('model', m.model,"
    " 'input_tokens', m.input_tokens, 'cached_input_tokens', m.cached_input_tokens,"
    " 'output_tokens', m.output_tokens, 'duration_ms', m.duration_ms,"
    " 'cost', CAST(m.cost AS text)) ORDER BY m.number)"
    " FROM model_calls AS m WHERE m.user_id = :owner AND m.turn_id = t.id) AS used"
    " FROM turns AS t WHERE t.user_id = :owner AND t.conversation_id = :conversation"
    " AND t.number > :after AND t.number <= :until ORDER BY t.number LIMIT :rows_max"
)
_TASKS = text(
    "SELECT id, origin, title, description, completed, created_at, updated_at FROM tasks"
    " WHERE user_id = :owner AND id > :after ORDER BY id LIMIT :rows_max"
)
_USAGE_DAYS = text(
    "SELECT day, model, turns, model_calls, input_tokens, cached_input_tokens, output_tokens,"
    " cost, unpriced_calls FROM usage_days"
    " WHERE user_id = :owner AND (day, model) > (:day, :model)"
    " ORDER BY day, model LIMIT :rows_max"
)
_SHARES = text(
    f"SELECT conversation_id, {SHOWN} FROM shares"
    " WHERE user_id = :owner AND id > :after AND expires_at > now()"
    " ORDER BY id LIMIT :rows_max"
)
_SCHEDULES = text(
    "SELECT id, conversation_id, message, at, rule, time_zone, starts_at AS start, status,"
    " end_reason, next_at, last_at, created_at, updated_at FROM schedules"
    " WHERE user_id = :owner AND id > :after ORDER BY id LIMIT :rows_max"
)
_EXTERNAL_IDS = text(
    "SELECT id, conversation_id, protocol, text FROM external_ids"
    " WHERE user_id = :owner AND id > :after ORDER BY id LIMIT :rows_max"
)
_ACCOUNT = text(
    "SELECT email, created_at, password_changed_at FROM accounts WHERE user_id = :owner"
)


async def find_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> AnyRow | None:
    """The principal's conversation of that id, if there is one."""
    values = {"owner": principal.user_id, "conversation": conversation_id}
    return (await connection.execute(_CONVERSATION, values)).one_or_none()


async def conversations_after(
    connection: Connection, principal: Principal, after: UUID, *, rows_max: int
) -> Sequence[AnyRow]:
    """The next conversations, by id."""
    values = {"owner": principal.user_id, "after": after, "rows_max": rows_max}
    return (await connection.execute(_CONVERSATIONS, values)).all()


async def turns_after(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    after: int,
    *,
    until: int,
    rows_max: int,
) -> Sequence[AnyRow]:
    """The next turns of a conversation up to one of them, with all that was said and done."""
    values = {
        "owner": principal.user_id,
        "conversation": conversation_id,
        "after": after,
        "until": until,
        "rows_max": rows_max,
    }
    return (await connection.execute(_TURNS, values)).all()


async def tasks_after(
    connection: Connection, principal: Principal, after: int, *, rows_max: int
) -> Sequence[AnyRow]:
    """The next tasks, by number."""
    values = {"owner": principal.user_id, "after": after, "rows_max": rows_max}
    return (await connection.execute(_TASKS, values)).all()


async def usage_days_after(
    connection: Connection,
    principal: Principal,
    after: tuple[datetime.date, str],
    *,
    rows_max: int,
) -> Sequence[AnyRow]:
    """The next days of usage, oldest first, models by name."""
    day, model = after
    values = {"owner": principal.user_id, "day": day, "model": model, "rows_max": rows_max}
    return (await connection.execute(_USAGE_DAYS, values)).all()


async def shares_after(
    connection: Connection, principal: Principal, after: UUID, *, rows_max: int
) -> Sequence[AnyRow]:
    """The next links that are good, by id."""
    values = {"owner": principal.user_id, "after": after, "rows_max": rows_max}
    return (await connection.execute(_SHARES, values)).all()


async def schedules_after(
    connection: Connection, principal: Principal, after: UUID, *, rows_max: int
) -> Sequence[AnyRow]:
    """The next schedules, by id."""
    values = {"owner": principal.user_id, "after": after, "rows_max": rows_max}
    return (await connection.execute(_SCHEDULES, values)).all()


async def external_ids_after(
    connection: Connection, principal: Principal, after: UUID, *, rows_max: int
) -> Sequence[AnyRow]:
    """The next ids that clients chose, by the ids here."""
    values = {"owner": principal.user_id, "after": after, "rows_max": rows_max}
    return (await connection.execute(_EXTERNAL_IDS, values)).all()


async def find_account(connection: Connection, principal: Principal) -> AnyRow | None:
    """The principal's built-in account, if there is one."""
    return (await connection.execute(_ACCOUNT, {"owner": principal.user_id})).one_or_none()
