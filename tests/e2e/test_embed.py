"""`taskchat embed` and what `doctor` says of vectors, as processes of their own."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from tests.conftest import JWT_SECRET, MakeDatabase
from tests.e2e.processes import taskchat
from tests.factories import person_in
from tests.search.endpoint import Endpoint
from tests.search.writing import wrote

from taskchat.postgres.connect import open_engine
from taskchat.postgres.database import Database
from taskchat.settings import Settings


async def counted(engine: AsyncEngine, condition: str) -> int:
    async with engine.connect() as connection:
        return int(
            await connection.scalar(
                text(f"SELECT count(*) FROM message_embeddings WHERE {condition}")
            )
            or 0
        )


async def test_what_lacks_vectors_gets_them_and_a_run_that_was_broken_off_is_continued(
    migrated_database: MakeDatabase, settings: Settings, tmp_path: Path
) -> None:
    endpoint = Endpoint()
    async with migrated_database() as url, endpoint.serving():
        database = Database(url, settings)
        for number in range(3):
            await wrote(database, await person_in(database), *[f"tooth {number}"] * 30)
        await database.close()
        engine = open_engine(url, poolclass=NullPool)
        env = {
            "DATABASE_URL": url,
            "TASKCHAT_JWT_SECRET": JWT_SECRET,
            "TASKCHAT_EMBEDDING_MODEL": "m",
            "TASKCHAT_EMBEDDING_BASE_URL": endpoint.url,
        }

        async def run(*arguments: str) -> tuple[int, str, str]:
            ended = await asyncio.to_thread(taskchat, *arguments, cwd=tmp_path, env=env)
            assert "Traceback" not in ended.stderr
            return ended.returncode, ended.stdout, ended.stderr

        endpoint.status = 401
        code, told, _ = await run("embed")
        assert (code, told) == (1, "m gave no vectors (401); 90 messages wait. Run it again.\n")
        endpoint.status = 200
        assert (await run("embed"))[:2] == (0, "90 made by m\n")
        assert await counted(engine, "made_at IS NOT NULL AND model = 'm'") == 90
        asked = len(endpoint.asked)
        assert (await run("embed"))[:2] == (0, "0 made by m\n")
        assert len(endpoint.asked) == asked
        _, told, _ = await run("doctor")
        assert "ok    embeddings  m, 64 numbers\n" in told
        assert "ok    vectors     0 to be made, 0 left alone\n" in told
        # Another model makes all anew, and the old vectors go last.
        code, told, _ = await run("embed", "--model", "n", "--forget")
        assert (code, told) == (0, "90 made by n; 90 of other models deleted\n")
        assert await counted(engine, "model = 'n'") == await counted(engine, "true") == 90
        async with engine.begin() as connection:
            await connection.execute(text("DROP EXTENSION vector"))
        code, told, _ = await run("embed")
        assert (code, "CREATE EXTENSION vector" in told) == (1, True)
        code, told, _ = await run("doctor")
        assert (code, "FAIL  vectors" in told) == (1, True)
        await engine.dispose()


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/d"}, "TASKCHAT_EMBEDDING_MODEL"),
        ({"TASKCHAT_EMBEDDING_MODEL": "m"}, "TASKCHAT_EMBEDDING_BASE_URL"),
        ({"TASKCHAT_EMBEDDING_MODEL": "m" * 300, "OPENAI_API_KEY": "k"}, "too long"),
    ],
)
def test_what_is_not_configured_is_told_in_one_sentence(
    env: dict[str, str], words: str, tmp_path: Path
) -> None:
    refused = taskchat("embed", cwd=tmp_path, env=env)
    assert (refused.returncode, refused.stdout) == (2, "")
    [line] = refused.stderr.splitlines()
    assert words in line
