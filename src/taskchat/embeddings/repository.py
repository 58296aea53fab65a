"""SQL of vectors. Work is listed by ids as the system; texts and vectors are the user's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import AnyRow, Connection, Database, Function
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal

_QUEUED: Final = "made_at IS NULL AND attempts < 5"
"""As in the index. A message with which so many processes died, or that the model does not take, is
left alone until somebody fills up what lacks."""

WANTED_H: Final = 24
"""For so long after a process last used a model, messages are queued for it."""

_WANT: Final = text(
    "INSERT INTO embedding_models (id, wanted_until)"
    " VALUES (:model, now() + make_interval(hours => :hours))"
    " ON CONFLICT (id) DO UPDATE SET wanted_until = excluded.wanted_until"
    " WHERE embedding_models.wanted_until < excluded.wanted_until - interval '1 hour'"
)
_HAS_VECTORS: Final = text("SELECT to_regtype('vector') IS NOT NULL")
_CLAIM: Final = text(
    "UPDATE message_embeddings AS e SET claimed_until = now() + make_interval(secs => :lease_s),"
    " attempts = e.attempts + 1 FROM (SELECT q.user_id, q.message_id, q.model"
    f" FROM message_embeddings AS q WHERE q.model = :model AND {_QUEUED}"
    " AND (q.claimed_until IS NULL OR q.claimed_until < now())"
    " ORDER BY q.queued_at, q.message_id LIMIT :rows_max FOR UPDATE SKIP LOCKED) AS queued"
    " WHERE e.user_id = queued.user_id AND e.message_id = queued.message_id"
    " AND e.model = queued.model RETURNING e.user_id, e.message_id"
)
_OF_THESE: Final = (
    " FROM unnest(CAST(:users AS text[]), CAST(:messages AS uuid[])) AS these (user_id, id)"
    " WHERE e.user_id = these.user_id AND e.message_id = these.id AND e.model = :model"
    " AND e.made_at IS NULL"
)
_LET_GO: Final = text(
    "UPDATE message_embeddings AS e SET claimed_until = NULL, attempts = e.attempts - 1" + _OF_THESE
)
_LEAVE_ALONE: Final = text(
    "UPDATE message_embeddings AS e SET claimed_until = NULL, attempts = 5" + _OF_THESE
)
_READ: Final = text(
    "SELECT id, left(content, :chars_max) AS said FROM messages"
    " WHERE user_id = :owner AND id = ANY(CAST(:messages AS uuid[]))"
)
# Each vector as text: arrays of arrays would be one array.
_KEEP: Final = text(
    "UPDATE message_embeddings AS e SET embedding = CAST(made.vector AS real[]), made_at = now()"
    " FROM unnest(CAST(:messages AS uuid[]), CAST(:vectors AS text[])) AS made (id, vector)"
    " WHERE e.user_id = :owner AND e.message_id = made.id AND e.model = :model"
    " AND e.made_at IS NULL"
)
_QUEUE_LACKING: Final = text(
    "WITH looked AS (SELECT id FROM messages WHERE user_id = :owner AND id > :after"
    " ORDER BY id LIMIT :rows_max), queued AS (INSERT INTO message_embeddings (user_id, message_id,"
    " model) SELECT :owner, id, :model FROM looked ON CONFLICT DO NOTHING)"
    " SELECT count(*) AS read, max(CAST(id AS text)) AS last FROM looked"
)
_NEXT_USER: Final = text("SELECT min(user_id) FROM conversations WHERE user_id > :after")
_RETRY: Final = text(
    "UPDATE message_embeddings SET attempts = 0 WHERE model = :model AND made_at IS NULL"
    " AND attempts >= 5 AND (claimed_until IS NULL OR claimed_until < now())"
)
_COUNT: Final = text(
    f"SELECT count(*) FILTER (WHERE {_QUEUED}) AS waiting, count(*) AS unmade"
    " FROM message_embeddings WHERE model = :model AND made_at IS NULL"
)
_FORGET_OTHERS: Final = text(
    "DELETE FROM message_embeddings WHERE (user_id, message_id, model) IN (SELECT user_id,"
    " message_id, model FROM message_embeddings WHERE model <> :model LIMIT :rows_max)"
)
_WANT_NO_OTHERS: Final = text("DELETE FROM embedding_models WHERE id <> :model")
_NEAR: Final = Function(
    "search_meaning_1",
    *("model", "vector", "conversation", "until", "compared_max", "found_max", "similarity_min"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the queue: whose message it is, and which."""

    user_id: str
    message_id: UUID


