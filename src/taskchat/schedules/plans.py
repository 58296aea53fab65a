"""When a schedule's message is said: once, or again and again by a rule in a time zone.

A rule is followed by the clock on the wall of its time zone. A time that a change of the clocks
leaves out is read by the offset from before the change: half past two becomes half past three. One
that comes twice is the first of the two. No moment comes twice.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from taskchat.schedules.recurrence import LOOKS_MAX, Looks, occurrences
from taskchat.schedules.rule import Rule

CLOSEST_OF: Final = 50
"""Occurrences among which the closest two are looked for."""

_CHANGE_MAX: Final = timedelta(hours=26)
"""Longer than clocks have ever been changed by at once."""


@dataclass(frozen=True, slots=True)
class Next:
    """The next occurrence.

    Attributes:
        at: When, in UTC.
        number: Which one it is, from 1.
    """

    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Once:
    """Something that is said once.

    Attributes:
        at: When, in UTC.
    """

    at: datetime

    def first(self, after: datetime) -> Next | None:
        """It, if it comes after a moment."""
        return Next(self.at, 1) if self.at > after else None

    def following(self, last: Next, beyond: datetime) -> Next | None:
        """Nothing."""
        return None


@dataclass(frozen=True, slots=True)
class Repeated:
    """Something that is said by a rule.

    Attributes:
        rule: The rule.
        zone: Whose clock it is followed by.
        start: When it begins by that clock, to the second.
    """

    rule: Rule
    zone: ZoneInfo
    start: datetime

    def first(self, after: datetime) -> Next | None:
        """The first occurrence after a moment; None if there is none, or none that is found."""
        if self.rule.count is None:
            found = next(self._after(after, Looks(LOOKS_MAX)), None)
            return None if found is None else Next(found, 1)
        begin = self.start.replace(tzinfo=self.zone).astimezone(UTC) - timedelta(seconds=1)
        return self._counted(begin, 0, after)

    def following(self, last: Next, beyond: datetime) -> Next | None:
        """The first occurrence after one of them that also comes after a moment.

        Args:
            last: The one that it follows.
            beyond: The moment.
        """
        if self.rule.count is not None:
            return self._counted(last.at, last.number, beyond)
        found = next(self._after(max(last.at, beyond), Looks(LOOKS_MAX)), None)
        return None if found is None else Next(found, last.number + 1)

    def beginning(self, after: datetime) -> datetime | None:
        """The first occurrence after a moment by the clock on the wall, whichever one it is."""
        return next(occurrences(self.rule, self.start, self._local(after), Looks(LOOKS_MAX)), None)

    def closest(self, after: datetime) -> timedelta | None:
        """The shortest time between two of the next occurrences; None if there are no two."""
        found = list(itertools.islice(self._after(after, Looks(LOOKS_MAX)), CLOSEST_OF))
        return min((b - a for a, b in itertools.pairwise(found)), default=None)

    def _counted(self, after: datetime, number: int, beyond: datetime) -> Next | None:
        assert self.rule.count is not None  # noqa: S101 - who calls it has looked
        # Every occurrence up to the one that is wanted has to be counted.
        looks = Looks(LOOKS_MAX + self.rule.count)
        for found in self._after(after, looks):
            number += 1
            if number > self.rule.count:
                return None
            if found > beyond:
                return Next(found, number)
        return None

    def _after(self, after: datetime, looks: Looks) -> Iterator[datetime]:
        """Occurrences after a moment, in UTC, without end by COUNT."""
        local = self._local(after)
        # What was left out by a change of the clocks comes later than it says.
        changed = local - self._local(after - _CHANGE_MAX) - _CHANGE_MAX
        begin = local - max(changed, timedelta())
        last = after
        for moment in occurrences(self.rule, self.start, begin, looks):
            at = moment.replace(tzinfo=self.zone).astimezone(UTC)
            if self._is_over(moment, at):
                return
            if at > last:
                yield at
                last = at

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def _is_over(self, moment: datetime, at: datetime) -> bool:
        until = self.rule.until
        if until is None:
            return False
        return at > until if until.tzinfo else moment > until


Plan = Once | Repeated
