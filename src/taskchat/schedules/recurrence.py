"""When a rule has occurrences, by the clock on the wall: no time zone is known here.

Each period of the rule gives a set of days, as far as its BY… allow, and each day a set of times.
A rule is followed from any moment on without following it from its start, and every look is
counted: a rule that never fires ends by that count, not by the end of the calendar.
"""

import calendar
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from taskchat.schedules.rule import Rule

LOOKS_MAX: Final = 5_000
"""Days, hours and minutes that are looked at in one search: some 10 ms. Of a daily rule these are
13 years: any 29th of February is found, and any year of 53 weeks."""

LAST_YEAR: Final = 2999
"""What comes later is never looked at; every clock and database can hold it."""

_DAY: Final = timedelta(days=1)

_WITHIN_DAYS: Final = frozenset({"HOURLY", "MINUTELY"})


@dataclass(slots=True)
class Looks:
    """How often somebody may still look.

    Attributes:
        left: How often.
    """

    left: int = LOOKS_MAX

    def spend(self) -> bool:
        """Look once; False if there were too many."""
        self.left -= 1
        return self.left >= 0


def occurrences(rule: Rule, start: datetime, after: datetime, looks: Looks) -> Iterator[datetime]:
    """Occurrences by the local clock in order, without end by COUNT or UNTIL.

    Args:
        rule: The rule.
        start: When it begins, to the second; what it does not say is as in this moment.
        after: Those that come after this moment are given.
        looks: How often may be looked; then it ends.
    """
    rule = _completed(rule, start)
    begin = max(start, after)
    try:
        for moment in _moments(rule, start, begin, looks):
            if moment >= start and moment > after:
                yield moment
    except (OverflowError, ValueError):
        # Beyond what a calendar has.
        return


