"""The chores themselves, in a database of their own."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from tests.conftest import MakeDatabase

from taskchat.commands.doctor import Finding, examine
from taskchat.housekeeping.chores import chores_of
from taskchat.housekeeping.keeper import Keeper
from taskchat.moments import new_id
from taskchat.postgres.connect import open_engine
from taskchat.postgres.database import Database
from taskchat.settings import Settings
from taskchat.turns import store


@pytest.fixture
async def alone(
    migrated_database: MakeDatabase, settings: Settings
) -> AsyncIterator[tuple[Settings, AsyncEngine, Database]]:
    """Settings that lead to a database that nobody else uses, and two ways into it."""
    async with migrated_database() as url:
        own = settings.model_copy(update={"database_url": SecretStr(url)})
        engine, database = open_engine(url, poolclass=NullPool), Database(url, own)
        yield own, engine, database
        await database.close()
        await engine.dispose()


async def chores_as_doctor_finds_them(settings: Settings) -> Finding:
    [finding] = [one for one in await examine(settings) if one.name == "chores"]
    assert finding.ok
    return finding


async def test_every_chore_is_done_and_the_doctor_says_when(
    alone: tuple[Settings, AsyncEngine, Database],
) -> None:
    settings, engine, database = alone
    assert "none was ever due" in (await chores_as_doctor_finds_them(settings)).text
    chores = chores_of(settings)
    await Keeper(database, new_id(), chores, settings).keep_house()
    async with engine.connect() as connection:
        records = (await connection.execute(text("SELECT * FROM chores"))).all()
    assert sorted(record.name for record in records) == sorted(chore.name for chore in chores)
    assert all(record.finished_at and not record.failures for record in records), records
    found = await chores_as_doctor_finds_them(settings)
    assert not found.warns
    assert all(f"{chore.name} " in found.text for chore in chores)
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE chores SET finished_at = now() - interval '3 h', failures = 2,"
                " error = 'QueryCanceledError' WHERE name = 'turn_events'"
            )
        )
    found = await chores_as_doctor_finds_them(settings)
    assert found.warns
    assert "overdue: turn_events (3 h ago, QueryCanceledError × 2);" in found.text


def test_a_chore_that_is_switched_off_is_none(settings: Settings) -> None:
    never = settings.model_copy(update={"conversation_idle_h": 0})
    names = {chore.name for chore in chores_of(settings)}
    assert names - {chore.name for chore in chores_of(never)} == {"idle_conversations"}
    assert len(names) == len(chores_of(settings))


async def test_events_are_pruned_by_whole_turns_and_by_a_bounded_number(
    alone: tuple[Settings, AsyncEngine, Database],
) -> None:
    _, engine, database = alone
    async with engine.begin() as connection:
        for statement in (
            "INSERT INTO users (id) VALUES ('ann')",
            "INSERT INTO conversations (user_id, id, status)"
            " VALUES ('ann', gen_random_uuid(), 'active')",
            "INSERT INTO turns (user_id, id, conversation_id, number, channel, status, finished_at)"
            " SELECT 'ann', gen_random_uuid(), id, n, 'rest', 'completed', now() - interval '9 h'"
            " FROM conversations, generate_series(1, 5) AS n",
            # As if five turns had run at once.
            "INSERT INTO turn_events (user_id, turn_id, seq, type, data, created_at)"
            " SELECT 'ann', t.id, n, 'told', '{}', now() - interval '9 h'"
            " FROM generate_series(1, 4) AS n, turns AS t ORDER BY n, t.number",
        ):
            await connection.execute(text(statement))
    pruned, left = [], []
    for _ in range(4):
        async with database.spare_transaction() as system:
            pruned.append(await store.events.prune(system, retention_h=1, rows_max=6))
        async with engine.connect() as connection:
            found = await connection.scalars(
                text("SELECT count(*) FROM turn_events GROUP BY turn_id")
            )
            left.append(list(found))
    assert pruned == [8, 8, 4, 0]
    assert left == [[4] * 3, [4], [], []]
