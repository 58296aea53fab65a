"""What is due becomes a turn, once; what can't be said is tried again, or ends."""

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.schedules.acting import ask, let_come, let_try, made, read, say_due, turns_of
from tests.schedules.test_routes import later

from taskchat.commands.doctor import examine
from taskchat.postgres.database import Database
from taskchat.schedules import repository
from taskchat.schedules.saying import Speaker
from taskchat.settings import Settings
from taskchat.turns import store


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("taskchat_schedules_total", {"outcome": outcome}) or 0


async def ended(superuser: AsyncEngine, person: Person, count: int = 1) -> list[Any]:
    """The turns of a person, once there are so many and they are over."""
    async with asyncio.timeout(60):
        while True:
            turns = await turns_of(superuser, person)
            if len(turns) >= count and all(turn.status == "completed" for turn in turns):
                return turns
            await asyncio.sleep(0.02)


async def test_a_message_is_said_when_its_time_comes_as_a_turn_of_its_user(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    id_ = await made(offline_app, person, at=later(days=1), time_zone="Europe/Berlin")
    await say_due(offline_app)
    assert await turns_of(superuser, person) == []
    await let_come(superuser, id_)
    due = (await read(offline_app, person, id_))["next_at"]
    before = counted("said")
    await say_due(offline_app)
    [turn] = await ended(superuser, person)
    assert (turn.channel, turn.content) == ("schedule", "Add task: Water the plants")
    assert turn.circumstances["time_zone"] == "Europe/Berlin"
    schedule = await read(offline_app, person, id_)
    assert (schedule["status"], schedule["end_reason"]) == ("ended", "done")
    assert (schedule["next_at"], schedule["last_at"]) == (None, due)
    assert schedule["last_turn_id"] == str(turn.id)
    assert schedule["conversation_id"] == str(turn.conversation_id)
    assert counted("said") == before + 1
    tasks = await offline_app.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    assert [task["title"] for task in tasks.json()["data"]] == ["Water the plants"]
    shown = await offline_app.client.get(
        f"/api/{person.user_id}/turns/{turn.id}", headers=person.headers
    )
    assert shown.json()["channel"] == "schedule"


async def test_a_rule_goes_on_in_the_conversation_that_it_began(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    id_ = await made(offline_app, person, rule="FREQ=DAILY;COUNT=3")
    for count in (1, 2, 3):
        assert (await read(offline_app, person, id_))["status"] == "active"
        await let_come(superuser, id_, ago_s=10 - count)
        await say_due(offline_app)
        turns = await ended(superuser, person, count)
        assert len(turns) == count
    assert len({turn.conversation_id for turn in turns}) == 1
    schedule = await read(offline_app, person, id_)
    assert (schedule["status"], schedule["end_reason"]) == ("ended", "done")


async def test_an_occurrence_that_was_said_and_not_moved_on_from_is_found_said(
    offline_app: RunningApp, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    id_ = await made(offline_app, person)
    await let_come(superuser, id_, ago_s=4000)

    async def dies(*_: Any, **__: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(Speaker, "_advance", dies)
        with pytest.raises(asyncio.CancelledError):
            await say_due(offline_app)
    [turn] = await ended(superuser, person)
    assert (await read(offline_app, person, id_))["last_turn_id"] is None
    # Not looked at while whoever took it may still be saying it.
    await say_due(offline_app)
    assert (await read(offline_app, person, id_))["last_turn_id"] is None
    # Reworded meanwhile: it is said all the same.
    await ask(offline_app, person, id_, "PATCH", message="Other words")
    await let_try(superuser, id_)
    await say_due(offline_app)
    schedule = await read(offline_app, person, id_)
    assert schedule["last_turn_id"] == str(turn.id)
    assert datetime.fromisoformat(schedule["next_at"]) > datetime.fromisoformat(schedule["last_at"])
    assert len(await turns_of(superuser, person)) == 1


async def test_of_many_who_say_the_same_at_once_one_turn_comes(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    id_ = await made(offline_app, person, rule="FREQ=DAILY;COUNT=2")
    await let_come(superuser, id_)
    async with offline_app.turns.database.system_transaction() as connection:
        taken = await repository.claim_due(connection, hold_s=60, rows_max=20)
    [due] = [due for due in taken if str(due.id) == id_]
    speaker = Speaker(offline_app.turns)
    await asyncio.gather(*(speaker._say_safely(due) for _ in range(8)))
    assert len(await ended(superuser, person)) == 1
    schedule = await read(offline_app, person, id_)
    assert (schedule["status"], schedule["last_error"]) == ("active", None)
    # Whoever comes late from the occurrence before changes nothing.
    await let_come(superuser, id_, ago_s=-3600)
    next_at = (await read(offline_app, person, id_))["next_at"]
    await speaker._say_safely(due)
    assert (await read(offline_app, person, id_))["next_at"] == next_at


async def test_two_who_look_at_once_take_different_ones(
    database: Database, offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    ids = [await made(offline_app, person) for _ in range(4)]
    for id_ in ids:
        await let_come(superuser, id_)
    async with database.system_transaction() as one, database.system_transaction() as other:
        taken = await repository.claim_due(one, hold_s=60, rows_max=2)
        rest = await repository.claim_due(other, hold_s=60, rows_max=9)
    # Beside what other tests have left.
    both = [str(due.id) for due in (*taken, *rest)]
    assert set(ids) <= set(both)
    assert len(set(both)) == len(both)
    assert len(taken) == 2
    async with database.system_transaction() as connection:
        assert await repository.claim_due(connection, hold_s=60, rows_max=9) == []


@pytest.mark.parametrize(
    ("late", "rule", "said", "status"),
    [
        ("say", "FREQ=MINUTELY", 1, "active"),
        ("skip", "FREQ=MINUTELY", 0, "active"),
        ("say", "FREQ=DAILY;COUNT=1", 1, "ended"),
        ("skip", "FREQ=DAILY;COUNT=1", 0, "ended"),
    ],
)
async def test_what_nobody_could_say_in_time_is_said_once_or_skipped(
    running_app: AppMaker, superuser: AsyncEngine, late: str, rule: str, said: int, status: str
) -> None:
    async with running_app(schedule_late=late) as running:
        person = Person()
        id_ = await made(running, person, rule=rule)
        await let_come(superuser, id_, ago_s=7200)
        before = counted("late"), counted("skipped")
        await say_due(running)
        if said:
            await ended(superuser, person)
        schedule = await read(running, person, id_)
        assert (counted("late"), counted("skipped")) == (before[0] + said, before[1] + 1 - said)
        assert len(await turns_of(superuser, person)) == said
        assert schedule["status"] == status
        assert schedule["end_reason"] == (
            None if status == "active" else "done" if said else "missed"
        )
        if status == "active":
            # All that was missed is passed; what is still on time is not, if late is skipped.
            next_at = datetime.fromisoformat(schedule["next_at"])
            async with superuser.connect() as connection:
                now = await connection.scalar(text("SELECT now()"))
            wait = next_at - now
            earliest = timedelta(seconds=-301) if late == "skip" else timedelta(seconds=-60)
            assert earliest < wait <= timedelta(seconds=60)


async def test_what_is_a_little_late_is_on_time(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(schedule_late="skip", schedule_late_after_s=300) as running:
        person = Person()
        id_ = await made(running, person)
        await let_come(superuser, id_, ago_s=200)
        await say_due(running)
        assert len(await ended(superuser, person)) == 1


@pytest.mark.parametrize(
    ("method", "reason"), [("PATCH", "conversation_ended"), ("DELETE", "conversation_deleted")]
)
async def test_a_schedule_ends_if_its_conversation_takes_no_more(
    offline_app: RunningApp, superuser: AsyncEngine, method: str, reason: str
) -> None:
    person = Person()
    talk = (await person.say(offline_app.client, "hello")).json()["conversation_id"]
    id_ = await made(offline_app, person, conversation_id=talk)
    gone = await offline_app.client.request(
        method,
        f"/api/{person.user_id}/conversations/{talk}",
        headers=person.headers,
        json={"status": "ended"} if method == "PATCH" else None,
    )
    assert gone.status_code in (200, 204)
    await let_come(superuser, id_)
    await say_due(offline_app)
    schedule = await read(offline_app, person, id_)
    assert (schedule["status"], schedule["end_reason"]) == ("ended", reason)
    assert schedule["next_at"] is None


async def test_what_a_limit_refuses_is_said_later(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(rate_channel_per_minute=1, schedule_late="skip") as running:
        person = Person()
        first, second = await made(running, person), await made(running, person)
        await let_come(superuser, first, ago_s=2)
        await let_come(superuser, second, ago_s=1)
        before = counted("failed")
        await say_due(running)
        assert len(await ended(superuser, person)) == 1
        refused = [
            one
            for one in (await read(running, person, first), await read(running, person, second))
            if one["last_error"]
        ]
        assert [one["last_error"] for one in refused] == ["rate_limited"]
        assert counted("failed") == before + 1
        [waiting] = refused
        due = waiting["next_at"]
        # Much later, and refused in between: it is still said, not skipped.
        async with superuser.begin() as connection:
            await connection.execute(
                text("DELETE FROM rate_buckets WHERE user_id = :owner"), {"owner": person.user_id}
            )
            await connection.execute(
                text(
                    "UPDATE schedules SET next_at = next_at - interval '1 h', try_at = now()"
                    " WHERE id = :id"
                ),
                {"id": UUID(waiting["id"])},
            )
        await say_due(running)
        assert len(await ended(superuser, person, 2)) == 2
        done = await read(running, person, waiting["id"])
        assert done["last_error"] is None
        assert datetime.fromisoformat(done["last_at"]) == datetime.fromisoformat(due) - timedelta(
            hours=1
        )


async def test_a_question_to_the_user_is_not_passed_over_by_a_scheduled_message(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    talk = (await person.say(offline_app.client, "Add task: One")).json()["conversation_id"]
    await person.say(offline_app.client, "Add task: Two", conversation_id=talk)
    asked = await person.say(offline_app.client, "Delete tasks 1 and 2", conversation_id=talk)
    assert asked.status_code == 202
    feedback = asked.json()["feedback"]["id"]
    id_ = await made(offline_app, person, conversation_id=talk)
    await let_come(superuser, id_)
    await say_due(offline_app)
    assert (await read(offline_app, person, id_))["last_error"] == "awaiting_feedback"
    answer = await offline_app.client.post(
        f"/api/{person.user_id}/feedback/{feedback}/respond",
        json={"answer": "reject"},
        headers=person.headers,
    )
    assert answer.status_code == 200, answer.text
    await let_try(superuser, id_)
    await say_due(offline_app)
    turns = await ended(superuser, person, 4)
    assert [turn.channel for turn in turns] == ["rest"] * 3 + ["schedule"]
    assert (await read(offline_app, person, id_))["last_error"] is None


async def test_a_crash_of_one_holds_up_no_other(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    broken, sound = await made(offline_app, person), await made(offline_app, person)
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE schedules SET rule = 'nonsense' WHERE id = :id"), {"id": UUID(broken)}
        )
    await let_come(superuser, broken, ago_s=5)
    await let_come(superuser, sound)
    await say_due(offline_app)
    assert (await read(offline_app, person, sound))["last_turn_id"]
    await ask(offline_app, person, broken, "DELETE")


async def test_what_is_withdrawn_or_paused_while_it_is_due_is_not_said(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    gone, paused = await made(offline_app, person), await made(offline_app, person)
    for id_ in (gone, paused):
        await let_come(superuser, id_)
    async with offline_app.turns.database.system_transaction() as connection:
        taken = await repository.claim_due(connection, hold_s=60, rows_max=20)
    taken = [due for due in taken if due.principal == person.principal]
    assert len(taken) == 2
    await ask(offline_app, person, gone, "DELETE")
    await ask(offline_app, person, paused, "PATCH", status="paused")
    for due in taken:
        await Speaker(offline_app.turns)._say_safely(due)
    assert await turns_of(superuser, person) == []


async def test_a_change_while_it_is_said_decides_what_follows(
    offline_app: RunningApp, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    id_ = await made(offline_app, person, rule="FREQ=DAILY")
    await let_come(superuser, id_)
    advance = Speaker._advance

    async def changed_before(self: Speaker, *args: Any, **more: Any) -> None:
        async with superuser.begin() as connection:
            await connection.execute(
                text("UPDATE schedules SET rule = 'FREQ=DAILY;COUNT=1' WHERE id = :id"),
                {"id": UUID(id_)},
            )
        await advance(self, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Speaker, "_advance", changed_before)
        await say_due(offline_app)
    await ended(superuser, person)
    assert (await read(offline_app, person, id_))["status"] == "ended"


async def test_a_key_is_kept_until_its_occurrence_is_moved_on_from(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    id_ = await made(offline_app, person)
    await let_come(superuser, id_)
    due_at = (await read(offline_app, person, id_))["next_at"]
    await say_due(offline_app)
    [turn] = await ended(superuser, person)

    async def forget() -> str | None:
        async with offline_app.turns.database.system_transaction() as connection:
            await store.claim.forget_keys(connection, retention_h=24, rows_max=1000)
        async with superuser.connect() as connection:
            key = await connection.scalar(
                text("SELECT idempotency_key FROM turns WHERE id = :id"), {"id": turn.id}
            )
            return str(key) if key else None

    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE turns SET finished_at = now() - interval '30 h' WHERE id = :id"),
            {"id": turn.id},
        )
        # As if whoever said it had died before it moved on.
        await connection.execute(
            text("UPDATE schedules SET next_at = :at, try_at = now() WHERE id = :id"),
            {"at": datetime.fromisoformat(due_at), "id": UUID(id_)},
        )
    assert await forget() is not None
    await say_due(offline_app)
    assert len(await turns_of(superuser, person)) == 1
    assert await forget() is None


async def test_no_client_can_take_the_key_of_an_occurrence(offline_app: RunningApp) -> None:
    person = Person()
    answer = await offline_app.client.post(
        person.chat_path,
        json={"message": "hello"},
        headers=[*person.headers.items(), ("Idempotency-Key", "\nschedule x 1")],
    )
    assert answer.status_code == 400


async def test_what_has_ended_is_forgotten_after_a_while(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    old, young, active = [await made(offline_app, person) for _ in range(3)]
    async with superuser.begin() as connection:
        await connection.execute(
            text(
                "UPDATE schedules SET status = 'ended', end_reason = 'done', next_at = NULL,"
                " try_at = NULL, updated_at = now() - make_interval(hours => CASE WHEN id = :old"
                " THEN 721 ELSE 719 END) WHERE id IN (:old, :young)"
            ),
            {"old": UUID(old), "young": UUID(young)},
        )
        await connection.execute(
            text("UPDATE schedules SET updated_at = now() - interval '1 year' WHERE id = :id"),
            {"id": UUID(active)},
        )
    async with offline_app.turns.database.system_transaction() as connection:
        assert await repository.forget_ended(connection, retention_h=720, rows_max=100) == 1
    assert (await ask(offline_app, person, old)).status_code == 404
    for id_ in (young, active):
        assert (await ask(offline_app, person, id_)).status_code == 200
    await ask(offline_app, person, active, "DELETE")


async def test_whoever_looks_for_what_is_due_can_not_read_it(database: Database) -> None:
    async with database.system_transaction() as connection:
        await connection.execute(text("SELECT user_id, id, next_at FROM schedules"))
    for column in ("message", "rule", "last_turn_id"):
        with pytest.raises(Exception, match="permission denied"):
            async with database.system_transaction() as connection:
                await connection.execute(text(f"SELECT {column} FROM schedules"))


async def test_the_doctor_warns_of_what_should_have_been_said(
    offline_app: RunningApp, superuser: AsyncEngine, settings: Settings
) -> None:
    person = Person()
    id_ = await made(offline_app, person)
    await let_come(superuser, id_, ago_s=301)
    [found] = [one for one in await examine(settings) if one.name == "schedules"]
    assert found.warns
    assert re.fullmatch(r"\d+ active, \d+ overdue", found.text)
    await ask(offline_app, person, id_, "DELETE")
