"""No row of another user's is read or written, in any table, whatever a transaction names.

What there is, is read from the catalog: a table, a policy or a function that comes later is held to
the same without being named here.
"""

import itertools
from collections.abc import Mapping, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.conftest import RunningApp
from tests.factories import Person
from tests.test_db import NOBODYS, fill

ROLES = ("taskchat_app", "taskchat_system", "taskchat_reader", "taskchat_accounts")

UNSET = None
"""What a transaction names that sets nothing: a new session's own state."""

OWNERS_ROWS = "((user_id)::text = current_setting('taskchat.user_id'::text, true))"
"""The one condition of the one policy by which a user reaches rows."""

OURS = "NOT EXISTS (SELECT FROM pg_depend WHERE objid = {}.oid AND deptype = 'e')"
"""An extension's things are not ours."""


async def tables_of(connection: AsyncConnection) -> dict[str, str | None]:
    """Whatever holds rows, with the column that says whose; None if they are nobody's."""
    found = await connection.execute(
        text(
            "SELECT c.relname, (SELECT min(a.attname) FROM pg_attribute a"
            " WHERE a.attrelid = c.oid AND (a.attname = 'user_id'"
            " OR (c.relname = 'users' AND a.attname = 'id')))"
            " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
            " AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname <> 'alembic_version'"
            f" AND {OURS.format('c')} ORDER BY 1"
        )
    )
    return {name: None if column is None else str(column) for name, column in found}


async def rows_of(superuser: AsyncEngine, person: Person) -> dict[str, Sequence[str]]:
    """All rows of a user, as JSON, by table."""
    async with superuser.connect() as connection:
        tables = await tables_of(connection)
        each = [
            f"SELECT '{table}', to_json(t)::text FROM {table} AS t WHERE {column} = :owner"
            for table, column in tables.items()
            if column is not None
        ]
        found = await connection.execute(
            text(" UNION ALL ".join(each) + " ORDER BY 1, 2"), {"owner": person.user_id}
        )
        rows: dict[str, list[str]] = {table: [] for table in tables if tables[table] is not None}
        for table, row in found:
            rows[table].append(row)
    return {**rows}


WRITTEN_BESIDES = {"rate_buckets", "turn_events", "webhook_deliveries"}
"""Tables in which the service goes on writing of what was there before."""


async def kept_of(superuser: AsyncEngine, person: Person) -> dict[str, Sequence[str]]:
    """The same, but for what changes by itself."""
    rows = await rows_of(superuser, person)
    return {table: kept for table, kept in rows.items() if table not in WRITTEN_BESIDES}


async def tried(connection: AsyncConnection, statement: str, **values: str) -> int | str:
    """What a statement comes to: how many rows, or what the database says against it."""
    attempt = await connection.begin_nested()
    try:
        result = await connection.execute(text(statement), values)
        return int(result.scalar_one()) if result.returns_rows else int(result.rowcount)
    except DBAPIError as error:
        return str(error.orig)
    finally:
        await attempt.rollback()


def is_refused(outcome: int | str) -> bool:
    return "permission denied" in str(outcome) or "row-level security" in str(outcome)


async def enter(connection: AsyncConnection, role: str, names: Mapping[str, str | None]) -> None:
    """Do what a transaction of the service does first: enter a role, and name somebody."""
    for name, value in names.items():
        if value is not UNSET:
            await connection.execute(
                text("SELECT set_config(:name, :value, true)"),
                {"name": f"taskchat.{name}", "value": value},
            )
    await connection.execute(text(f"SET LOCAL ROLE {role}"))


async def writable(connection: AsyncConnection) -> dict[str, list[str]]:
    """By table, the columns that a user may fill in a new row."""
    found = await connection.execute(
        text(
            "SELECT c.relname, quote_ident(attname) FROM pg_attribute"
            " JOIN pg_class AS c ON c.oid = attrelid"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
            " AND attnum > 0 AND NOT attisdropped AND attidentity = '' AND attgenerated = ''"
            " AND has_column_privilege('taskchat_app', attrelid, attnum, 'INSERT')"
        )
    )
    columns: dict[str, list[str]] = {}
    for table, column in found:
        columns.setdefault(table, []).append(column)
    return columns


@pytest.fixture
async def owner(offline_app: RunningApp) -> Person:
    return await fill(offline_app)


async def test_every_table_has_an_owner_or_is_known_to_be_nobodys(superuser: AsyncEngine) -> None:
    async with superuser.connect() as connection:
        tables = await tables_of(connection)
    assert {name for name, column in tables.items() if column is None} == set(NOBODYS)


