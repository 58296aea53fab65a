"""Rules by the clock of a time zone: changes of the clocks, ends by COUNT and UNTIL."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from taskchat.schedules.plans import Next, Once, Repeated
from taskchat.schedules.rule import parse_rule

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def plan(rule: str, zone: str, start: str) -> Repeated:
    return Repeated(parse_rule(rule), ZoneInfo(zone), datetime.fromisoformat(start))


def told(plan: Repeated, count: int = 4, *, after: datetime = LONG_AGO) -> list[str]:
    """The next occurrences, one by one, by the clock of the zone, with its offset."""
    shown: list[str] = []
    found = plan.first(after)
    while found is not None and len(shown) < count:
        shown.append(f"{found.at.astimezone(plan.zone):%d %H:%M%z}")
        found = plan.following(found, found.at)
    return shown


@pytest.mark.parametrize(
    ("rule", "zone", "start", "expected"),
    [
        # Clocks go from 2 to 3 on 29 March 2026 in Berlin.
        (
            "FREQ=DAILY",
            "Europe/Berlin",
            "2026-03-28T08:00",
            "28 08:00+0100, 29 08:00+0200, 30 08:00+0200",
        ),
        (
            "FREQ=DAILY",
            "Europe/Berlin",
            "2026-03-28T02:30",
            "28 02:30+0100, 29 03:30+0200, 30 02:30+0200",
        ),
        (
            "FREQ=HOURLY",
            "Europe/Berlin",
            "2026-03-29T00:30",
            "29 00:30+0100, 29 01:30+0100, 29 03:30+0200, 29 04:30+0200",
        ),
        # And from 3 back to 2 on 25 October.
        (
            "FREQ=DAILY",
            "Europe/Berlin",
            "2026-10-24T02:30",
            "24 02:30+0200, 25 02:30+0200, 26 02:30+0100",
        ),
        (
            "FREQ=HOURLY",
            "Europe/Berlin",
            "2026-10-25T01:30",
            "25 01:30+0200, 25 02:30+0200, 25 03:30+0100",
        ),
        # From 2 to 3 on 8 March 2026 in New York, and from 2 back to 1 on 1 November.
        (
            "FREQ=DAILY",
            "America/New_York",
            "2026-03-07T02:15",
            "07 02:15-0500, 08 03:15-0400, 09 02:15-0400",
        ),
        (
            "FREQ=MINUTELY;INTERVAL=30",
            "America/New_York",
            "2026-03-08T01:30",
            "08 01:30-0500, 08 03:00-0400, 08 03:30-0400, 08 04:00-0400",
        ),
        (
            "FREQ=DAILY",
            "America/New_York",
            "2026-10-31T01:30",
            "31 01:30-0400, 01 01:30-0400, 02 01:30-0500",
        ),
        # A clock that has gone by half an hour: 2 to 2:30 in Lord Howe on 4 October 2026.
        (
            "FREQ=DAILY",
            "Australia/Lord_Howe",
            "2026-10-03T02:15",
            "03 02:15+1030, 04 02:45+1100, 05 02:15+1100",
        ),
        # A day that there was not: Samoa went from 29 to 31 December 2011.
        (
            "FREQ=DAILY",
            "Pacific/Apia",
            "2011-12-29T10:00",
            "29 10:00-1000, 31 10:00+1400, 01 10:00+1400",
        ),
    ],
)
def test_a_rule_follows_the_clock_on_the_wall(
    rule: str, zone: str, start: str, expected: str
) -> None:
    wanted = expected.split(", ")
    assert told(plan(rule, zone, start), len(wanted)) == wanted


def test_what_a_change_of_the_clocks_moved_is_found_from_any_moment() -> None:
    daily = plan("FREQ=DAILY", "Europe/Berlin", "2026-03-01T02:30")
    for minute in range(0, 180, 7):
        moment = datetime(2026, 3, 29, 0, 0, tzinfo=UTC) + timedelta(minutes=minute)
        found = daily.first(moment)
        moved, next_day = datetime(2026, 3, 29, 1, 30), datetime(2026, 3, 30, 0, 30)
        expected = moved if moment.replace(tzinfo=None) < moved else next_day
        assert found is not None
        assert found.at.replace(tzinfo=None) == expected


def test_one_by_one_and_from_any_moment_are_the_same_occurrences() -> None:
    for rule in ("FREQ=MINUTELY;INTERVAL=20", "FREQ=HOURLY;BYMINUTE=10,50", "FREQ=DAILY"):
        for zone, day in (("Europe/Berlin", "2026-10-24"), ("America/New_York", "2026-03-07")):
            followed = plan(rule, zone, f"{day}T01:10")
            found = followed.first(LONG_AGO)
            for _ in range(120):
                assert found is not None
                following = followed.following(found, found.at)
                jumped = followed.first(found.at)
                assert following is not None
                assert jumped is not None
                assert following.at == jumped.at > found.at
                found = following


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;COUNT=3", 3),
        ("FREQ=DAILY;UNTIL=20260330", 3),
        # What was moved to 3:30 is later than this, and so it is not said.
        ("FREQ=DAILY;UNTIL=20260329T010000Z", 1),
        ("FREQ=DAILY;UNTIL=20260329T013000Z", 2),
        ("FREQ=DAILY;UNTIL=20260329T022959", 1),
        ("FREQ=DAILY;UNTIL=20260101", 0),
    ],
)
def test_count_and_until_end_a_rule(rule: str, expected: int) -> None:
    assert len(told(plan(rule, "Europe/Berlin", "2026-03-28T02:30"), 9)) == expected


def test_occurrences_that_were_missed_count() -> None:
    three = plan("FREQ=DAILY;COUNT=3", "UTC", "2026-05-01T08:00")
    assert three.first(datetime(2026, 5, 2, 9, tzinfo=UTC)) == Next(
        datetime(2026, 5, 3, 8, tzinfo=UTC), 3
    )
    assert three.first(datetime(2026, 5, 3, 8, tzinfo=UTC)) is None
    first = three.first(LONG_AGO)
    assert first is not None
    assert three.following(first, datetime(2026, 5, 2, 9, tzinfo=UTC)) == Next(
        datetime(2026, 5, 3, 8, tzinfo=UTC), 3
    )


def test_the_last_of_ten_thousand_occurrences_is_found() -> None:
    many = plan("FREQ=DAILY;COUNT=10000", "Europe/Berlin", "2001-01-01T00:00")
    last = many.first(datetime(2028, 5, 17, tzinfo=UTC))
    assert last is not None
    assert last.number == 10_000
    assert many.following(last, last.at) is None


def test_something_that_is_said_once_is_not_said_again() -> None:
    at = datetime(2026, 5, 1, 8, tzinfo=UTC)
    once = Once(at)
    assert once.first(at - timedelta(seconds=1)) == Next(at, 1)
    assert once.first(at) is None
    assert once.following(Next(at, 1), at) is None
