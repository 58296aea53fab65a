"""SQL of messages to turns that are unfinished. Every statement names the owner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.assistant.record import Answer
from taskchat.postgres.database import Connection, Database, Function
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal
from taskchat.turns.states import Claim, Steered, TurnRef
from taskchat.turns.store.record import answer_values

STEERING_CHANNEL: Final = "taskchat_steering"
"""Payload: the id of a turn that runs in another process, which has something to read."""

TURN_STEER: Final = Function(
    "turn_steer_1",
    "turn",
    "process",
    "key",
    "fingerprint",
    "message",
    "content",
    "said_at",
    "scopes",
    "per_minute",
    "costs",
    "steered_max",
)
_HOLD: Final = text(
    "SELECT 1 FROM turns WHERE user_id = :owner AND id = :turn AND attempt = :attempt"
    " AND status = 'running' FOR SHARE"
)
_READ: Final = text(
    "WITH read AS (UPDATE steering SET read_after_answers = :answers, read_after_calls = :calls"
    " WHERE user_id = :owner AND turn_id = :turn AND read_after_answers IS NULL"
    " RETURNING message_id)"
    " SELECT m.id, m.content, m.created_at FROM read JOIN messages AS m"
    " ON m.user_id = :owner AND m.id = read.message_id ORDER BY m.position"
)
_KEEP: Final = text(
    "INSERT INTO model_answers (user_id, turn_id, number, model, items, input_tokens,"
    " cached_input_tokens, output_tokens, duration_ms)"
    " SELECT :owner, :turn, a.number, a.model, CAST(a.items AS json), a.input_tokens,"
    " a.cached_input_tokens, a.output_tokens, a.duration_ms FROM unnest(CAST(:answers AS int[]),"
    " CAST(:answer_models AS text[]), CAST(:answer_items AS text[]), CAST(:answer_inputs AS int[]),"
    " CAST(:answer_cached AS int[]), CAST(:answer_outputs AS int[]),"
    " CAST(:answer_durations AS int[])) AS a(number, model, items, input_tokens,"
    " cached_input_tokens, output_tokens, duration_ms)"
)
_OF_TURN: Final = text(
    "SELECT m.id, m.content, m.created_at, s.read_after_answers AS after_answers"
    " FROM steering AS s JOIN messages AS m ON m.user_id = :owner AND m.id = s.message_id"
    " WHERE s.user_id = :owner AND s.turn_id = :turn ORDER BY m.position"
)
_FORGET_KEYS: Final = text(
    "UPDATE steering SET idempotency_key = NULL, fingerprint = NULL"
    " WHERE (user_id, message_id) IN (SELECT s.user_id, s.message_id FROM steering AS s"
    " JOIN turns AS t ON t.user_id = s.user_id AND t.id = s.turn_id"
    " WHERE s.idempotency_key IS NOT NULL"
    " AND t.finished_at < now() - make_interval(hours => :retention_h)"
    " LIMIT :rows_max FOR UPDATE OF s SKIP LOCKED)"
)


@dataclass(frozen=True, slots=True)
class Steering:
    """What became of a message to a turn.

    Attributes:
        outcome: As turn_steer_1.sql has it: steered, known, used, over, not_found, limited, many
            or taken.
        turn_id: The turn that has it, if there is one.
        conversation_id: That turn's conversation.
        message_id: The message, as it was stored first.
        fingerprint: Of the request that came with the key, if the key is known.
        levels: What is left of each limit, by scope.
        limits_failed: Whether the limits could not be checked.
    """

    outcome: str
    turn_id: UUID
    conversation_id: UUID | None
    message_id: UUID
    fingerprint: bytes | None
    levels: Mapping[str, float]
    limits_failed: bool


async def steer(
    database: Database,
    principal: Principal,
    turn_id: UUID,
    *,
    process: UUID,
    key: str | None,
    fingerprint: bytes | None,
    message_id: UUID,
    content: str,
    said_at: datetime,
    limits: Mapping[str, int],
    costs: Mapping[str, int],
    steered_max: int,
) -> Steering:
    """Say something to a turn, in one transaction: turn_steer_1.sql.

    Args:
        database: Where it is stored.
        principal: Who says it.
        turn_id: To which turn.
        process: This process, which need not be notified.
        key: The caller's key, if there is one.
        fingerprint: Of the request that came with the key.
        message_id: The message's id.
        content: What is said.
        said_at: When.
        limits: What it counts against: a minute's worth, by scope.
        costs: How much it spends of each, by scope.
        steered_max: The most such messages of one turn.

    Raises:
        DatabaseError: nothing was stored, or the outcome is unknown.
    """
    row = await database.call(
        principal,
        TURN_STEER,
        {
            "turn": turn_id,
            "process": process,
            "key": key,
            "fingerprint": fingerprint,
            "message": message_id,
            "content": content,
            "said_at": said_at,
            "scopes": list(limits),
            "per_minute": list(limits.values()),
            "costs": [costs[scope] for scope in limits],
            "steered_max": steered_max,
        },
        Precedence.ARRIVING,
    )
    return Steering(
        row.outcome,
        row.turn,
        row.conversation,
        row.message,
        row.fingerprint,
        dict(zip(row.scopes or (), row.levels or (), strict=True)),
        row.limits_failed,
    )


async def read(
    connection: Connection, held: Claim, *, answers: int, calls: int
) -> list[Steered] | None:
    """Read what is unread, in order, so that nobody reads it again.

    From then to the end of the transaction nothing more can be said to the turn.

    Args:
        connection: Of the user.
        held: The attempt that reads.
        answers: How many answers of models the turn has so far.
        calls: How many executed calls it has.

    Returns:
        None if this attempt no longer runs the turn.
    """
    turn = held.turn
    of_turn = {"owner": turn.principal.user_id, "turn": turn.id}
    if await connection.scalar(_HOLD, {**of_turn, "attempt": held.attempt}) is None:
        return None
    rows = await connection.execute(_READ, {**of_turn, "answers": answers, "calls": calls})
    return [Steered(row.id, row.content, row.created_at, answers) for row in rows]


async def keep_answers(
    connection: Connection, turn: TurnRef, answers: Sequence[tuple[int, Answer]]
) -> None:
    """Keep what models have answered before something was read, by number in the turn."""
    values = {"owner": turn.principal.user_id, "turn": turn.id, **answer_values(answers)}
    await connection.change(_KEEP, values)


async def of_turn(connection: Connection, turn: TurnRef) -> list[Steered]:
    """What was said to a turn while it was unfinished, in order."""
    rows = await connection.execute(_OF_TURN, {"owner": turn.principal.user_id, "turn": turn.id})
    return [Steered(**row) for row in rows]


async def forget_keys(connection: Connection, *, retention_h: int, rows_max: int) -> int:
    """Forget keys of what was said to turns that ended so long ago. A system transaction.

    Returns:
        How many.
    """
    return await connection.change(_FORGET_KEYS, {"retention_h": retention_h, "rows_max": rows_max})
