"""Who comes with a link sees what it shows, by row-level security, whatever the SQL asks for."""

from typing import Any

import httpx
import pytest
from asyncpg import PostgresError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import RunningApp
from tests.factories import Person
from tests.sharing.links import link_to, talk
from tests.test_db import TABLES, fill

from taskchat.postgres.database import READER_ROLE, Database
from taskchat.sharing.tokens import hash_of
from taskchat.tables import metadata

SEEN = {"shares", "messages", "tool_calls"}
"""The tables of which a reader sees anything."""

COUNT = {table: text(f"SELECT count(*) FROM {table}") for table in SEEN}


async def counted(database: Database, token_hash: bytes) -> dict[str, int]:
    """How many rows the link's reader sees."""
    async with database.reader_transaction(token_hash) as connection:
        return {table: int(await connection.scalar(COUNT[table])) for table in sorted(SEEN)}


async def shared(
    client: httpx.AsyncClient, person: Person, **wanted: Any
) -> tuple[bytes, dict[str, Any]]:
    """A link to the first of a person's conversations, which goes on; and its token's hash."""
    conversation = await talk(client, person, "Add task: Buy milk", "Add task: Buy bread")
    made = await link_to(client, person, conversation, **wanted)
    await person.say(client, "Add task: A secret", conversation_id=conversation)
    await talk(client, person, "Add task: Another secret")
    token_hash = hash_of(made["token"])
    assert token_hash is not None
    return token_hash, made


NOTHING = {"messages": 0, "shares": 0, "tool_calls": 0}


async def test_a_reader_sees_the_turns_of_one_conversation_up_to_one(
    offline_app: RunningApp, database: Database
) -> None:
    await fill(offline_app)
    person = Person()
    token_hash, _ = await shared(offline_app.client, person)
    assert await counted(database, token_hash) == {"messages": 4, "shares": 1, "tool_calls": 0}
    async with database.reader_transaction(token_hash) as connection:
        rows = await connection.execute(text("SELECT user_id, turn_number, content FROM messages"))
        found = rows.all()
    assert {(row.user_id, row.turn_number) for row in found} == {
        (person.user_id, 1),
        (person.user_id, 2),
    }
    assert not [row for row in found if "secret" in row.content]


async def test_a_reader_sees_tool_calls_of_those_turns_if_the_link_shows_them(
    offline_app: RunningApp, database: Database
) -> None:
    person = Person()
    hidden, _ = await shared(offline_app.client, person)
    token_hash, _ = await shared(offline_app.client, person, with_tool_calls=True)
    assert (await counted(database, hidden))["tool_calls"] == 0
    assert await counted(database, token_hash) == {"messages": 4, "shares": 1, "tool_calls": 2}
    async with database.reader_transaction(token_hash) as connection:
        results = await connection.scalars(text("SELECT result FROM tool_calls"))
    assert "secret" not in str(results)


@pytest.mark.parametrize("column", ["expires_at = now()", "token_hash = sha256('another')"])
async def test_a_link_that_is_not_good_any_more_shows_its_reader_no_row(
    offline_app: RunningApp, database: Database, superuser: AsyncEngine, column: str
) -> None:
    token_hash, made = await shared(offline_app.client, Person(), with_tool_calls=True)
    assert all((await counted(database, token_hash)).values())
    async with superuser.begin() as connection:
        await connection.execute(
            text(f"UPDATE shares SET {column} WHERE id = :id"), {"id": made["id"]}
        )
    assert await counted(database, token_hash) == NOTHING


async def test_a_revoked_link_shows_its_reader_no_row(
    offline_app: RunningApp, database: Database, superuser: AsyncEngine
) -> None:
    token_hash, made = await shared(offline_app.client, Person(), with_tool_calls=True)
    async with superuser.begin() as connection:
        await connection.execute(text("DELETE FROM shares WHERE id = :id"), {"id": made["id"]})
    assert await counted(database, token_hash) == NOTHING


@pytest.mark.parametrize(
    "setting",
    [b"", b"\x00", b"\x00" * 32, b"another token's" * 2 + b".."],
    ids=["empty", "short", "zeros", "another"],
)
async def test_without_the_hash_of_a_link_a_reader_sees_no_row(
    offline_app: RunningApp, database: Database, setting: bytes
) -> None:
    await shared(offline_app.client, Person(), with_tool_calls=True)
    assert await counted(database, setting) == NOTHING


@pytest.mark.parametrize(
    "setting",
    [None, "RESET taskchat.share", "SET LOCAL taskchat.share = ''"],
    ids=["unset", "reset", "empty"],
)
async def test_where_the_setting_is_unset_or_empty_a_reader_sees_no_row(
    offline_app: RunningApp, superuser: AsyncEngine, setting: str | None
) -> None:
    await shared(offline_app.client, Person(), with_tool_calls=True)
    async with superuser.begin() as connection:
        await connection.execute(text(f"SET LOCAL ROLE {READER_ROLE}"))
        if setting is not None:
            await connection.execute(text(setting))
        for statement in COUNT.values():
            assert await connection.scalar(statement) == 0