def _moments(rule: Rule, start: datetime, begin: datetime, looks: Looks) -> Iterator[datetime]:
    """Moments of the rule from a little before `begin` on."""
    if rule.frequency in _WITHIN_DAYS:
        for moments in _within_days(rule, start, begin, looks):
            yield from _chosen(moments, rule.positions)
        return
    times = [
        time(hour, minute, second)
        for hour in sorted(rule.hours)
        for minute in sorted(rule.minutes)
        for second in sorted(rule.seconds)
    ]
    for days in _PERIODS[rule.frequency](rule, start, begin, looks):
        if rule.positions:
            # Of a year there may be half a million, of which these are picked.
            for place in _places_in(len(days) * len(times), rule.positions):
                yield datetime.combine(days[place // len(times)], times[place % len(times)])
            continue
        for day in days:
            if day >= begin.date():
                for at in times:
                    yield datetime.combine(day, at)


def _completed(rule: Rule, start: datetime) -> Rule:
    """The rule with what it takes from its start."""
    changes: dict[str, frozenset[int] | frozenset[tuple[int, int]]] = {}
    if not (rule.weeks or rule.year_days or rule.month_days or rule.days):
        if rule.frequency == "WEEKLY":
            changes["days"] = frozenset({(start.weekday(), 0)})
        elif rule.frequency in ("YEARLY", "MONTHLY"):
            changes["month_days"] = frozenset({start.day})
        if rule.frequency == "YEARLY" and not rule.months:
            changes["months"] = frozenset({start.month})
    elif rule.weeks and not (rule.year_days or rule.month_days or rule.days):
        changes["days"] = frozenset({(start.weekday(), 0)})
    if rule.frequency != "MINUTELY":
        if rule.frequency != "HOURLY" and not rule.hours:
            changes["hours"] = frozenset({start.hour})
        if not rule.minutes:
            changes["minutes"] = frozenset({start.minute})
    if not rule.seconds:
        changes["seconds"] = frozenset({start.second})
    values = {name: getattr(rule, name) for name in rule.__dataclass_fields__}
    return Rule(**{**values, **changes})


def _chosen(moments: list[datetime], positions: frozenset[int]) -> list[datetime]:
    """Those of a period that BYSETPOS leaves."""
    if not positions:
        return moments
    return [moments[place] for place in _places_in(len(moments), positions)]


def _places_in(count: int, positions: frozenset[int]) -> list[int]:
    """Which of so many BYSETPOS leaves, from 0."""
    places = {place - 1 if place > 0 else count + place for place in positions}
    return sorted(place for place in places if 0 <= place < count)


# --- periods of days and longer ---


def _yearly(rule: Rule, start: datetime, begin: datetime, looks: Looks) -> Iterator[list[date]]:
    year = start.year + (begin.year - start.year) // rule.interval * rule.interval
    while year <= LAST_YEAR:
        days = _days(date(year, 1, 1), 366 if calendar.isleap(year) else 365, rule, looks)
        if days is None:
            return
        yield days
        year += rule.interval


def _monthly(rule: Rule, start: datetime, begin: datetime, looks: Looks) -> Iterator[list[date]]:
    first = start.year * 12 + start.month - 1
    month = first + (begin.year * 12 + begin.month - 1 - first) // rule.interval * rule.interval
    while month < (LAST_YEAR + 1) * 12:
        year, index = divmod(month, 12)
        if not rule.months or index + 1 in rule.months:
            length = calendar.monthrange(year, index + 1)[1]
            days = _days(date(year, index + 1, 1), length, rule, looks)
            if days is None:
                return
            yield days
        elif not looks.spend():
            return
        month += rule.interval


def _weekly(rule: Rule, start: datetime, begin: datetime, looks: Looks) -> Iterator[list[date]]:
    first = _week_of(start.date(), rule.week_start)
    passed = (_week_of(begin.date(), rule.week_start) - first).days // 7
    week = first + timedelta(weeks=passed // rule.interval * rule.interval)
    while week.year <= LAST_YEAR:
        days = _days(week, 7, rule, looks)
        if days is None:
            return
        yield days
        week += timedelta(weeks=rule.interval)


def _daily(rule: Rule, start: datetime, begin: datetime, looks: Looks) -> Iterator[list[date]]:
    passed = (begin.date() - start.date()).days
    day = start.date() + timedelta(days=passed // rule.interval * rule.interval)
    while day.year <= LAST_YEAR:
        days = _days(day, 1, rule, looks)
        if days is None:
            return
        yield days
        day += timedelta(days=rule.interval)


_PERIODS: Final[dict[str, Callable[[Rule, datetime, datetime, Looks], Iterator[list[date]]]]] = {
    "YEARLY": _yearly,
    "MONTHLY": _monthly,
    "WEEKLY": _weekly,
    "DAILY": _daily,
}


# --- hours and minutes ---


def _within_days(
    rule: Rule, start: datetime, begin: datetime, looks: Looks
) -> Iterator[list[datetime]]:
    hourly = rule.frequency == "HOURLY"
    unit = timedelta(hours=1) if hourly else timedelta(minutes=1)
    first = start.replace(second=0, minute=0 if hourly else start.minute)
    step = unit * rule.interval
    period = first + (begin - first) // step * step
    while period.year <= LAST_YEAR:
        if not looks.spend():
            return
        if not _fits(period.date(), rule):
            period = _from(first, step, datetime.combine(period.date(), time()) + _DAY)
            continue
        if rule.hours and period.hour not in rule.hours:
            period = _from(first, step, period.replace(minute=0) + timedelta(hours=1))
            continue
        if hourly or not rule.minutes or period.minute in rule.minutes:
            minutes = sorted(rule.minutes) if hourly else [period.minute]
            yield [
                period.replace(minute=minute, second=second)
                for minute in minutes
                for second in sorted(rule.seconds)
            ]
        period += step


def _from(first: datetime, step: timedelta, moment: datetime) -> datetime:
    """The first period that does not begin before a moment."""
    return first - (first - moment) // step * step


# --- days ---


def _days(first: date, count: int, rule: Rule, looks: Looks) -> list[date] | None:
    """Days of a period that the rule allows; None if there were too many looks."""
    days = []
    for place in range(count):
        if not looks.spend():
            return None
        day = first + timedelta(days=place)
        if _fits(day, rule):
            days.append(day)
    return days


def _fits(day: date, rule: Rule) -> bool:
    """Whether the rule allows a day."""
    if rule.months and day.month not in rule.months:
        return False
    if rule.month_days:
        length = calendar.monthrange(day.year, day.month)[1]
        if day.day not in rule.month_days and day.day - length - 1 not in rule.month_days:
            return False
    if rule.year_days:
        number, length = _in_year(day)
        if number not in rule.year_days and number - length - 1 not in rule.year_days:
            return False
    if rule.days and not any(
        weekday == day.weekday() and (nth == 0 or nth in _places(day, rule))
        for weekday, nth in rule.days
    ):
        return False
    return not rule.weeks or _week_fits(day, rule)


def _in_year(day: date) -> tuple[int, int]:
    """A day's number in its year, and how many that has."""
    length = 366 if calendar.isleap(day.year) else 365
    return day.toordinal() - date(day.year, 1, 1).toordinal() + 1, length


def _places(day: date, rule: Rule) -> tuple[int, int]:
    """Which of its weekday a day is in its month or year, from the beginning and from the end."""
    if rule.frequency == "YEARLY" and not rule.months:
        number, length = _in_year(day)
    else:
        number, length = day.day, calendar.monthrange(day.year, day.month)[1]
    return (number - 1) // 7 + 1, -((length - number) // 7 + 1)


def _week_of(day: date, week_start: int) -> date:
    """The first day of a day's week."""
    return day - timedelta(days=(day.weekday() - week_start) % 7)


def _week_fits(day: date, rule: Rule) -> bool:
    """Whether a day is in one of the rule's weeks: the first has four days of its year or more."""
    middle = _week_of(day, rule.week_start) + timedelta(days=3)
    number = (_in_year(middle)[0] - 1) // 7 + 1
    return number in rule.weeks or (
        number - _weeks_of(middle.year, rule.week_start) - 1 in rule.weeks
    )


@functools.lru_cache(maxsize=256)
def _weeks_of(year: int, week_start: int) -> int:
    """How many weeks a year has. The 28th of December is always in the last one."""
    middle = _week_of(date(year, 12, 28), week_start) + timedelta(days=3)
    return (_in_year(middle)[0] - 1) // 7 + 1
