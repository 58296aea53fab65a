"""The one door to the database, and what it refuses."""

import asyncio

import pytest
from asyncpg import PostgresError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import RunningApp
from tests.factories import Person, person_in

from taskchat.errors import DatabaseError, ParentGone
from taskchat.limits.buckets import RateLimits
from taskchat.postgres.database import Database
from taskchat.postgres.faults import is_transient
from taskchat.settings import Settings
from taskchat.tables import metadata

TABLES = sorted(metadata.tables)
NOBODYS = {
    "processes": "id",
    "chores": "name",
    "sign_in_buckets": "id",
    "signing_keys": "id",
    "embedding_models": "id",
    "operator_webhooks": "id",
}
"""Tables in which nothing is any user's, by the name of their key."""

ACCOUNT = (
    "INSERT INTO accounts (user_id, email, password_hash)"
    " SELECT id, id || '@b.org', '' FROM users WHERE id = :owner",
    "INSERT INTO account_sessions (user_id, id, expires_at, ends_at)"
    " VALUES (:owner, gen_random_uuid(), now() + interval '1 day', now() + interval '1 day')",
    "INSERT INTO refresh_tokens (user_id, id, session_id, hash, expires_at)"
    " SELECT user_id, id, id, uuid_send(id), expires_at FROM account_sessions"
    " WHERE user_id = :owner",
)
"""What an account has, of a user whom others vouch for: such a one can't be registered."""


async def fill(running: RunningApp) -> Person:
    """A person with a row in every table."""
    person = Person()
    answer = await person.say(running.client, "Add task: Buy groceries")
    assert answer.status_code == 200
    live = running.live
    assert await live.presence.join(person.principal, "websocket", None)
    limits = RateLimits(Settings(_env_file=None))
    async with live.database.transaction(person.principal) as connection:
        await limits.debit_tokens(connection, person.principal, 1)
        await connection.execute(
            text(
                "INSERT INTO ratings (user_id, message_id, value)"
                " SELECT user_id, id, 'up' FROM messages WHERE position = 1"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO takeovers (user_id, turn_id, attempt, reason)"
                " SELECT user_id, id, 2, 'gone' FROM turns"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO shares (user_id, id, conversation_id, token_hash, turns,"
                " expires_at) SELECT user_id, gen_random_uuid(), id,"
                " sha256(CAST(user_id AS bytea)), '{[1,1]}', now() + interval '1 hour'"
                " FROM conversations"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO feedback_requests (user_id, id, turn_id, conversation_id, kind,"
                " question, choices, calls, status, expires_at) SELECT user_id,"
                " gen_random_uuid(), id, conversation_id, 'question', 'Which?', '[]', '[]',"
                " 'answered', now() FROM turns"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO steering (user_id, message_id, turn_id)"
                " SELECT user_id, id, turn_id FROM messages"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO schedules (user_id, id, message, at, time_zone, status, end_reason)"
                " SELECT id, gen_random_uuid(), 'Hello', now(), 'UTC', 'ended', 'done' FROM users"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO external_ids (user_id, id, conversation_id, protocol, text)"
                " SELECT user_id, id, id, 'ui', 'a chat' FROM conversations"
            )
        )
        for statement in ACCOUNT:
            await connection.execute(text(statement), {"owner": person.user_id})
        await connection.execute(
            text(
                "INSERT INTO message_embeddings (user_id, message_id, model)"
                " SELECT user_id, id, 'm' FROM messages"
            )
        )
        # Nobody is told, and nothing of it waits: the sender leaves it as it is.
        await connection.execute(
            text(
                "INSERT INTO webhooks (user_id, id, url, secret, paused_reason)"
                " SELECT id, gen_random_uuid(), 'https://hooks.example.org/', '', 'user' FROM users"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO webhook_deliveries"
                " (user_id, id, webhook_id, lane, event, data, status)"
                " SELECT user_id, id, id, '', 'task.created', '{}', 'delivered' FROM webhooks"
            )
        )
    return person


async def test_every_table_forces_row_level_security_with_a_policy(
    superuser: AsyncEngine,
) -> None:
    async with superuser.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity, count(p.polname)"
                " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " LEFT JOIN pg_policy p ON p.polrelid = c.oid"
                " WHERE n.nspname = 'public' AND c.relkind = 'r'"
                " AND c.relname <> 'alembic_version' GROUP BY 1, 2 ORDER BY 1"
            )
        )
        rows = [tuple(row) for row in found]
    assert [name for name, _, _ in rows] == TABLES
    assert all(forced and policies >= 1 for _, forced, policies in rows), rows


