"""The functions of the database: row-level security holds inside them, whatever their SQL says."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from tests.conftest import AppMaker, MakeDatabase
from tests.factories import Person, person_in

from taskchat.assistant.run import Needs
from taskchat.conversations.repository import exceeded
from taskchat.embeddings.repository import nearest
from taskchat.limits.buckets import RateLimits
from taskchat.moments import new_id
from taskchat.postgres.connect import open_engine
from taskchat.postgres.database import Database
from taskchat.principal import Channel, Principal
from taskchat.search.repository import Asked, find_words
from taskchat.search.schemas import HitKind
from taskchat.settings import Settings
from taskchat.tables import metadata
from taskchat.tasks.effects import TaskEffect
from taskchat.tasks.repository import perform
from taskchat.turns import store
from taskchat.turns.begin import Begun, NewMessage, begin
from taskchat.turns.events import StoredEvent
from taskchat.turns.states import Claim, TurnRef

OWNED = sorted(table.name for table in metadata.tables.values() if "user_id" in table.columns)
WRITTEN = {
    "conversations",
    "messages",
    "model_answers",
    "model_calls",
    "rate_buckets",
    "tasks",
    "tool_calls",
    "turn_events",
    "turns",
    "usage_days",
}
"""What a turn with a tool writes."""

PROBE = (
    "CREATE TABLE probe (relation text, role text, acts_for text, row_of text)",
    "GRANT INSERT ON probe TO PUBLIC",
    "CREATE FUNCTION probe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO probe VALUES"
    " (TG_TABLE_NAME, current_user, current_setting('taskchat.user_id', true), NEW.user_id);"
    " RETURN NEW; END $$",
)
"""Notes who writes a row, and for whom."""


async def test_a_turn_writes_in_the_role_and_the_name_of_its_user(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with superuser.begin() as connection:
        for statement in PROBE:
            await connection.exec_driver_sql(statement)
        for table in OWNED:
            await connection.exec_driver_sql(
                f"CREATE TRIGGER probe BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW"
                f" WHEN (NEW.user_id = '{person.user_id}') EXECUTE FUNCTION probe()"
            )
    try:
        async with running_app(rate_user_per_minute=100) as running:
            first = await person.say(running.client, "Add task: Buy groceries")
            conversation = first.json()["conversation_id"]
            again = await person.say(running.client, "Show my tasks", conversation_id=conversation)
            assert (first.status_code, again.status_code) == (200, 200)
        async with superuser.connect() as connection:
            rows = (await connection.execute(text("SELECT DISTINCT * FROM probe"))).all()
    finally:
        async with superuser.begin() as connection:
            await connection.exec_driver_sql("DROP FUNCTION probe CASCADE")
            await connection.exec_driver_sql("DROP TABLE probe")
    mine = {row.relation for row in rows if row.role == "taskchat_app"}
    assert mine == WRITTEN
    for row in rows:
        if row.role == "taskchat_app":
            assert row.acts_for == row.row_of
        else:
            # Events of all turns of a process are written in one statement.
            assert (row.relation, row.role) == ("turn_events", "taskchat_system")


OWNER = re.compile(r"\b(?:\w+\.)?(?:user_id|id) = _(?:owner|bound_to)\b")


@pytest.fixture
async def careless(migrated_database: MakeDatabase, settings: Settings) -> AsyncIterator[Database]:
    """A database whose functions no longer ask whose rows they touch."""
    async with migrated_database() as url:
        engine = open_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            sources = (
                await connection.execute(
                    text(
                        "SELECT proname, pg_get_functiondef(oid) AS source FROM pg_proc"
                        " WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS"
                        # An extension's are not ours.
                        " (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
                    )
                )
            ).all()
            stripped = 0
            for name, source in sources:
                changed, count = OWNER.subn("true", source)
                stripped += count
                # Whose counter is raised has to be said; nobody could see another's.
                if name != "task_add_1":
                    await connection.exec_driver_sql(changed.replace("%", "%%"))
            assert stripped >= 20
        await engine.dispose()
        database = Database(url, settings)
        yield database
        await database.close()


async def begun(
    database: Database, principal: Principal, settings: Settings, conversation: Any = None
) -> Begun:
    found = await begin(
        database,
        principal,
        NewMessage("hello", conversation, Channel.REST, None, ""),
        limits=RateLimits(settings),
        process=new_id(),
        lease_s=600,
        queue_max=3,
        active_max=5,
        conversations_max=1000,
        versions_max=5,
        needs=Needs(10, 1000, 4.0, open_tasks=True, summary=True),
        draining=lambda: False,
    )
    assert isinstance(found, Begun)
    return found


async def test_functions_that_forget_to_name_the_owner_reach_nobody_elses_rows(
    careless: Database, settings: Settings
) -> None:
    owner, stranger = await person_in(careless), await person_in(careless)
    async with careless.transaction(owner.principal) as connection:
        await perform(connection, owner.principal, TaskEffect("add", title="Mine", description=""))
    turn = (await begun(careless, owner.principal, settings)).turn
    async with careless.transaction(owner.principal) as connection:
        await connection.execute(
            text(
                "INSERT INTO message_embeddings (user_id, message_id, model, made_at, embedding)"
                " SELECT user_id, id, 'm', now(), '{1}' FROM messages"
            )
        )
    foreign = TurnRef(stranger.principal, turn.id, turn.conversation_id, turn.number)
    held = Claim(foreign, attempt=1, deaths=0, channel=Channel.REST)

    async with careless.transaction(stranger.principal) as connection:
        for effect in (
            TaskEffect("change", task=1, completed=True),
            TaskEffect("delete", task=1),
        ):
            assert await perform(connection, stranger.principal, effect) is None
        listed = await perform(connection, stranger.principal, TaskEffect("list"))
        assert json.loads(listed or "") == {"tasks": [], "total": 0}
        page = await store.settle.page_at(connection, foreign, messages_max=10)
        assert page.messages == "[]"
        assert not await exceeded(connection, stranger.principal, active_max=0, conversations_max=0)
    kinds: tuple[HitKind, ...] = get_args(HitKind)
    for person, count in ((owner, 3), (stranger, 0)):
        hits = await find_words(
            careless,
            person.principal,
            Asked("hello or mine", kinds, None, None),
            languages=["english"],
            each_max=10,
        )
        assert len(hits) == count
        near = await nearest(
            careless,
            person.principal,
            "m",
            [1.0],
            conversation=None,
            until=None,
            compared_max=10,
            found_max=10,
            similarity_min=0,
        )
        assert near is not None
        assert len(near) == (person is owner)
    with pytest.raises(Exception, match="No conversation"):
        await begun(careless, stranger.principal, settings, turn.conversation_id)
    called = await store.record.call_tool(
        careless,
        held,
        process=new_id(),
        id_=new_id(),
        call_id="c",
        position=0,
        tool_name="add_task",
        arguments={},
        effect=TaskEffect("add", title="x", description=""),
        given=None,
        answers=[],
        events=[],
        result_seq=3,
        result_head="",
    )
    assert called is None
    settled = await store.settle.settle(
        careless,
        held,
        status="failed",
        result="{}",
        reply=None,
        model=None,
        counted_for=None,
        calls=[],
        events=[StoredEvent(turn.id, 1, 3, "error", "{}")],
        process=new_id(),
        tokens_per_minute=None,
        messages_max=None,
    )
    assert settled is None
    async with careless.transaction(owner.principal) as connection:
        listed = await perform(connection, owner.principal, TaskEffect("list"))
        state = await store.find.by_id(connection, owner.principal, turn.id)
    assert [task["title"] for task in json.loads(listed or "")["tasks"]] == ["Mine"]
    assert state is not None
    assert state.status == "running"
