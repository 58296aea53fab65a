"""Recurrence rules: the examples of RFC 5545, what it forbids, and hostile ones."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from taskchat.schedules.recurrence import LOOKS_MAX, Looks, occurrences
from taskchat.schedules.rule import BadRule, parse_rule

NINE = datetime(1997, 9, 2, 9)
"""A Tuesday: the start of the RFC's examples."""


def days(rule: str, start: datetime = NINE, count: int = 6) -> list[str]:
    """The first occurrences, at the time of the start, as dates."""
    found = occurrences(parse_rule(rule), start, start - timedelta(seconds=1), Looks(LOOKS_MAX))
    first = list(itertools.islice(found, count))
    assert all(moment.time() == start.time() for moment in first)
    return [f"{moment:%Y-%m-%d}" for moment in first]


def times(rule: str, count: int) -> list[str]:
    """The first occurrences, as days and times."""
    found = occurrences(parse_rule(rule), NINE, NINE - timedelta(seconds=1), Looks(LOOKS_MAX))
    return [f"{moment:%d %H:%M}" for moment in itertools.islice(found, count)]


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("FREQ=DAILY", "1997-09-02 1997-09-03 1997-09-04"),
        ("RRULE:freq=daily;interval=10", "1997-09-02 1997-09-12 1997-09-22 1997-10-02"),
        ("FREQ=WEEKLY", "1997-09-02 1997-09-09 1997-09-16"),
        ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", "1997-09-02 1997-09-16 1997-09-30 1997-10-14"),
        ("FREQ=WEEKLY;WKST=SU;BYDAY=TU,TH", "1997-09-02 1997-09-04 1997-09-09 1997-09-11"),
        (
            "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,TH",
            "1997-09-02 1997-09-04 1997-09-16 1997-09-18",
        ),
        ("FREQ=MONTHLY;BYDAY=1FR", "1997-09-05 1997-10-03 1997-11-07"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=1SU,-1SU", "1997-09-07 1997-09-28 1997-11-02 1997-11-30"),
        ("FREQ=MONTHLY;BYDAY=-2MO", "1997-09-22 1997-10-20 1997-11-17"),
        ("FREQ=MONTHLY;BYMONTHDAY=-3", "1997-09-28 1997-10-29 1997-11-28 1997-12-29"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,-1", "1997-09-30 1997-10-01 1997-10-31 1997-11-01"),
        ("FREQ=MONTHLY;INTERVAL=18;BYMONTHDAY=10,11", "1997-09-10 1997-09-11 1999-03-10"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=TU", "1997-09-02 1997-09-09 1997-09-16 1997-09-23"),
        ("FREQ=YEARLY;BYMONTH=6,7", "1998-06-02 1998-07-02 1999-06-02"),
        ("FREQ=YEARLY;INTERVAL=3;BYYEARDAY=1,100,200", "2000-01-01 2000-04-09 2000-07-18"),
        ("FREQ=YEARLY;BYDAY=20MO", "1998-05-18 1999-05-17 2000-05-15"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1998-05-11 1999-05-17 2000-05-15"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "1998-03-05 1998-03-12 1998-03-19"),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1998-02-13 1998-03-13 1998-11-13 1999-08-13"),
        ("FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", "1997-09-13 1997-10-11"),
        (
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
            "1997-11-04 2001-11-06 2005-11-08",
        ),
        ("FREQ=MONTHLY;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04 1997-10-07 1997-11-06"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "1997-09-29 1997-10-30 1997-11-27"),
    ],
)
def test_the_examples_of_the_rfc_fall_on_its_days(rule: str, first: str) -> None:
    expected = first.split()
    assert days(rule, count=len(expected)) == expected


@pytest.mark.parametrize(
    ("rule", "start", "first"),
    [
        # Months without a 31st have none; it does not slip to another day.
        ("FREQ=MONTHLY", datetime(2026, 1, 31), "2026-01-31 2026-03-31 2026-05-31"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", datetime(2027, 1, 31), "2027-01-31 2027-02-28 2027-03-31"),
        ("FREQ=YEARLY", datetime(2024, 2, 29), "2024-02-29 2028-02-29 2032-02-29"),
        ("FREQ=YEARLY", datetime(2096, 2, 29), "2096-02-29 2104-02-29"),
        ("FREQ=YEARLY;BYYEARDAY=366", datetime(2026, 1, 1), "2028-12-31 2032-12-31"),
        ("FREQ=YEARLY;BYYEARDAY=-1", datetime(2026, 1, 1), "2026-12-31 2027-12-31"),
        # 2026 has 53 weeks; the first week of 2027 begins in it.
        ("FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO", datetime(2021, 1, 1), "2026-12-28 2032-12-27"),
        ("FREQ=YEARLY;BYWEEKNO=-1;BYDAY=SU", datetime(2026, 1, 5), "2027-01-03 2028-01-02"),
        # Where weeks begin changes which of them count.
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO",
            datetime(1997, 8, 5),
            "1997-08-05 1997-08-10 1997-08-19 1997-08-24",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU",
            datetime(1997, 8, 5),
            "1997-08-05 1997-08-17 1997-08-19 1997-08-31",
        ),
    ],
)
def test_ends_of_months_leap_days_and_weeks(rule: str, start: datetime, first: str) -> None:
    expected = first.split()
    assert days(rule, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("FREQ=HOURLY;INTERVAL=3", "02 09:00, 02 12:00, 02 15:00"),
        ("FREQ=MINUTELY;INTERVAL=90", "02 09:00, 02 10:30, 02 12:00"),
        ("FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,11", "02 09:00, 02 09:20, 02 09:40, 02 11:00"),
        ("FREQ=DAILY;BYHOUR=9,16;BYMINUTE=0,30", "02 09:00, 02 09:30, 02 16:00, 02 16:30"),
        ("FREQ=HOURLY;BYDAY=WE;BYHOUR=5;BYMINUTE=7", "03 05:07, 10 05:07, 17 05:07"),
        ("FREQ=DAILY;BYHOUR=8,9,10;BYSETPOS=-1", "02 10:00, 03 10:00"),
        ("FREQ=HOURLY;BYMINUTE=10,20,30;BYSETPOS=2", "02 09:20, 02 10:20"),
    ],
)
def test_times_of_a_day(rule: str, first: str) -> None:
    expected = first.split(", ")
    assert times(rule, len(expected)) == expected


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("", "RFC 5545"),
        ("every day", "RFC 5545"),
        ("FREQ=SECONDLY", "FREQ of"),
        ("INTERVAL=2", "FREQ of"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ once"),
        ("FREQ=DAILY;COUNT=0", "COUNT from 1"),
        ("FREQ=DAILY;COUNT=10001", "COUNT from 1 to 10000"),
        ("FREQ=DAILY;COUNT=٣", "COUNT from 1"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL from 1"),
        ("FREQ=DAILY;INTERVAL=99999999999999999999", "INTERVAL from 1"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "not both"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL such as"),
        ("FREQ=DAILY;UNTIL=20270231", "UNTIL such as"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO with FREQ=MONTHLY"),
        ("FREQ=DAILY;BYYEARDAY=1", "BYYEARDAY with FREQ=DAILY"),
        ("FREQ=WEEKLY;BYDAY=1MO", "1MO"),
        ("FREQ=MONTHLY;BYDAY=6MO", "6MO"),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "1MO"),
        ("FREQ=DAILY;BYDAY=XX", "BYDAY of"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR from 0 to 23"),
        ("FREQ=DAILY;BYHOUR=", "RFC 5545"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY from 1 to 31"),
        ("FREQ=DAILY;BYSETPOS=1", "beside BYSETPOS"),
        ("FREQ=DAILY;WKST=1", "WKST of"),
        ("FREQ=DAILY;X-MINE=1", "RFC 5545"),
        ("FREQ=DAILY;BYHOUR=" + "1," * 300 + "1", "500 characters"),
        (
            "FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(60))) + ";BYSECOND="
            "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24",
            "1440 times",
        ),
    ],
)
def test_what_is_no_rule_is_refused_and_says_why(rule: str, problem: str) -> None:
    with pytest.raises(BadRule, match=problem):
        parse_rule(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MINUTELY;INTERVAL=2;BYMINUTE=1",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=5;BYDAY=MO",
        "FREQ=WEEKLY;BYMONTH=2;BYDAY=MO;BYSETPOS=300",
        "FREQ=MINUTELY;INTERVAL=1000000;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_a_rule_that_never_fires_is_given_up_after_so_many_looks(rule: str) -> None:
    looks = Looks(LOOKS_MAX)
    start = datetime(2026, 1, 1)
    assert list(occurrences(parse_rule(rule), start, start, looks)) == []
    # By its count, or because the calendar came to its end before.
    assert looks.left < LOOKS_MAX


def test_a_rule_is_followed_from_any_moment_at_no_more_cost() -> None:
    looks = Looks(10)
    rule, start = parse_rule("FREQ=MINUTELY;INTERVAL=7"), datetime(1971, 1, 1)
    found = next(occurrences(rule, start, datetime(2026, 5, 1), looks))
    assert (found - start) % timedelta(minutes=7) == timedelta()
    assert timedelta() < found - datetime(2026, 5, 1) <= timedelta(minutes=7)


def test_the_end_of_the_calendar_ends_a_rule() -> None:
    start = datetime(2899, 1, 1)
    found = list(occurrences(parse_rule("FREQ=YEARLY;INTERVAL=90"), start, start, Looks(LOOKS_MAX)))
    assert [moment.year for moment in found] == [2989]


def test_until_is_read_by_the_local_clock_or_in_utc() -> None:
    assert parse_rule("FREQ=DAILY;UNTIL=20270101").until == datetime(2027, 1, 1, 23, 59, 59)
    assert parse_rule("FREQ=DAILY;UNTIL=20270101T080000").until == datetime(2027, 1, 1, 8)
    until = parse_rule("FREQ=DAILY;UNTIL=20270101T080000Z").until
    assert until == datetime(2027, 1, 1, 8, tzinfo=UTC)
