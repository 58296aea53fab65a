"""A database of so many turns, made by SQL as if they had been said one after another.

Nothing is talked: rows are as small as they may be, and only the tables that the measured
statements read are filled. What a turn really leaves behind is measured by `turns_left`.
"""

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from typing import Final

import asyncpg

DAYS: Final = 100
"""Over which the turns were said, evenly: those of the last two have events, keys, calls and
replies. Half of the events and of the keys are to be deleted."""

TURNS_A_USER: Final = 10
"""On average. Who says most says thousands of times more than who says least."""

_SKEW: Final = 0.8
"""User number u says a share that falls with u to this power."""

FILLED: Final = (
    "users",
    "tasks",
    "conversations",
    "turns",
    "messages",
    "tool_calls",
    "turn_events",
    "rate_buckets",
    "usage_days",
    "live_connections",
)

# Everybody has said something before anybody says the next thing, so that what belongs to a user
# lies scattered over a table, as it does where people talk at the same time. A user's conversations
# have one turn, three, five and so on.
_SAID: Final = """
CREATE TEMP VIEW said AS
SELECT row_number() OVER () AS i, k,
    lpad(to_hex(u * 2654435761 % 4294967296), 8, '0') AS user_id,
    md5('t ' || u || ' ' || k)::uuid AS turn,
    md5('c ' || u || ' ' || floor(sqrt(k)))::uuid AS conversation,
    (k - floor(sqrt(k)) ^ 2 + 1)::int AS number
FROM generate_series(0, floor({most})::int) AS k,
    LATERAL (SELECT least({users}, ceil(({most} / greatest(k, 1)) ^ (1 / {skew})))) AS who (many),
    LATERAL generate_series(0, many::int - 1) AS u
"""
_AT: Final = f"now() - interval '{DAYS} days' * (1 - i / {{turns}}::float8)"
_NEW: Final = f"i > {{turns}} - 2 * {{turns}} / {DAYS}"
_KEPT: Final = "idempotency_key IS NOT NULL"

_ROWS: Final = (
    "INSERT INTO users (id, last_task)"
    " SELECT lpad(to_hex(u * 2654435761 % 4294967296), 8, '0'), 2"
    " FROM generate_series(0, {users} - 1) AS u",
    "INSERT INTO tasks (user_id, id, title, description, completed)"
    " SELECT id, n, 'Buy groceries', '', n < 2 FROM users, generate_series(1, 2) AS n",
    "INSERT INTO turns (user_id, id, conversation_id, number, channel, status, attempt, model,"
    " model_calls, result, last_seq, created_at, started_at, finished_at, idempotency_key,"
    " fingerprint)"
    " SELECT user_id, turn, conversation, number, 'rest', 'completed', 1, 'm', 1, '{{}}', 6,"
    f" {_AT}, {_AT}, {_AT},"
    f" CASE WHEN {_NEW} THEN turn::text END, CASE WHEN {_NEW} THEN '\\x00'::bytea END FROM said",
    # What was said last has a reply; all of them would only fill a disk.
    "INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number, position, role,"
    " content, created_at)"
    " SELECT user_id, CASE position WHEN 0 THEN id ELSE gen_random_uuid() END, conversation_id, id,"
    " number, position, role, CASE position WHEN 0 THEN 'Buy w' || (hashtext(id::text) & 4095)"
    " || CASE hashtext(id::text) & 1023 WHEN 0 THEN ' needle' ELSE '' END ELSE 'Added' END,"
    " created_at FROM turns, (VALUES (0, 'user'), (1, 'assistant')) AS side (position, role)"
    f" WHERE position = 0 OR {_KEPT}",
    "INSERT INTO tool_calls (user_id, id, turn_id, call_id, position, tool_name, parameters,"
    " result, status, duration_ms)"
    " SELECT user_id, gen_random_uuid(), id, 'call_1', 0, 'add_task', '{{}}', '{{}}', 'completed',"
    f" 1 FROM turns WHERE {_KEPT}",
    "INSERT INTO turn_events (user_id, turn_id, seq, type, data, created_at)"
    f" SELECT user_id, id, seq, 'agent_status', '{{{{}}}}', created_at"
    f" FROM turns, generate_series(1, 6) AS seq WHERE {_KEPT}",
    "INSERT INTO conversations (user_id, id, title, status, last_turn, created_at, updated_at)"
    " SELECT user_id, conversation_id, 'Buy groceries',"
    " CASE WHEN max(created_at) < now() - interval '2 days' THEN 'paused' ELSE 'active' END,"
    " max(number), min(created_at), max(created_at) FROM turns GROUP BY user_id, conversation_id",
    # A row for each user who has ever spent model tokens; of buckets of turns, two hours' worth.
    "INSERT INTO rate_buckets (user_id, scope, per_minute, level, updated_at)"
    f" SELECT id, 'tokens', 100000, 100000, now() - interval '{DAYS} days' * random() FROM users",
    "INSERT INTO rate_buckets (user_id, scope, per_minute, level, updated_at)"
    " SELECT user_id, 'user', 10, 9, max(created_at) FROM turns"
    " WHERE finished_at > now() - interval '2 hours' AND idempotency_key IS NOT NULL"
    " GROUP BY user_id",
    "INSERT INTO usage_days (user_id, day, model, turns, model_calls, input_tokens,"
    " cached_input_tokens, output_tokens, cost, unpriced_calls)"
    " SELECT id, now()::date - 1, 'm', 1, 1, 9, 0, 9, 0, 0 FROM users",
    "INSERT INTO live_connections (user_id, id, kind, process, expires_at)"
    " SELECT id, md5(id)::uuid, 'websocket', md5(id)::uuid, now()"
    " + CASE WHEN id LIKE '%000' THEN -interval '1 hour' ELSE interval '1 day' END FROM users"
    " WHERE id LIKE '%00'",
)