async def test_the_setting_of_a_link_shows_a_user_and_the_system_nothing_more(
    offline_app: RunningApp, database: Database
) -> None:
    person, stranger = Person(), Person()
    token_hash, _ = await shared(offline_app.client, person, with_tool_calls=True)
    hold = text("SELECT set_config('taskchat.share', :hash, true)")
    async with database.transaction(stranger.principal) as connection:
        await connection.execute(hold, {"hash": token_hash.hex()})
        assert [await connection.scalar(COUNT[table]) for table in sorted(SEEN)] == [0, 0, 0]
    async with database.system_transaction() as connection:
        await connection.execute(hold, {"hash": token_hash.hex()})
        mine = text("SELECT count(*) FROM shares WHERE user_id = :owner")
        assert await connection.scalar(mine, {"owner": person.user_id}) == 0


async def test_the_owners_name_shows_a_reader_nothing_more(
    offline_app: RunningApp, database: Database
) -> None:
    person = Person()
    token_hash, _ = await shared(offline_app.client, person)
    before = await counted(database, token_hash)
    async with database.reader_transaction(token_hash) as connection:
        await connection.execute(
            text("SELECT set_config('taskchat.user_id', :user, true)"), {"user": person.user_id}
        )
        for table in sorted(SEEN):
            assert await connection.scalar(COUNT[table]) == before[table]


@pytest.mark.parametrize("table", sorted({*TABLES, "alembic_version"} - SEEN))
async def test_a_reader_reads_no_other_table(
    offline_app: RunningApp, database: Database, table: str
) -> None:
    token_hash, _ = await shared(offline_app.client, Person(), with_tool_calls=True)
    with pytest.raises(PostgresError, match="permission denied"):
        async with database.reader_transaction(token_hash) as connection:
            await connection.execute(text(f"SELECT count(*) FROM {table}"))


@pytest.mark.parametrize(
    "column",
    ["messages.id", "tool_calls.id", "tool_calls.call_id", "shares.id"],
)
async def test_a_reader_reads_no_id_that_no_page_needs(
    offline_app: RunningApp, database: Database, column: str
) -> None:
    token_hash, _ = await shared(offline_app.client, Person(), with_tool_calls=True)
    with pytest.raises(PostgresError, match="permission denied"):
        async with database.reader_transaction(token_hash) as connection:
            await connection.execute(text(f"SELECT {column} FROM {column.partition('.')[0]}"))


@pytest.mark.parametrize("table", TABLES)
async def test_a_reader_changes_nothing(
    offline_app: RunningApp, database: Database, table: str
) -> None:
    token_hash, _ = await shared(offline_app.client, Person(), with_tool_calls=True)
    column = next(iter(metadata.tables[table].primary_key.columns)).name
    for statement in (
        f"DELETE FROM {table}",
        f"UPDATE {table} SET {column} = {column}",
        f"INSERT INTO {table} DEFAULT VALUES",
    ):
        with pytest.raises(PostgresError, match="permission denied"):
            async with database.reader_transaction(token_hash) as connection:
                await connection.execute(text(statement))


async def test_the_owner_reads_no_hash_of_a_token(
    offline_app: RunningApp, database: Database
) -> None:
    person = Person()
    await shared(offline_app.client, person)
    with pytest.raises(PostgresError, match="permission denied"):
        async with database.transaction(person.principal) as connection:
            await connection.execute(text("SELECT token_hash FROM shares"))


@pytest.mark.parametrize(
    ("statement", "changed"),
    [
        ("DELETE FROM shares WHERE user_id = :owner", 0),
        ("UPDATE shares SET expires_at = now() WHERE user_id = :owner", 0),
    ],
)
async def test_the_system_role_touches_no_link_that_is_good(
    offline_app: RunningApp, database: Database, statement: str, changed: int
) -> None:
    person = Person()
    await shared(offline_app.client, person)
    async with database.system_transaction() as connection:
        assert await connection.change(text(statement), {"owner": person.user_id}) == changed


async def test_the_system_role_prolongs_no_link_that_has_expired(
    offline_app: RunningApp, database: Database, superuser: AsyncEngine
) -> None:
    person = Person()
    token_hash, made = await shared(offline_app.client, person)
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE shares SET expires_at = now() WHERE id = :id"), {"id": made["id"]}
        )
    with pytest.raises(PostgresError, match="row-level security"):
        async with database.system_transaction() as connection:
            await connection.execute(
                text("UPDATE shares SET expires_at = now() + interval '1 h' WHERE user_id = :o"),
                {"o": person.user_id},
            )
    assert await counted(database, token_hash) == NOTHING


async def test_what_a_link_set_is_gone_with_its_transaction(
    offline_app: RunningApp, database: Database
) -> None:
    token_hash, _ = await shared(offline_app.client, Person())
    assert (await counted(database, token_hash))["shares"] == 1
    async with database.pool.connection() as driven:
        row = await driven.fetchrow("SELECT current_setting('taskchat.share', true), current_user")
    assert row[0] in ("", None)
    assert row[1] != READER_ROLE
