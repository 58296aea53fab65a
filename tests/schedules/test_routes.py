"""Schedules over HTTP: made, listed, changed and withdrawn; what is refused, and why."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import MARK, error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.schedules.acting import ask, let_come, made, make, read, say_due

UNKNOWN = "0199f3a0-0000-7000-8000-000000000000"


def later(**by: float) -> str:
    return (datetime.now(UTC) + timedelta(**by)).isoformat()


async def test_a_message_is_kept_to_be_said_once(offline_app: RunningApp) -> None:
    person = Person()
    answer = await make(offline_app, person, message="  Hello  ", at="2035-05-01T08:00:00.5+02:00")
    assert answer.status_code == 201, answer.text
    schedule = answer.json()
    assert schedule["message"] == "Hello"
    assert (schedule["at"], schedule["next_at"]) == ("2035-05-01T06:00:00Z",) * 2
    assert (schedule["rule"], schedule["start"], schedule["time_zone"]) == (None, None, "UTC")
    assert (schedule["status"], schedule["end_reason"]) == ("active", None)
    assert (schedule["last_at"], schedule["last_turn_id"], schedule["last_error"]) == (None,) * 3
    assert schedule["conversation_id"] is None
    assert await read(offline_app, person, schedule["id"]) == schedule


async def test_a_message_is_kept_to_be_said_by_a_rule(offline_app: RunningApp) -> None:
    person = Person()
    answer = await make(
        offline_app,
        person,
        rule="FREQ=WEEKLY;BYDAY=MO;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
        time_zone="Europe/Berlin",
        start="2035-06-01T00:00:00",
    )
    assert answer.status_code == 201, answer.text
    schedule = answer.json()
    assert schedule["start"] == "2035-06-01T00:00:00"
    assert schedule["next_at"] == "2035-06-04T06:00:00Z"
    # With an offset, the start is the same moment by the clock of the time zone.
    answer = await make(
        offline_app,
        person,
        rule="FREQ=DAILY",
        time_zone="Asia/Tokyo",
        start="2035-06-01T00:00:00Z",
    )
    assert answer.json()["start"] == "2035-06-01T09:00:00"
    assert answer.json()["next_at"] == "2035-06-01T00:00:00Z"


async def test_a_count_begins_with_what_is_said_first(offline_app: RunningApp) -> None:
    person = Person()
    answer = await make(offline_app, person, rule="FREQ=DAILY;COUNT=2", time_zone="Asia/Tokyo")
    schedule = answer.json()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    next_at = datetime.fromisoformat(schedule["next_at"])
    assert timedelta(minutes=-1) < next_at - tomorrow <= timedelta()
    assert datetime.fromisoformat(schedule["start"]) == next_at.replace(tzinfo=None) + timedelta(
        hours=9
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rule": None}, "at"),
        ({"rule": "FREQ=DAILY", "at": "2035-05-01T08:00:00Z"}, "at"),
        ({"at": "2035-05-01T08:00:00"}, "at"),
        ({"at": "2001-05-01T08:00:00Z"}, "at"),
        ({"at": "9999-12-31T23:59:59-12:00"}, "at"),
        ({"at": "0001-01-01T00:00:00+12:00"}, "at"),
        ({"at": "2045-05-01T08:00:00Z"}, "at"),
        ({"at": MARK}, "at"),
        ({"at": 1777777777}, "at"),
        ({"at": "2035-05-01T08:00:00Z", "start": "2035-05-01T08:00:00"}, "start"),
        ({"rule": MARK}, "rule"),
        ({"rule": "FREQ=SECONDLY"}, "rule"),
        ({"rule": "FREQ=MINUTELY;BYSECOND=0,30"}, "rule"),
        ({"rule": "FREQ=DAILY;BYHOUR=8;BYMINUTE=0;BYSECOND=0,59"}, "rule"),
        ({"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rule"),
        ({"rule": "FREQ=DAILY;UNTIL=20200101"}, "rule"),
        ({"rule": "FREQ=YEARLY;INTERVAL=1000000", "start": "2020-01-01T00:00:00"}, "rule"),
        ({"rule": "FREQ=DAILY", "start": "2045-05-01T08:00:00"}, "rule"),
        ({"rule": "FREQ=DAILY", "start": "9999-12-31T23:59:59"}, "start"),
        ({"rule": "X" * 501}, "rule"),
        ({"time_zone": MARK}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "x" * 101}, "time_zone"),
        ({"message": "  "}, "message"),
        ({"message": "x" * 5001}, "message"),
        ({"message": None}, "message"),
        ({"conversation_id": "1"}, "conversation_id"),
        ({MARK: 1}, None),
    ],
)
async def test_what_can_not_be_said_is_refused(
    offline_app: RunningApp, fields: dict[str, Any], field: str | None
) -> None:
    person = Person()
    body = error_of(await make(offline_app, person, **fields), 400)
    assert body["error_code"] == "invalid_request"
    if field is not None:
        assert [detail["field"] for detail in body["details"]] == [field]
    page = await offline_app.client.get(f"/api/{person.user_id}/schedules", headers=person.headers)
    assert page.json()["data"] == []


async def test_it_is_said_in_a_conversation_that_takes_turns(offline_app: RunningApp) -> None:
    person = Person()
    talk = (await person.say(offline_app.client, "hello")).json()["conversation_id"]
    answer = await make(offline_app, person, conversation_id=talk)
    assert answer.json()["conversation_id"] == talk
    unknown = error_of(await make(offline_app, person, conversation_id=UNKNOWN), 404)
    assert unknown["conversation_id"] in (None, UNKNOWN)
    error_of(await make(offline_app, Person(), conversation_id=talk), 404)
    await offline_app.client.patch(
        f"/api/{person.user_id}/conversations/{talk}",
        json={"status": "ended"},
        headers=person.headers,
    )
    ended = error_of(await make(offline_app, person, conversation_id=talk), 409)
    assert ended["error_code"] == "conversation_ended"


async def test_schedules_are_listed_in_pages_the_newest_first(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    talk = (await person.say(offline_app.client, "hello")).json()["conversation_id"]
    ids = [await made(offline_app, person) for _ in range(4)]
    ids.append(await made(offline_app, person, conversation_id=talk))
    ended = await made(offline_app, person, at=later(days=1))
    await let_come(superuser, ended)
    await say_due(offline_app)

    async def page(**query: Any) -> dict[str, Any]:
        answer = await offline_app.client.get(
            f"/api/{person.user_id}/schedules", params=query, headers=person.headers
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    found: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        got = await page(limit=2, **cursor)
        found += [schedule["id"] for schedule in got["data"]]
        cursor = {"after": got["next_cursor"]}
    assert found == [ended, *reversed(ids)]
    assert (got["has_more"], got["next_cursor"]) == (False, None)
    assert [one["id"] for one in (await page(status="ended"))["data"]] == [ended]
    assert len((await page(status="active"))["data"]) == 5
    assert [one["id"] for one in (await page(conversation_id=talk))["data"]] == [ids[-1]]
    bad = await offline_app.client.get(
        f"/api/{person.user_id}/schedules", params={"after": "bm8"}, headers=person.headers
    )
    assert error_of(bad, 400)["details"][0]["field"] == "after"


async def test_what_is_said_and_when_can_be_changed(offline_app: RunningApp) -> None:
    person = Person()
    id_ = await made(offline_app, person, time_zone="Europe/Berlin", start="2035-01-01T00:00:00")
    before = await read(offline_app, person, id_)
    reworded = (await ask(offline_app, person, id_, "PATCH", message="Other")).json()
    assert reworded["message"] == "Other"
    assert reworded["next_at"] == before["next_at"]
    moved = (await ask(offline_app, person, id_, "PATCH", rule="FREQ=DAILY;BYHOUR=9")).json()
    assert moved["next_at"] == "2035-01-01T08:00:00Z"
    assert moved["time_zone"] == "Europe/Berlin"
    zone = (await ask(offline_app, person, id_, "PATCH", time_zone="UTC")).json()
    assert zone["next_at"] == "2035-01-01T09:00:00Z"
    once = (await ask(offline_app, person, id_, "PATCH", at="2035-03-01T00:00:00Z")).json()
    assert (once["rule"], once["start"], once["next_at"]) == (None, None, "2035-03-01T00:00:00Z")
    for fields in ({}, {"message": ""}, {"status": "ended"}, {"at": "2001-01-01T00:00:00Z"}):
        error_of(await ask(offline_app, person, id_, "PATCH", **fields), 400)
    assert await read(offline_app, person, id_) == once
    error_of(await ask(offline_app, person, UNKNOWN, "PATCH", message="x"), 404)


async def test_a_paused_schedule_says_nothing_and_makes_nothing_up(
    offline_app: RunningApp,
) -> None:
    person = Person()
    id_ = await made(offline_app, person, rule="FREQ=HOURLY")
    paused = (await ask(offline_app, person, id_, "PATCH", status="paused")).json()
    assert (paused["status"], paused["next_at"]) == ("paused", None)
    again = (await ask(offline_app, person, id_, "PATCH", status="active")).json()
    assert again["status"] == "active"
    assert again["next_at"] > datetime.now(UTC).isoformat()
    # A change of when it is said leaves it paused.
    await ask(offline_app, person, id_, "PATCH", status="paused")
    changed = (await ask(offline_app, person, id_, "PATCH", rule="FREQ=DAILY")).json()
    assert (changed["status"], changed["next_at"]) == ("paused", None)


async def test_a_schedule_is_withdrawn_once(offline_app: RunningApp) -> None:
    person = Person()
    id_ = await made(offline_app, person)
    assert (await ask(offline_app, person, id_, "DELETE")).status_code == 204
    error_of(await ask(offline_app, person, id_, "DELETE"), 404)
    error_of(await ask(offline_app, person, id_), 404)


async def test_a_user_has_as_many_as_they_may_that_have_not_ended(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(schedules_max=2) as running:
        person = Person()
        first, _ = [await made(running, person, at=later(days=1)) for _ in range(2)]
        refused = error_of(await make(running, person), 409)
        assert refused["error_code"] == "too_many_schedules"
        await let_come(superuser, first)
        await say_due(running)
        third = await made(running, person)
        again = await ask(running, person, first, "PATCH", at=later(days=2))
        assert error_of(again, 409)["error_code"] == "too_many_schedules"
        await ask(running, person, third, "DELETE")
        again = await ask(running, person, first, "PATCH", at=later(days=2))
        assert (again.json()["status"], again.json()["end_reason"]) == ("active", None)