# The same words of texts such as these, in a fifth of the time; for as long as indexes are built.
_WORDS: Final = """
CREATE OR REPLACE FUNCTION search_words_1(_owner text, _said text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN array_to_tsvector(string_to_array('u' || left(md5(_owner), 8)
    || replace(lower(_said), ' ', ' u' || left(md5(_owner), 8)), ' '))
"""

_SETTINGS: Final = (
    "session_replication_role = replica",
    "synchronous_commit = off",
    "maintenance_work_mem = '1GB'",
    "work_mem = '512MB'",
    "max_parallel_maintenance_workers = 0",
    "max_parallel_workers_per_gather = 0",
    # An index is built in a tenth of the time in which it is added to row by row.
    "allow_system_table_mods = on",
)


@contextlib.contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"  {what}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


async def fill(database: asyncpg.Connection, turns: int) -> None:
    """Fill an empty database with about so many turns. `database` is a superuser's."""
    users = max(1, turns // TURNS_A_USER)
    most = _most(turns, users)
    values = {"turns": _turns(most, users), "users": users, "most": most, "skew": _SKEW}
    for setting in _SETTINGS:
        await database.execute(f"SET {setting}")
    await database.execute(
        "UPDATE pg_index SET indisready = false, indisvalid = false"
        " WHERE indrelid = ANY ($1::text[]::regclass[])",
        FILLED,
    )
    await database.execute(_SAID.format(**values))
    for statement in _ROWS:
        with _timed(statement.split()[2]):
            await database.execute(statement.format(**values), timeout=7200)
    [words] = await database.fetch("SELECT pg_get_functiondef('search_words_1'::regproc)")
    await database.execute(_WORDS)
    for table in FILLED:
        with _timed(f"indexes of {table}"):
            await database.execute(f"REINDEX TABLE {table}", timeout=7200)
    await database.execute(words[0])
    with _timed("vacuum"):
        # Of every table: one that is thought to be new is planned as if it had ten pages.
        await database.execute("VACUUM (ANALYZE)", timeout=7200)
        await database.execute("CHECKPOINT", timeout=7200)


def _turns(most: float, users: int) -> int:
    """How many turns `said` has, if the user who says most says so many."""
    return sum(
        min(users, math.ceil((most / max(k, 1)) ** (1 / _SKEW))) for k in range(int(most) + 1)
    )


def _most(turns: int, users: int) -> float:
    """How many turns the user who says most has, so that all together have about `turns`."""
    least, most = 1.0, float(turns)
    while most - least > 1:
        middle = (least + most) / 2
        least, most = (middle, most) if _turns(middle, users) < turns else (least, middle)
    return least