@pytest.mark.parametrize("table", NOBODYS)
async def test_a_user_can_change_nothing_in_a_table_that_is_nobodys(
    database: Database, table: str
) -> None:
    person = await person_in(database)
    for statement in (
        f"DELETE FROM {table}",
        f"UPDATE {table} SET {NOBODYS[table]} = {NOBODYS[table]}",
        f"INSERT INTO {table} DEFAULT VALUES",
    ):
        with pytest.raises(PostgresError, match="permission denied"):
            async with database.transaction(person.principal) as connection:
                await connection.execute(text(statement))


async def test_a_user_does_not_even_see_chores(database: Database) -> None:
    person = await person_in(database)
    with pytest.raises(PostgresError, match="permission denied"):
        async with database.transaction(person.principal) as connection:
            await connection.execute(text("SELECT name FROM chores"))


async def test_the_app_role_owns_no_table(superuser: AsyncEngine) -> None:
    async with superuser.connect() as connection:
        owners = await connection.execute(
            text("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        )
        assert {"taskchat_app", "taskchat_system", "taskchat_reader"}.isdisjoint(owners.scalars())


@pytest.mark.parametrize("table", [table for table in TABLES if table not in NOBODYS])
async def test_a_stranger_sees_and_changes_no_row_as_the_app_role(
    offline_app: RunningApp, database: Database, superuser: AsyncEngine, table: str
) -> None:
    owner, stranger = await fill(offline_app), await person_in(database)
    column = "id" if table == "users" else "user_id"
    condition = f"FROM {table} WHERE {column} = :owner"
    async with superuser.connect() as connection:
        there = await connection.scalar(
            text(f"SELECT count(*) {condition}"), {"owner": owner.user_id}
        )
        assert there is not None
        assert there >= 1
    values = {"owner": owner.user_id}
    async with database.transaction(owner.principal) as connection:
        assert await connection.scalar(text(f"SELECT count(*) {condition}"), values) == there
        assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == there
    async with database.transaction(stranger.principal) as connection:
        assert await connection.scalar(text(f"SELECT count(*) {condition}"), values) == 0
    for statement in (
        f"UPDATE {table} SET {column} = {column} WHERE {column} = :owner",
        f"DELETE {condition}",
    ):
        changed: int | str
        try:
            async with database.transaction(stranger.principal) as connection:
                changed = await connection.change(text(statement), values)
        except PostgresError as error:
            changed = str(error)
        assert changed == 0 or "permission denied" in str(changed)


async def test_a_row_can_not_be_written_in_another_users_name(database: Database) -> None:
    owner, stranger = await person_in(database), await person_in(database)
    with pytest.raises(PostgresError, match="row-level security"):
        async with database.transaction(stranger.principal) as connection:
            await connection.execute(
                text("INSERT INTO tasks (user_id, id, title) VALUES (:owner, 99, 'planted')"),
                {"owner": owner.user_id},
            )


async def test_a_row_can_not_point_at_another_users_conversation(
    offline_app: RunningApp, database: Database, superuser: AsyncEngine
) -> None:
    owner, stranger = await fill(offline_app), await person_in(database)
    async with superuser.connect() as connection:
        conversation = await connection.scalar(
            text("SELECT id FROM conversations WHERE user_id = :owner"), {"owner": owner.user_id}
        )
    with pytest.raises(ParentGone):
        async with database.transaction(stranger.principal) as connection:
            await connection.execute(
                text(
                    "INSERT INTO turns (user_id, id, conversation_id, number, channel, status)"
                    " VALUES (:stranger, gen_random_uuid(), :conversation, 7, 'rest', 'queued')"
                ),
                {"stranger": stranger.user_id, "conversation": conversation},
            )


async def test_the_system_role_reads_no_text_of_anybodys(database: Database) -> None:
    for statement in (
        "SELECT content FROM messages",
        "SELECT title FROM tasks",
        "SELECT title FROM conversations",
        "SELECT summary FROM conversations",
        "SELECT result FROM turns",
        "SELECT result FROM tool_calls",
        "SELECT items FROM model_answers",
        "SELECT id FROM users",
        "SELECT title FROM shares",
        "SELECT token_hash FROM shares",
        "SELECT email FROM accounts",
        "SELECT user_agent FROM account_sessions",
        "SELECT hash FROM refresh_tokens",
        "SELECT private_key FROM signing_keys",
        "SELECT embedding FROM message_embeddings",
        "SELECT url FROM webhooks",
        "SELECT secret FROM webhooks",
        "SELECT data FROM webhook_deliveries",
    ):
        with pytest.raises(PostgresError, match="permission denied"):
            async with database.system_transaction() as connection:
                await connection.execute(text(statement))


async def test_a_user_reads_no_hash_of_a_password_and_no_key(
    offline_app: RunningApp, database: Database
) -> None:
    person = await fill(offline_app)
    for statement in (
        "SELECT password_hash FROM accounts",
        "SELECT id FROM signing_keys",
        "SELECT level FROM sign_in_buckets",
    ):
        with pytest.raises(PostgresError, match="permission denied"):
            async with database.transaction(person.principal) as connection:
                await connection.execute(text(statement))


async def test_who_has_proved_nothing_sees_the_one_row_that_they_seek(
    offline_app: RunningApp, database: Database
) -> None:
    person, other = await fill(offline_app), await fill(offline_app)
    for sought in ("", f"{person.user_id}@b.org"):
        async with database.account_transaction(sought) as connection:
            seen = await connection.scalars(text("SELECT user_id FROM accounts"))
        assert seen == ([person.user_id] if sought else [])
    async with database.transaction(other.principal) as connection:
        token_hash = await connection.scalar(text("SELECT hash FROM refresh_tokens"))
    async with database.account_transaction(token_hash.hex()) as connection:
        seen = await connection.scalars(text("SELECT user_id FROM refresh_tokens"))
    assert seen == [other.user_id]
    for statement in (
        "SELECT content FROM messages",
        "SELECT id FROM users",
        "SELECT title FROM tasks",
        "SELECT id FROM account_sessions",
        "UPDATE accounts SET password_hash = ''",
        "DELETE FROM refresh_tokens",
        "INSERT INTO users (id) VALUES ('x')",
    ):
        with pytest.raises(PostgresError, match="permission denied"):
            async with database.account_transaction(f"{person.user_id}@b.org") as connection:
                await connection.execute(text(statement))


async def test_the_system_role_can_pause_a_conversation_and_do_nothing_else_to_it(
    offline_app: RunningApp, database: Database
) -> None:
    person = await fill(offline_app)
    for change, refusal in (
        ("status = 'ended'", "row-level security"),
        ("archived = true", "permission denied"),
        ("title = 'x'", "permission denied"),
    ):
        with pytest.raises(PostgresError, match=refusal):
            async with database.system_transaction() as connection:
                await connection.execute(text(f"UPDATE conversations SET {change}"))
    with pytest.raises(PostgresError, match="permission denied"):
        async with database.system_transaction() as connection:
            await connection.execute(text("DELETE FROM conversations"))
    mine = "WHERE user_id = :owner"
    async with database.system_transaction() as connection:
        for status, changed in (("paused", 1), ("active", 0), ("ended", 0)):
            statement = text(f"UPDATE conversations SET status = '{status}' {mine}")
            assert await connection.change(statement, {"owner": person.user_id}) == changed


async def test_the_principal_does_not_leak_into_the_next_transaction(
    settings: Settings, database_url: str
) -> None:
    database = Database(database_url, settings.model_copy(update={"db_pool_size": 1}))
    person = await person_in(database)
    async with database.pool.connection() as connection:
        row = await connection.fetchrow(
            "SELECT current_setting('taskchat.user_id', true), current_user"
        )
    assert row[0] in ("", None)
    assert row[1] != "taskchat_app"
    assert person.user_id
    await database.close()


async def test_a_transaction_outlives_the_death_of_its_pooled_connection(
    settings: Settings, database_url: str, superuser: AsyncEngine
) -> None:
    database = Database(database_url, settings.model_copy(update={"db_pool_size": 1}))
    person = await person_in(database)
    async with database.transaction(person.principal) as connection:
        backend = await connection.scalar(text("SELECT pg_backend_pid()"))
    async with superuser.connect() as connection:
        # Waits until it is gone.
        await connection.execute(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": backend})
    async with database.transaction(person.principal) as connection:
        assert await connection.scalar(text("SELECT pg_backend_pid()")) != backend
    await database.close()


async def test_a_server_that_is_away_is_a_database_error(settings: Settings) -> None:
    database = Database("postgresql://nobody:x@127.0.0.1:1/none", settings)
    with pytest.raises(DatabaseError):
        async with database.transaction(Person().principal):
            pytest.fail("there is no such server")
    await database.close()


async def test_a_statement_that_takes_too_long_is_a_database_error(
    settings: Settings, database_url: str
) -> None:
    database = Database(database_url, settings.model_copy(update={"statement_timeout_s": 0.05}))
    with pytest.raises(DatabaseError):
        async with database.transaction(Person().principal) as connection:
            await connection.execute(text("SELECT pg_sleep(5)"))
    await database.close()


async def test_no_free_connection_in_time_is_a_database_error(
    settings: Settings, database_url: str
) -> None:
    database = Database(
        database_url,
        settings.model_copy(update={"db_pool_size": 1, "pool_timeout_s": 0.05}),
    )
    person = Person().principal
    async with database.transaction(person):
        with pytest.raises(DatabaseError):
            async with database.transaction(person):
                pytest.fail("the only connection is taken")
    await database.close()


async def test_a_bug_in_a_statement_is_no_database_error(database: Database) -> None:
    with pytest.raises(PostgresError) as caught:
        async with database.transaction(Person().principal) as connection:
            await connection.execute(text("SELECT nonsense"))
    assert not is_transient(caught.value)


async def test_statements_can_not_wait_for_ever(database: Database) -> None:
    async with database.transaction(Person().principal) as connection:
        for name in (
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
        ):
            value = await connection.scalar(text(f"SHOW {name}"))
            assert value == "5s", name


async def test_a_pooler_is_given_no_prepared_statements(
    settings: Settings, database_url: str, superuser: AsyncEngine
) -> None:
    pooled = settings.model_copy(update={"database_direct_url": settings.database_url})
    database = Database(database_url, pooled)
    async with database.transaction(Person().principal) as connection:
        for _ in range(3):
            await connection.execute(text("SELECT 1"))
        left = await connection.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
        # Only the statement that asks may be there.
        assert left is not None
        assert left <= 1
    await database.close()


async def test_a_hundred_transactions_share_ten_connections(database: Database) -> None:
    person = Person().principal

    async def one(value: int) -> int:
        async with database.transaction(person) as connection:
            return int(await connection.scalar(text("SELECT CAST(:v AS int)"), {"v": value}) or 0)

    assert await asyncio.gather(*(one(n) for n in range(100))) == list(range(100))


async def test_with_a_users_row_goes_all_that_the_user_has(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = await fill(offline_app)
    stays = await fill(offline_app)
    async with superuser.begin() as connection:
        await connection.execute(text("DELETE FROM users WHERE id = :o"), {"o": person.user_id})
    async with superuser.connect() as connection:
        for table in set(TABLES) - set(NOBODYS):
            owner = "id" if table == "users" else "user_id"
            for user_id, left in ((person.user_id, False), (stays.user_id, True)):
                count = await connection.scalar(
                    text(f"SELECT count(*) FROM {table} WHERE {owner} = :o"), {"o": user_id}
                )
                assert bool(count) == left, table
