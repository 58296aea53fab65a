"""Reading a recurrence rule: RFC 5545, section 3.3.10, as text.

    FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=8;BYMINUTE=30
    FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20271231T230000Z

All of it is read but SECONDLY, which is too often for anybody. What the RFC forbids is refused.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final, Literal, cast, get_args

RULE_CHARS_MAX: Final = 500
"""A rule that names each hour of each weekday has half of them."""

COUNT_MAX: Final = 10_000
"""Occurrences of a rule that counts them: they are counted one by one."""

INTERVAL_MAX: Final = 1_000_000
"""Longer than any clock runs, and short enough to reckon with."""

TIMES_MAX: Final = 1440
"""Times of one day that a rule may name: as many as there are minutes."""

Frequency = Literal["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"]

WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

_DAY: Final = re.compile(r"(?:([+-]?)([0-9]{1,2}))?(MO|TU|WE|TH|FR|SA|SU)")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,7}")
_UNTIL: Final = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z?))?")

_LISTS: Final = {
    "BYMONTH": (1, 12, False),
    "BYWEEKNO": (1, 53, True),
    "BYYEARDAY": (1, 366, True),
    "BYMONTHDAY": (1, 31, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
    "BYSECOND": (0, 59, False),
    "BYSETPOS": (1, 366, True),
}
"""Lists of numbers: the least, the greatest, and whether they may count from the end."""

_NOT_WITH: Final[dict[str, tuple[str, ...]]] = {
    "BYWEEKNO": ("MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"),
    "BYYEARDAY": ("MONTHLY", "WEEKLY", "DAILY"),
    "BYMONTHDAY": ("WEEKLY",),
}
"""What the RFC forbids, by frequency."""


class BadRule(ValueError):
    """A rule that can't be used; the text goes on from its name: “must …”."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A recurrence rule, checked.

    Attributes:
        frequency: What its periods are.
        interval: Every which of them counts.
        count: How many occurrences there are in all; None means no end by number.
        until: The last moment that may be one: in UTC if it is aware, else by the local clock.
        months: 1 to 12.
        weeks: Of the year, ±1 to ±53.
        year_days: ±1 to ±366.
        month_days: ±1 to ±31.
        days: Weekdays from 0, Monday, with which one of its month or year; 0 means each.
        hours: 0 to 23.
        minutes: 0 to 59.
        seconds: 0 to 59.
        positions: Which of the occurrences of a period count, ±1 to ±366.
        week_start: The weekday on which weeks begin.
    """

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    months: frozenset[int] = frozenset()
    weeks: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    days: frozenset[tuple[int, int]] = frozenset()
    hours: frozenset[int] = frozenset()
    minutes: frozenset[int] = frozenset()
    seconds: frozenset[int] = frozenset()
    positions: frozenset[int] = frozenset()
    week_start: int = 0


def parse_rule(text: str) -> Rule:
    """Read a rule, with or without `RRULE:` in front.

    Raises:
        BadRule: it is not one, or not one that is taken.
    """
    if len(text) > RULE_CHARS_MAX:
        raise BadRule(f"must have at most {RULE_CHARS_MAX} characters")
    parts = _parts(text.strip().upper().removeprefix("RRULE:"))
    if parts.get("FREQ") not in get_args(Frequency):
        known = ", ".join(get_args(Frequency))
        raise BadRule(f"must have a FREQ of {known}")
    frequency = cast(Frequency, parts["FREQ"])
    for name, frequencies in _NOT_WITH.items():
        if name in parts and frequency in frequencies:
            raise BadRule(f"must not have {name} with FREQ={frequency}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise BadRule("must have COUNT or UNTIL, not both")
    if "BYSETPOS" in parts and not any(
        name.startswith("BY") and name != "BYSETPOS" for name in parts
    ):
        raise BadRule("must have another BY… beside BYSETPOS")
    lists = {name: _numbers(name, parts.get(name)) for name in _LISTS}
    times = [len(lists[name]) or 1 for name in ("BYHOUR", "BYMINUTE", "BYSECOND")]
    if math.prod(times) > TIMES_MAX:
        raise BadRule(f"must name at most {TIMES_MAX} times of a day")
    return Rule(
        frequency=frequency,
        interval=_one("INTERVAL", parts.get("INTERVAL"), INTERVAL_MAX) or 1,
        count=_one("COUNT", parts.get("COUNT"), COUNT_MAX),
        until=_until(parts.get("UNTIL")),
        months=lists["BYMONTH"],
        weeks=lists["BYWEEKNO"],
        year_days=lists["BYYEARDAY"],
        month_days=lists["BYMONTHDAY"],
        days=_days(parts.get("BYDAY"), frequency, by_week="BYWEEKNO" in parts),
        hours=lists["BYHOUR"],
        minutes=lists["BYMINUTE"],
        seconds=lists["BYSECOND"],
        positions=lists["BYSETPOS"],
        week_start=_week_start(parts.get("WKST")),
    )


_NAMES: Final = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "WKST", *_LISTS})


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if name not in _NAMES or not equals or not value:
            raise BadRule("must be a rule of RFC 5545, such as FREQ=DAILY;BYHOUR=8")
        if name in parts:
            raise BadRule(f"must have {name} once")
        parts[name] = value
    return parts


def _one(name: str, value: str | None, most: int) -> int | None:
    if value is None:
        return None
    number = int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else 0
    if not 1 <= number <= most:
        raise BadRule(f"must have {name} from 1 to {most}")
    return number


def _numbers(name: str, value: str | None) -> frozenset[int]:
    if value is None:
        return frozenset()
    least, greatest, from_end = _LISTS[name]
    numbers = set()
    for item in value.split(","):
        number = int(item) if _NUMBER.fullmatch(item) else -greatest - 1
        if not least <= (abs(number) if from_end else number) <= greatest:
            raise BadRule(f"must have {name} from {least} to {greatest}")
        numbers.add(number)
    return frozenset(numbers)


def _days(value: str | None, frequency: Frequency, *, by_week: bool) -> frozenset[tuple[int, int]]:
    if value is None:
        return frozenset()
    days = set()
    for item in value.split(","):
        found = _DAY.fullmatch(item)
        if found is None:
            raise BadRule("must have BYDAY of MO, TU, WE, TH, FR, SA, SU")
        sign, number, weekday = found.groups()
        nth = int(f"{sign}{number}") if number else 0
        most = {"MONTHLY": 5, "YEARLY": 0 if by_week else 53}.get(frequency, 0)
        if number and not 1 <= abs(nth) <= most:
            raise BadRule(f"must not have {item} in BYDAY with the rest of it")
        days.add((WEEKDAYS.index(weekday), nth))
    return frozenset(days)


def _week_start(value: str | None) -> int:
    if value is None:
        return 0
    if value not in WEEKDAYS:
        raise BadRule("must have WKST of MO, TU, WE, TH, FR, SA, SU")
    return WEEKDAYS.index(value)


def _until(value: str | None) -> datetime | None:
    if value is None:
        return None
    found = _UNTIL.fullmatch(value)
    try:
        if found is None:
            raise ValueError
        date, clock, zulu = found.groups()
        moment = datetime.strptime(date + (clock or "000000"), "%Y%m%d%H%M%S")
    except ValueError:
        raise BadRule("must have UNTIL such as 20271231T230000Z") from None
    if clock is None:
        # The whole day.
        return datetime.combine(moment.date(), time(23, 59, 59))
    return moment.replace(tzinfo=UTC) if zulu else moment
