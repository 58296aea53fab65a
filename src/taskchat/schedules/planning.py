"""From what somebody asks for to a plan: checked against the limits, with its first occurrence."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from taskchat.assistant.circumstances import is_time_zone
from taskchat.errors import Detail, InvalidRequest
from taskchat.schedules.plans import Next, Once, Plan, Repeated
from taskchat.schedules.rule import BadRule, parse_rule
from taskchat.settings import Settings

YEARS: Final = range(1970, 2900)
"""What every clock, calendar and time zone can reckon with."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """When something is to be said, as somebody asks for it.

    Attributes:
        at: Once, at this moment.
        rule: Or by this rule.
        time_zone: By whose clock.
        start: When the rule begins; without an offset, by that clock.
    """

    at: datetime | None = None
    rule: str | None = None
    time_zone: str | None = None
    start: datetime | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan that was checked.

    Attributes:
        at: Once, at this moment.
        rule: Or by this rule.
        time_zone: By whose clock.
        starts_at: When the rule begins, by that clock.
        plan: The same, to reckon with.
    """

    at: datetime | None
    rule: str | None
    time_zone: str
    starts_at: datetime | None
    plan: Plan

    def columns(self) -> dict[str, Any]:
        """How it is kept."""
        return {
            "at": self.at,
            "rule": self.rule,
            "time_zone": self.time_zone,
            "starts_at": self.starts_at,
        }


def planned(wanted: Wanted, *, now: datetime, settings: Settings) -> Planned:
    """Check what is asked for.

    Raises:
        InvalidRequest: it can't be done, or is not allowed; `details` names the field.
    """
    if (wanted.at is None) == (wanted.rule is None):
        raise refused("at", "or a rule is needed, and not both")
    time_zone = wanted.time_zone or "UTC"
    if not is_time_zone(time_zone):
        raise refused("time_zone", "must be the IANA name of a time zone, such as Europe/Berlin")
    if wanted.at is not None:
        if wanted.start is not None:
            raise refused("start", "goes with a rule only")
        at = _in_range("at", wanted.at).astimezone(UTC).replace(microsecond=0)
        return Planned(at, None, time_zone, None, Once(at))
    assert wanted.rule is not None  # noqa: S101 - there is one or the other
    zone = ZoneInfo(time_zone)
    start = _in_range("start", wanted.start or now)
    if start.tzinfo is not None:
        start = start.astimezone(zone)
    start = start.replace(tzinfo=None, microsecond=0)
    plan = repeated(wanted.rule, time_zone, start)
    if wanted.start is None and plan.rule.count is not None:
        # Nothing is said at the moment in which it is asked for, so that one does not count.
        start = plan.beginning(now) or start
        plan = replace(plan, start=start)
    closest = plan.closest(now)
    if closest is not None and closest < timedelta(seconds=settings.schedule_interval_min_s):
        raise refused(
            "rule", f"must leave {settings.schedule_interval_min_s} seconds between two times"
        )
    return Planned(None, wanted.rule, time_zone, start, plan)


def repeated(rule: str, time_zone: str, start: datetime) -> Repeated:
    """The plan of a rule.

    Raises:
        InvalidRequest: the rule is none that is taken.
    """
    try:
        return Repeated(parse_rule(rule), ZoneInfo(time_zone), start)
    except BadRule as error:
        raise refused("rule", str(error)) from None


def first_of(planned: Planned, *, now: datetime, settings: Settings) -> Next:
    """The first occurrence to come.

    Raises:
        InvalidRequest: there is none, or none soon enough.
    """
    field = "at" if planned.rule is None else "rule"
    found = planned.plan.first(now)
    if found is None:
        raise refused(field, "must have a time that is still to come, and that can be found")
    if found.at > now + timedelta(days=settings.schedule_horizon_d):
        raise refused(field, f"must come within {settings.schedule_horizon_d} days")
    return found


def refused(field: str, problem: str) -> InvalidRequest:
    """The error for a field."""
    return InvalidRequest(f"The {field} {problem}.", details=[Detail(field, problem)])


def _in_range(field: str, moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise refused(field, "must be a time that a clock can show")
    return moment
