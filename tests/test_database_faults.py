"""What the database may answer instead of doing it: what passes is 503, and the turn goes on."""

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker
from tests.factories import Person
from tests.faults.waiting import until

from taskchat.errors import DatabaseError, DatabaseRefused
from taskchat.postgres.connect import connect
from taskchat.postgres.database import Database
from taskchat.postgres.faults import is_lost, is_transient, reason_of
from taskchat.settings import Settings

PATIENCE_S = 60

PASSING = ["08006", "25006", "53100", "53200", "53400", "57014", "57P01", "58030", "XX000"]
"""One of each kind that passes by itself."""


@contextlib.asynccontextmanager
async def refusing(
    superuser: AsyncEngine, person: Person, role: str, state: str
) -> AsyncIterator[None]:
    """The real server refuses a user's messages of one role, with this SQLSTATE."""
    name = f"refuse_{state.lower()}"
    async with superuser.begin() as connection:
        for statement in (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$",
            f"CREATE TRIGGER {name} BEFORE INSERT ON messages FOR EACH ROW WHEN"
            f" (NEW.user_id = '{person.user_id}' AND NEW.role = '{role}')"
            f" EXECUTE FUNCTION {name}()",
        ):
            await connection.execute(text(statement))
    try:
        yield
    finally:
        async with superuser.begin() as connection:
            await connection.execute(text(f"DROP FUNCTION {name} CASCADE"))


@pytest.mark.parametrize("state", PASSING)
async def test_a_message_that_can_not_be_stored_is_answered_with_503(
    running_app: AppMaker, superuser: AsyncEngine, state: str
) -> None:
    person = Person()
    async with running_app() as running:
        async with refusing(superuser, person, "user", state):
            answer = await person.say(running.client, "Add task: Buy groceries")
        assert answer.status_code == 503, answer.text
        assert answer.json()["error_code"] == "database_error"
        assert int(answer.headers["Retry-After"]) >= 1
        again = await person.say(running.client, "Add task: Buy groceries")
        assert again.status_code == 200


async def ended(running: Any, person: Person, turn_id: str) -> dict[str, Any]:
    """The turn, once it is over."""

    async def over() -> dict[str, Any] | None:
        answer = await running.client.get(
            f"/api/{person.user_id}/turns/{turn_id}", headers=person.headers
        )
        told: dict[str, Any] = answer.json()
        return told if told["status"] in ("completed", "failed") else None

    return await until(over, within_s=PATIENCE_S, what="the turn ends")


@pytest.mark.parametrize("state", PASSING)
async def test_a_turn_whose_reply_can_not_be_stored_is_finished_when_it_can(
    running_app: AppMaker, superuser: AsyncEngine, state: str
) -> None:
    person = Person()
    async with running_app(lease_s=1) as running:
        async with refusing(superuser, person, "assistant", state):
            answer = await person.say(running.client, "Add task: Buy groceries")
            assert answer.status_code == 503, answer.text
            told = answer.json()
            assert told["error_code"] == "database_error"
            assert told["turn_id"]
            assert told["conversation_id"]
            assert int(answer.headers["Retry-After"]) >= 1
        turn = await ended(running, person, told["turn_id"])
    assert turn["status"] == "completed"
    assert [call["tool_name"] for call in turn["tool_calls"]] == ["add_task"]


async def test_a_bug_in_writing_the_reply_is_a_500_that_names_the_turn(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with running_app(lease_s=1) as running:
        async with refusing(superuser, person, "assistant", "22012"):
            answer = await person.say(running.client, "Add task: Buy groceries")
            assert answer.status_code == 500
            told = answer.json()
            assert told["error_code"] == "internal_error"
            assert told["turn_id"]
        assert (await ended(running, person, told["turn_id"]))["status"] == "completed"


async def test_a_process_that_was_refused_a_write_is_not_ready_until_it_may_try_again(
    running_app: AppMaker, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskchat.postgres.database.UNWRITABLE_S", 3600.0)
    person = Person()
    async with running_app() as running:
        assert (await running.client.get("/readyz")).status_code == 200
        async with refusing(superuser, person, "user", "53100"):
            await person.say(running.client, "Add task: Buy groceries")
        told = await running.client.get("/readyz")
        assert told.status_code == 503
        assert "takes no writes" in told.json()["problem"]
        later = SimpleNamespace(monotonic=lambda: float("inf"))
        monkeypatch.setattr("taskchat.postgres.database.time", later)
        assert (await running.client.get("/readyz")).status_code == 200


async def test_a_login_that_is_refused_while_serving_is_503_and_not_ready(
    settings: Settings, database_url: str
) -> None:
    url = make_url(database_url).set(username="nobody_of_that_name")
    database = Database(url.render_as_string(hide_password=False), settings)
    with pytest.raises(DatabaseRefused) as refused:
        async with database.transaction(Person().principal):
            pytest.fail("there is no such login")
    assert "nobody_of_that_name" not in refused.value.message
    assert "nobody_of_that_name" in reason_of(refused.value.__cause__ or refused.value)
    await database.close()


async def test_a_read_only_server_renews_the_connection_that_found_it(
    settings: Settings, database_url: str
) -> None:
    """After a failover the next connection leads to the new primary."""
    database = Database(database_url, settings.model_copy(update={"db_pool_size": 1}))
    person = Person()
    backends: list[int | None] = []

    async def write_to_a_standby() -> None:
        async with database.transaction(person.principal) as connection:
            backends.append(await connection.scalar(text("SELECT pg_backend_pid()")))
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            await connection.execute(text("INSERT INTO users (id) VALUES ('nobody')"))

    with pytest.raises(DatabaseError):
        await write_to_a_standby()
    async with database.transaction(person.principal) as connection:
        assert await connection.scalar(text("SELECT pg_backend_pid()")) not in backends
    await database.close()


async def test_of_several_hosts_one_that_takes_no_writes_is_passed_over(
    database_url: str, superuser: AsyncEngine
) -> None:
    told = database_url + "&" if "?" in database_url else database_url + "?"
    url = told + "options=-c%20default_transaction_read_only%3Don&target_session_attrs=read-write"
    with pytest.raises(Exception, match="read-write") as refused:
        await connect(url, command_timeout_s=PATIENCE_S)
    assert is_transient(refused.value)


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), PermissionError()])
def test_an_error_without_a_code_is_the_connections(error: Exception) -> None:
    assert is_transient(error)
    assert is_lost(error)
