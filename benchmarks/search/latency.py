"""How long a search takes in a long conversation, with many conversations, and beside neither."""

import time
from collections.abc import Sequence
from statistics import median
from typing import get_args
from uuid import UUID

import asyncpg

from benchmarks.stage import connected
from taskchat.embeddings.repository import nearest
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.principal import Principal
from taskchat.search.repository import Asked
from taskchat.search.schemas import HitKind
from taskchat.search.service import Search
from taskchat.settings import Settings

SEARCHES = {
    "rare": "needle in haystacks",
    "common": "milk",
    "half of a word": "needl",
    "nowhere": "zebra crossing",
}
"""A word of one message in a thousand; of all; and of none."""

KINDS: tuple[HitKind, ...] = get_args(HitKind)

DIMENSIONS = 256

FILL = """
WITH numbered AS (
    SELECT c.id AS conversation, gen_random_uuid() AS turn, n AS number
    FROM conversations AS c, generate_series(1, $2::int) AS n WHERE c.user_id = $1
), turned AS (
    INSERT INTO turns (user_id, id, conversation_id, number, channel, status)
    SELECT $1, turn, conversation, number, 'rest', 'completed' FROM numbered
)
INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number, position, role, content)
SELECT $1, gen_random_uuid(), conversation, turn, number, side.position, side.role,
    concat_ws(' ', 'Remember the milk and the', 'word' || (random() * 5000)::int, 'thing',
        'word' || (random() * 5000)::int, 'before', 'word' || (random() * 5000)::int,
        CASE WHEN random() < 0.001 THEN 'needles in the haystack' END)
FROM numbered, (VALUES (0, 'user'), (1, 'assistant')) AS side (position, role)
"""

VECTORS = """
INSERT INTO message_embeddings (user_id, message_id, model, made_at, embedding)
SELECT user_id, id, 'bench', now(), ARRAY(SELECT (random() - 0.5)::real
    FROM generate_series(1, $2::int) WHERE id IS NOT NULL)
FROM messages WHERE user_id = $1
"""


async def filled(
    database: asyncpg.Connection, user: str, *, conversations: int, turns_each: int
) -> None:
    """A user who has said so much."""
    await database.execute("INSERT INTO users (id) VALUES ($1)", user)
    await database.executemany(
        "INSERT INTO conversations (user_id, id, title) VALUES ($1, $2, $3)",
        [(user, new_id(), f"Talk {number} of errands") for number in range(conversations)],
    )
    await database.execute(FILL, user, turns_each, timeout=600)
    await database.execute(VECTORS, user, DIMENSIONS, timeout=600)


async def measure(
    database: Database, url: str, settings: Settings, *, size: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Milliseconds of a first page, by user and search: the median over the rounds."""
    users = {
        "20 messages": (1, 10),
        f"a conversation of {size:,} messages": (1, size // 2),
        f"{size:,} conversations": (size, 1),
    }
    async with connected(url) as direct:
        for name, (conversations, turns_each) in users.items():
            await filled(direct, name, conversations=conversations, turns_each=turns_each)
        await direct.execute("VACUUM (ANALYZE)")
    search = Search(database, None, settings)
    seconds: dict[str, dict[str, list[float]]] = {
        name: {what: [] for what in (*SEARCHES, "vectors")} for name in users
    }
    vector = [0.1] * DIMENSIONS
    for _ in range(rounds):
        for what, q in SEARCHES.items():
            for name in users:
                began = time.perf_counter()
                await search.page(
                    Principal(name), Asked(q, KINDS, None, None), limit=20, after=None
                )
                seconds[name][what].append(time.perf_counter() - began)
        for name in users:
            began = time.perf_counter()
            await _nearest(database, settings, name, vector)
            seconds[name]["vectors"].append(time.perf_counter() - began)
    return {
        name: {what: median(taken) * 1000 for what, taken in of_user.items()}
        for name, of_user in seconds.items()
    }


async def _nearest(
    database: Database, settings: Settings, user: str, vector: Sequence[float]
) -> None:
    conversation: UUID | None = None
    rows = await nearest(
        database,
        Principal(user),
        "bench",
        vector,
        conversation=conversation,
        until=None,
        compared_max=settings.search_compared_max,
        found_max=settings.search_ranked_max,
        similarity_min=settings.search_similarity_min,
    )
    assert rows is not None, "the database has no extension vector"
