"""SQL that brings in what an export holds; what is there stays as it is."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import text

from taskchat.portability.lines import AskedLine, ConversationLine, Rated, TaskLine
from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal

_IS_THERE = text(
    "SELECT EXISTS (SELECT FROM conversations WHERE user_id = :owner AND id = :conversation)"
)
_OWN: Final = (
    "(SELECT coalesce(range_agg(int4range(own.number, own.number + 1)), '{}') FROM turns AS own"
    " WHERE own.user_id = c.user_id AND own.conversation_id = c.id AND own.owner IS NOT NULL)"
)
"""Numbers of turns of the conversation `c` that ran here: a file means other ones by them."""

_BRING_CONVERSATION = text(
    "INSERT INTO conversations AS c (user_id, id, origin, title, status, last_turn, summary,"
    " summary_turn, archived, branch, created_at, updated_at) VALUES (:owner, :conversation,"
    " :origin, :title, :status, :turn_count, :summary, :summary_turn, :archived,"
    " CAST(CAST(:branch AS text) AS int4multirange), :created_at, :updated_at)"
    # Numbers up to here are the import's: what is said meanwhile comes after them.
    " ON CONFLICT (user_id, id) DO UPDATE SET"
    # Branches that were made here stay as they are.
    f" branch = CASE WHEN c.last_turn < excluded.last_turn AND (c.branch IS NULL"
    f" OR isempty({_OWN})) THEN excluded.branch - {_OWN} ELSE c.branch END,"
    " last_turn = greatest(c.last_turn, excluded.last_turn) RETURNING c.xmax = 0 AS added,"
    f" CASE WHEN c.branch IS NULL THEN '{{}}' ELSE CAST({_OWN} AS text) END AS own"
)
_BRING_TURNS = text(
    "WITH turn AS (INSERT INTO turns (user_id, id, conversation_id, number, path, version_of,"
    " channel, status, attempt, model, model_calls, input_tokens, output_tokens, result,"
    " created_at, started_at, finished_at) SELECT :owner, t.id, :conversation, t.number,"
    " coalesce(CAST(t.path AS int4multirange), CASE WHEN CAST(:own AS text) <> '{}'"
    " THEN int4multirange(int4range(1, t.number)) END)"
    " - CAST(CAST(:own AS text) AS int4multirange),"
    # The first version may be missing: it was deleted while the export was read.
    " CASE WHEN NOT t.version_of <@ CAST(CAST(:own AS text) AS int4multirange)"
    " AND (t.version_of = ANY (CAST(:numbers AS int[]))"
    " OR EXISTS (SELECT FROM turns AS first WHERE first.user_id = CAST(:owner AS varchar)"
    " AND first.conversation_id = :conversation AND first.number = t.version_of))"
    " THEN t.version_of END, t.channel, t.status, 1, t.model,"
    " t.model_calls, t.input_tokens, t.output_tokens, t.result, t.created_at, t.started_at,"
    " t.finished_at FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS int[]),"
    " CAST(:paths AS text[]), CAST(:versions AS int[]), CAST(:channels AS text[]),"
    " CAST(:statuses AS text[]), CAST(:models AS text[]),"
    " CAST(:model_calls AS int[]), CAST(:inputs AS int[]), CAST(:outputs AS int[]),"
    " CAST(:results AS text[]), CAST(:created AS timestamptz[]),"
    " CAST(:started AS timestamptz[]), CAST(:finished AS timestamptz[]))"
    " AS t(id, number, path, version_of, channel, status, model, model_calls, input_tokens,"
    " output_tokens, result, created_at, started_at, finished_at)"
    " ON CONFLICT DO NOTHING RETURNING id, number, status),"
    " said AS (INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number, position,"
    " role, content, created_at, interrupted) SELECT :owner, m.id, :conversation, turn.id,"
    " turn.number, m.position, m.role, m.content,"
    " m.created_at, m.role = 'assistant' AND turn.status = 'cancelled'"
    " FROM unnest(CAST(:message_ids AS uuid[]), CAST(:message_turns AS uuid[]),"
    " CAST(:message_positions AS int[]), CAST(:message_roles AS text[]),"
    " CAST(:contents AS text[]), CAST(:said AS timestamptz[]))"
    " AS m(id, turn_id, position, role, content, created_at)"
    " JOIN turn ON turn.id = m.turn_id RETURNING id, turn_id),"
    " steered AS (INSERT INTO steering (user_id, message_id, turn_id, read_after_answers,"
    # The answers themselves are not part of an export.
    " read_after_calls) SELECT :owner, said.id, said.turn_id,"
    " CASE WHEN s.read_after_calls IS NOT NULL THEN 0 END, s.read_after_calls"
    " FROM unnest(CAST(:steered_ids AS uuid[]), CAST(:read_after_calls AS int[]))"
    " AS s(message_id, read_after_calls) JOIN said ON said.id = s.message_id),"
    " rated AS (INSERT INTO ratings (user_id, message_id, value, comment, rated_at)"
    " SELECT :owner, said.id, r.value, r.comment, r.rated_at"
    " FROM unnest(CAST(:rated_ids AS uuid[]), CAST(:ratings AS text[]), CAST(:comments AS text[]),"
    " CAST(:rated AS timestamptz[])) AS r(message_id, value, comment, rated_at)"
    " JOIN said ON said.id = r.message_id),"
    " called AS (INSERT INTO tool_calls (user_id, id, turn_id, call_id, position, tool_name,"
    " parameters, result, status, duration_ms, executed_at) SELECT :owner, c.id, turn.id,"
    " c.call_id, c.position, c.tool_name, CAST(c.parameters AS json), CAST(c.result AS json),"
    " c.status, c.duration_ms, c.executed_at FROM unnest(CAST(:call_ids AS uuid[]),"
    " CAST(:call_turns AS uuid[]), CAST(:call_names AS text[]), CAST(:call_positions AS int[]),"
    " CAST(:tools AS text[]), CAST(:parameters AS text[]), CAST(:call_results AS text[]),"
    " CAST(:call_statuses AS text[]), CAST(:durations AS int[]),"
    " CAST(:executed AS timestamptz[])) AS c(id, turn_id, call_id, position, tool_name,"
    " parameters, result, status, duration_ms, executed_at) JOIN turn ON turn.id = c.turn_id),"
    " asked AS (INSERT INTO feedback_requests (user_id, id, turn_id, conversation_id, kind,"
    " question, choices, calls, status, answer, comment, decisions, channel, asked_at, expires_at,"
    " closed_at) SELECT :owner, CAST(f ->> 'id' AS uuid), turn.id, :conversation, f ->> 'kind',"
    " f ->> 'question', f -> 'choices', f -> 'calls', f ->> 'status', f ->> 'answer',"
    " f ->> 'comment', CASE json_typeof(f -> 'decisions') WHEN 'object' THEN f -> 'decisions' END,"
    " f ->> 'channel', CAST(f ->> 'asked_at' AS timestamptz),"
    " CAST(f ->> 'expires_at' AS timestamptz), CAST(f ->> 'closed_at' AS timestamptz)"
    " FROM json_array_elements(CAST(:asked AS json)) AS f"
    " JOIN turn ON turn.id = CAST(f ->> 'turn_id' AS uuid))"
    " SELECT count(*) FROM turn"
)


@dataclass(frozen=True, slots=True)
class BroughtMessage:
    """A message of an imported turn, under its new id.

    `read_after_calls` is of one that was said while the turn ran: how many calls it had executed.
    """

    id: UUID
    position: int
    role: Literal["user", "assistant"]
    content: str
    created_at: datetime.datetime
    read_after_calls: int | None = None


@dataclass(frozen=True, slots=True)
class BroughtCall:
    """A tool call of an imported turn, under its new id; parameters and result are JSON."""

    id: UUID
    call_id: str
    tool_name: str
    parameters: str
    result: str
    status: str
    duration_ms: int
    executed_at: datetime.datetime


@dataclass(frozen=True, slots=True)
class BroughtTurn:
    """An imported turn, which is over, under its new id; `result` is what it answered, as JSON."""

    id: UUID
    number: int
    follows: Sequence[tuple[int, int]] | None
    version_of: int | None
    channel: str
    status: str
    model: str | None
    model_calls: int
    input_tokens: int
    output_tokens: int
    result: str
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime
    messages: Sequence[BroughtMessage]
    rating: Rated | None
    calls: Sequence[BroughtCall]
    asked: Sequence[AskedLine]


def _multirange(ranges: Sequence[tuple[int, int]] | None) -> str | None:
    """Ranges of numbers as Postgres writes them."""
    if ranges is None:
        return None
    return "{" + ",".join(f"[{first},{last}]" for first, last in ranges) + "}"


async def has_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> bool:
    """Whether the principal has a conversation of that id."""
    values = {"owner": principal.user_id, "conversation": conversation_id}
    return bool(await connection.scalar(_IS_THERE, values))


async def bring_conversation(
    connection: Connection, principal: Principal, conversation_id: UUID, line: ConversationLine
) -> AnyRow:
    """Insert a conversation, if it is not there, and set the numbers of its turns aside.

    Returns:
        added, whether it was not there; own, numbers that it has given to turns of its own where it
        has branches, as Postgres writes a multirange.
    """
    values = {
        "owner": principal.user_id,
        "conversation": conversation_id,
        **line.model_dump(exclude={"type", "id"}),
        "branch": _multirange(line.branch),
    }
    return (await connection.execute(_BRING_CONVERSATION, values)).one()


async def bring_turns(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    turns: Sequence[BroughtTurn],
    *,
    own: str,
) -> int:
    """Insert turns whole; those that are there stay as they are.

    Args:
        connection: Where to.
        principal: Whose they become.
        conversation_id: Their conversation.
        turns: The turns.
        own: Numbers of turns that they don't follow, as `bring_conversation` has them.

    Returns:
        How many are new.
    """
    messages = [(turn.id, message) for turn in turns for message in turn.messages]
    steered = [said for _, said in messages if said.role == "user" and said.position > 0]
    rated = [(turn.messages[-1].id, turn.rating) for turn in turns if turn.rating]
    calls = [(turn.id, place, c) for turn in turns for place, c in enumerate(turn.calls)]
    values = {
        "owner": principal.user_id,
        "conversation": conversation_id,
        "own": own,
        "ids": [turn.id for turn in turns],
        "numbers": [turn.number for turn in turns],
        "paths": [_multirange(turn.follows) for turn in turns],
        "versions": [turn.version_of for turn in turns],
        "channels": [turn.channel for turn in turns],
        "statuses": [turn.status for turn in turns],
        "models": [turn.model for turn in turns],
        "model_calls": [turn.model_calls for turn in turns],
        "inputs": [turn.input_tokens for turn in turns],
        "outputs": [turn.output_tokens for turn in turns],
        "results": [turn.result for turn in turns],
        "created": [turn.created_at for turn in turns],
        "started": [turn.started_at for turn in turns],
        "finished": [turn.finished_at for turn in turns],
        "message_ids": [message.id for _, message in messages],
        "message_turns": [turn_id for turn_id, _ in messages],
        "message_positions": [message.position for _, message in messages],
        "message_roles": [message.role for _, message in messages],
        "steered_ids": [message.id for message in steered],
        "read_after_calls": [message.read_after_calls for message in steered],
        "contents": [message.content for _, message in messages],
        "said": [message.created_at for _, message in messages],
        "rated_ids": [message_id for message_id, _ in rated],
        "ratings": [rating.value for _, rating in rated],
        "comments": [rating.comment for _, rating in rated],
        "rated": [rating.rated_at for _, rating in rated],
        "call_ids": [call.id for _, _, call in calls],
        "call_turns": [turn_id for turn_id, _, _ in calls],
        "call_names": [call.call_id for _, _, call in calls],
        "call_positions": [place for _, place, _ in calls],
        "tools": [call.tool_name for _, _, call in calls],
        "parameters": [call.parameters for _, _, call in calls],
        "call_results": [call.result for _, _, call in calls],
        "call_statuses": [call.status for _, _, call in calls],
        "durations": [call.duration_ms for _, _, call in calls],
        "executed": [call.executed_at for _, _, call in calls],
        "asked": json.dumps(
            [
                {**asked.model_dump(mode="json"), "turn_id": str(turn.id)}
                for turn in turns
                for asked in turn.asked
            ]
        ),
    }
    return int(await connection.scalar(_BRING_TURNS, values))


_LAST_TASK = text("SELECT last_task FROM users WHERE id = :owner FOR NO KEY UPDATE")
_COUNT_TASKS = text("UPDATE users SET last_task = :last WHERE id = :owner")
_OWN_TASKS = text(
    "SELECT id, created_at FROM tasks"
    " WHERE user_id = :owner AND id = ANY (CAST(:numbers AS int[])) AND origin IS NULL"
)
_BROUGHT_TASKS = text(
    "SELECT origin FROM tasks"
    " WHERE user_id = :owner AND origin = ANY (CAST(:origins AS uuid[])) AND origin IS NOT NULL"
)
_BRING_TASKS = text(
    "INSERT INTO tasks (user_id, id, origin, title, description, completed, created_at,"
    " updated_at) SELECT :owner, t.* FROM unnest(CAST(:numbers AS int[]),"
    " CAST(:origins AS uuid[]), CAST(:titles AS text[]), CAST(:descriptions AS text[]),"
    " CAST(:completed AS boolean[]), CAST(:created AS timestamptz[]),"
    " CAST(:updated AS timestamptz[])) AS t"
)


async def lock_task_counter(connection: Connection, principal: Principal) -> int | None:
    """The number of the principal's newest task, which stays it until the transaction ends.

    None if the principal has no row.
    """
    last = await connection.scalar(_LAST_TASK, {"owner": principal.user_id})
    return None if last is None else int(last)


async def own_tasks(
    connection: Connection, principal: Principal, numbers: Sequence[int]
) -> Sequence[AnyRow]:
    """Of these numbers, those of tasks that were made here, with the moment."""
    values = {"owner": principal.user_id, "numbers": numbers}
    return (await connection.execute(_OWN_TASKS, values)).all()


async def brought_tasks(
    connection: Connection, principal: Principal, origins: Sequence[UUID]
) -> set[UUID]:
    """Of these origins, those of tasks that were imported before."""
    values = {"owner": principal.user_id, "origins": origins}
    return set(await connection.scalars(_BROUGHT_TASKS, values))


async def bring_tasks(
    connection: Connection, principal: Principal, tasks: Sequence[tuple[int, TaskLine]]
) -> None:
    """Insert tasks under their new numbers, of which the last becomes the newest."""
    values = {
        "owner": principal.user_id,
        "numbers": [number for number, _ in tasks],
        "origins": [task.origin for _, task in tasks],
        "titles": [task.title for _, task in tasks],
        "descriptions": [task.description for _, task in tasks],
        "completed": [task.completed for _, task in tasks],
        "created": [task.created_at for _, task in tasks],
        "updated": [task.updated_at for _, task in tasks],
    }
    await connection.change(_BRING_TASKS, values)
    await connection.change(_COUNT_TASKS, {"owner": principal.user_id, "last": tasks[-1][0]})
