"""What a turn leaves behind: rows and bytes of each table, of turns that were really talked."""

import os
from typing import Any, Final

import httpx

from benchmarks.client import MESSAGE
from benchmarks.scale.looks import AMPLE
from benchmarks.scripted import ScriptedModel
from benchmarks.stage import OURS, Stage, connected
from taskchat.app import create_app
from taskchat.assistant.models.asking import NamedModel
from taskchat.auth.issuing import issue_token
from taskchat.moments import new_id
from taskchat.settings import Settings

EACH: Final = 10
"""Turns of a user, in one conversation."""

_SECRET: Final = os.urandom(24).hex()
_SIZES: Final = (
    "SELECT relname, pg_table_size(oid), pg_indexes_size(oid), reltuples::int FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples > 1"
)


async def turns_left(stage: Stage, turns: int) -> dict[str, dict[str, Any]]:
    """By table: rows, and bytes of table and indexes, per turn with one tool call."""
    url = await stage.database(OURS, "bench_left")
    settings = Settings(_env_file=None, database_url=url, jwt_secret=_SECRET, **AMPLE)
    app = create_app(settings, chain=[NamedModel("scripted", ScriptedModel())])
    users = turns // EACH
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench") as client,
    ):
        for _ in range(users):
            # As long as the ids of built-in accounts.
            user, conversation = f"someone-{new_id()}", None
            token = issue_token(user, secret=_SECRET, ttl_s=7200, issuer=None, audience=None)
            for _ in range(EACH):
                answer = await client.post(
                    f"/api/{user}/chat",
                    json={"message": MESSAGE, "conversation_id": conversation},
                    headers={"Authorization": f"Bearer {token}"},
                )
                conversation = answer.raise_for_status().json()["conversation_id"]
    async with connected(url) as database:
        await database.execute("VACUUM (ANALYZE)")
        rows = await database.fetch(_SIZES)
    return {
        name: {
            "rows": round(count / (users * EACH), 2),
            "bytes": round(table / (users * EACH)),
            "bytes of indexes": round(indexes / (users * EACH)),
        }
        for name, table, indexes, count in rows
    }