@pytest.mark.parametrize("named", ["unset", "empty", "another's", "nearly the owner's"])
async def test_who_is_not_the_owner_reads_and_writes_no_row(
    offline_app: RunningApp, superuser: AsyncEngine, owner: Person, named: str
) -> None:
    candidates: dict[str, list[str | None]] = {
        "unset": [UNSET],
        "empty": [""],
        "another's": [(await fill(offline_app)).user_id],
        "nearly the owner's": [
            f"{owner.user_id} ",
            owner.user_id.upper(),
            "%",
        ],
    }
    names = candidates[named]
    before = await rows_of(superuser, owner)
    assert all(before.values()), f"`fill` fills every table: {before}"
    async with superuser.connect() as connection:
        tables = await tables_of(connection)
        columns_of = await writable(connection)
    # A session of its own: one in which the setting was set once has it empty, not unset.
    async with superuser.connect() as connection:
        for (table, rows), name in itertools.product(before.items(), names):
            await connection.rollback()
            column, columns = tables[table], ", ".join(columns_of.get(table, ()))
            await enter(connection, "taskchat_app", {"user_id": name})
            for statement in (
                f"SELECT count(*) FROM {table} WHERE {column} = :owner",
                f"SELECT count(*) FROM (SELECT FROM {table} WHERE {column} = :owner FOR UPDATE) l",
                f"UPDATE {table} SET {column} = {column} WHERE {column} = :owner",
                f"DELETE FROM {table} WHERE {column} = :owner",
            ):
                outcome = await tried(connection, statement, owner=owner.user_id)
                assert outcome == 0 or is_refused(outcome), (name, statement, outcome)
            if columns:
                copy = (
                    f"INSERT INTO {table} ({columns}) SELECT {columns}"
                    f" FROM json_populate_record(CAST(NULL AS {table}), CAST(:row AS json))"
                )
                outcome = await tried(connection, copy, row=rows[0])
                assert is_refused(outcome), (name, copy, outcome)
    assert await rows_of(superuser, owner) == before


async def test_nobody_gives_a_row_away_or_takes_one(
    offline_app: RunningApp, superuser: AsyncEngine, owner: Person
) -> None:
    giver = await fill(offline_app)
    before = await rows_of(superuser, owner)
    async with superuser.connect() as connection:
        tables = await tables_of(connection)
        for table in before:
            await connection.rollback()
            column = tables[table]
            await enter(connection, "taskchat_app", {"user_id": giver.user_id})
            change = f"UPDATE {table} SET {column} = CAST(:new AS text) WHERE {column} = :old"
            given = await tried(connection, change, new=owner.user_id, old=giver.user_id)
            assert is_refused(given), (table, given)
            taken = await tried(connection, change, new=giver.user_id, old=owner.user_id)
            assert taken == 0 or is_refused(taken), (table, taken)
    assert await rows_of(superuser, owner) == before


@pytest.mark.parametrize(
    ("role", "name"), [("taskchat_reader", "share"), ("taskchat_accounts", "sought")]
)
async def test_who_comes_without_a_token_sees_no_users_row(
    superuser: AsyncEngine, owner: Person, role: str, name: str
) -> None:
    before = await rows_of(superuser, owner)
    assert all(before.values())
    async with superuser.connect() as connection:
        tables = await tables_of(connection)
    async with superuser.connect() as connection:
        for value, table in itertools.product((UNSET, "", "00" * 32), before):
            await connection.rollback()
            # Naming a user is of no use to these roles.
            await enter(connection, role, {name: value, "user_id": owner.user_id})
            seen = await tried(connection, f"SELECT count(*) FROM {table}")
            assert seen == 0 or is_refused(seen), (table, value, seen)
            for statement in (
                f"UPDATE {table} SET {tables[table]} = {tables[table]}",
                f"DELETE FROM {table}",
            ):
                outcome = await tried(connection, statement)
                assert is_refused(outcome), (statement, value, outcome)
    assert await rows_of(superuser, owner) == before


# --- the catalog ---