async def want(connection: Connection, model: str) -> None:
    """Have new messages queued for a model, for a day. A system transaction."""
    await connection.change(_WANT, {"model": model, "hours": WANTED_H})


async def has_vectors(connection: Connection) -> bool:
    """Whether the database can compare vectors."""
    return bool(await connection.scalar(_HAS_VECTORS))


async def claim(
    connection: Connection, model: str, *, rows_max: int, lease_s: float
) -> Sequence[Place]:
    """Take some of what has no vector, the oldest first. A system transaction.

    What another process has taken is left to it until its lease ends.
    """
    rows = await connection.execute(
        _CLAIM,
        {"model": model, "rows_max": rows_max, "lease_s": lease_s},
    )
    return [Place(row.user_id, row.message_id) for row in rows]


async def let_go(connection: Connection, model: str, places: Iterable[Place]) -> None:
    """Let others take what was taken; it counts as no attempt. A system transaction."""
    await connection.change(_LET_GO, _these(model, places))


async def leave_alone(connection: Connection, model: str, places: Iterable[Place]) -> None:
    """Do without these messages' vectors: the model does not take them. A system transaction."""
    await connection.change(_LEAVE_ALONE, _these(model, places))


def _these(model: str, places: Iterable[Place]) -> dict[str, object]:
    listed = list(places)
    return {
        "model": model,
        "users": [place.user_id for place in listed],
        "messages": [place.message_id for place in listed],
    }


async def read_texts(
    connection: Connection, principal: Principal, messages: Sequence[UUID], *, chars_max: int
) -> Mapping[UUID, str]:
    """What a user's messages say, cut to so many characters."""
    rows = await connection.execute(
        _READ, {"owner": principal.user_id, "messages": messages, "chars_max": chars_max}
    )
    return {row.id: row.said for row in rows}


async def keep(
    connection: Connection,
    principal: Principal,
    model: str,
    vectors: Mapping[UUID, Sequence[float]],
) -> None:
    """Keep the vectors of a user's messages, but for those that have one by now."""
    await connection.change(
        _KEEP,
        {
            "owner": principal.user_id,
            "model": model,
            "messages": list(vectors),
            "vectors": [f"{{{','.join(map(repr, vector))}}}" for vector in vectors.values()],
        },
    )


async def next_user(connection: Connection, after: str) -> str | None:
    """The next user by id who has a conversation. A system transaction."""
    found: str | None = await connection.scalar(_NEXT_USER, {"after": after})
    return found


async def queue_lacking(
    connection: Connection, principal: Principal, model: str, *, after: UUID, rows_max: int
) -> UUID | None:
    """Queue some of a user's messages that lack a vector; returns the last one looked at.

    None says that there are no more.
    """
    row = (
        await connection.execute(
            _QUEUE_LACKING,
            {
                "owner": principal.user_id,
                "model": model,
                "after": after,
                "rows_max": rows_max,
            },
        )
    ).one()
    return UUID(row.last) if row.read == rows_max else None


async def retry_left_alone(connection: Connection, model: str) -> None:
    """Queue again what was left alone. A system transaction."""
    await connection.change(_RETRY, {"model": model})


async def count_unmade(connection: Connection, model: str) -> tuple[int, int]:
    """How many wait for their vectors, and how many were left alone. A system transaction."""
    row = (await connection.execute(_COUNT, {"model": model})).one()
    return row.waiting, row.unmade - row.waiting


async def want_no_others(connection: Connection, model: str) -> None:
    """Queue messages for no other model any more. A system transaction."""
    await connection.change(_WANT_NO_OTHERS, {"model": model})


async def forget_others(connection: Connection, model: str, *, rows_max: int) -> int:
    """Delete some vectors of all other models; returns how many. A system transaction."""
    return await connection.change(_FORGET_OTHERS, {"model": model, "rows_max": rows_max})


async def nearest(
    database: Database,
    principal: Principal,
    model: str,
    vector: Sequence[float],
    **within: object,
) -> Sequence[AnyRow] | None:
    """The messages nearest to a vector, as `search_meaning_1` tells them.

    Returns:
        None if the database can't compare vectors.
    """
    rows = await database.call_for_rows(
        principal, _NEAR, {"model": model, "vector": vector, **within}, Precedence.ARRIVING
    )
    return None if rows and rows[0].kind is None else rows