async def test_a_user_reaches_rows_by_one_policy_a_table_and_it_says_whose(
    superuser: AsyncEngine,
) -> None:
    async with superuser.connect() as connection:
        tables = await tables_of(connection)
        found = await connection.execute(
            text(
                "SELECT tablename, roles, permissive, cmd, qual, with_check FROM pg_policies"
                " WHERE schemaname = 'public'"
            )
        )
        policies = found.all()
    assert all(set(policy.roles) < set(ROLES) and len(policy.roles) == 1 for policy in policies)
    of_users = {policy.tablename: policy for policy in policies if "taskchat_app" in policy.roles}
    assert len(of_users) == sum("taskchat_app" in policy.roles for policy in policies)
    assert set(of_users) >= {name for name, column in tables.items() if column is not None}
    for name, policy in of_users.items():
        column = tables[name]
        if column is None:
            # A table that is nobody's is seen whole, and changed by no user.
            assert (policy.cmd, policy.qual, policy.with_check) == ("SELECT", "true", None), name
        else:
            condition = OWNERS_ROWS.replace("user_id)", f"{column})", 1)
            shown = (policy.permissive, policy.cmd, policy.qual, policy.with_check)
            assert shown == ("PERMISSIVE", "ALL", condition, condition), name


async def test_no_role_gets_around_the_policies(superuser: AsyncEngine) -> None:
    async with superuser.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin,"
                " (SELECT count(*) FROM pg_auth_members WHERE member = r.oid) FROM pg_roles AS r"
                " WHERE rolname LIKE 'taskchat\\_%'"
            )
        )
        roles = {row[0]: tuple(row[1:]) for row in found}
        assert roles == dict.fromkeys(ROLES, (False, False, False, False, False, 0))
        tables = [*await tables_of(connection), "alembic_version"]
        for role in [*ROLES, "public"]:
            for table in tables:
                # Whoever empties a table asks no policy; triggers and keys see all rows.
                for power in ("TRUNCATE", "REFERENCES", "TRIGGER"):
                    granted = await connection.scalar(
                        text("SELECT has_table_privilege(:role, :table, :power)"),
                        {"role": role, "table": table, "power": power},
                    )
                    assert not granted, (role, table, power)
            assert not await connection.scalar(
                text("SELECT has_schema_privilege(:role, 'public', 'CREATE')"), {"role": role}
            ), role


async def test_no_function_and_no_view_acts_with_the_powers_of_its_maker(
    superuser: AsyncEngine,
) -> None:
    async with superuser.connect() as connection:
        functions = await connection.execute(
            text(
                "SELECT proname, prosecdef FROM pg_proc AS p"
                f" WHERE pronamespace = 'public'::regnamespace AND {OURS.format('p')}"
            )
        )
        definers = {row.proname: bool(row.prosecdef) for row in functions}
        views = await connection.scalars(
            text(
                "SELECT relname FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('v', 'm')"
                " AND NOT coalesce(reloptions::text[] @> '{security_invoker=true}', false)"
                f" AND {OURS.format('c')}"
            )
        )
        assert views.all() == []
    assert len(definers) >= 40
    assert [name for name, is_definer in definers.items() if is_definer] == []


SEEN_BY_THE_SYSTEM = {
    "conversations": {"status"},
    "feedback_requests": {"status"},
    "live_connections": {"kind"},
    "message_embeddings": {"model"},
    "rate_buckets": {"scope"},
    "schedules": {"status"},
    "steering": {"idempotency_key"},
    "takeovers": {"reason"},
    "turn_events": {"type"},
    "turns": {"channel", "idempotency_key", "status"},
    "webhook_deliveries": {"lane", "status"},
    "webhooks": {"paused_reason"},
}
"""Columns that may hold text, of users' tables, that work which belongs to no user reads."""


async def test_work_that_belongs_to_nobody_reads_no_text_but_what_is_listed(
    superuser: AsyncEngine,
) -> None:
    async with superuser.connect() as connection:
        tables = await tables_of(connection)
        found = await connection.execute(
            text(
                "SELECT c.relname, a.attname FROM pg_attribute AS a"
                " JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_type AS t ON t.oid = a.atttypid"
                " WHERE c.relname = ANY(:tables) AND c.relnamespace = 'public'::regnamespace"
                " AND a.attnum > 0 AND NOT a.attisdropped"
                " AND t.typcategory IN ('S', 'A', 'U') AND t.typname <> 'uuid'"
                " AND a.attname <> 'user_id'"
                " AND has_column_privilege('taskchat_system', c.oid, a.attnum, 'SELECT')"
            ),
            {"tables": [name for name, column in tables.items() if column is not None]},
        )
        seen: dict[str, set[str]] = {}
        for table, column in found:
            seen.setdefault(table, set()).add(column)
    assert seen == SEEN_BY_THE_SYSTEM
