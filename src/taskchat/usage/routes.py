"""Reading what models used, and what that cost."""

import datetime
import itertools
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import Detail, InvalidRequest
from taskchat.http.dependencies import CurrentDatabase
from taskchat.http.requests import AcceptsJson
from taskchat.moments import utc_now
from taskchat.postgres.database import AnyRow
from taskchat.usage import repository
from taskchat.usage.schemas import Counts, DayUsage, ModelUsage, UsageOut

DAYS_DEFAULT: Final = 30
"""Days in an answer if the first day is not given; about a billing period."""

DAYS_MAX: Final = 366
"""Days in one answer: any year fits."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""The only accepted spelling; Python would also read weeks and dates without hyphens."""

router = APIRouter(
    prefix="/api/{user_id}/usage", tags=["usage"], dependencies=[Authenticated, AcceptsJson]
)


@router.get("")
async def read_usage(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    first: Annotated[
        str | None,
        Query(
            alias="from",
            description=f"The first day, by UTC; by default {DAYS_DEFAULT - 1} days before the "
            "last.",
            json_schema_extra={"format": "date"},
        ),
    ] = None,
    last: Annotated[
        str | None,
        Query(
            alias="to",
            description=f"The last day, by UTC; by default today. At most {DAYS_MAX} days in all.",
            json_schema_extra={"format": "date"},
        ),
    ] = None,
) -> UsageOut:
    """What models used for this user and what it cost, day by day."""
    days = _days(first, last)
    async with database.transaction(principal) as connection:
        rows = await repository.days_between(connection, principal, *days)
    return UsageOut(
        data=[
            DayUsage(
                day=day,
                models=[ModelUsage(model=row.model, **_counts([row])) for row in of_day],
                **_counts(of_day),
            )
            for day, of_day in (
                (day, list(group)) for day, group in itertools.groupby(rows, lambda row: row.day)
            )
        ],
        total=Counts(**_counts(rows)),
    )


def _days(first: str | None, last: str | None) -> tuple[datetime.date, datetime.date]:
    """The first and the last day that are asked for.

    Raises:
        InvalidRequest: not a date, the wrong order, or too many days.
    """
    days = {name: _date(name, given) for name, given in (("from", first), ("to", last))}
    to = days["to"] or utc_now().date()
    since = days["from"] or datetime.date.fromordinal(max(1, to.toordinal() - DAYS_DEFAULT + 1))
    if since > to:
        raise InvalidRequest(
            "The parameter from must not be after to, which is today, by UTC, if not given.",
            details=[Detail("from", "must not be after to")],
        )
    if (to - since).days >= DAYS_MAX:
        problem = f"must lie at most {DAYS_MAX - 1} days before to"
        raise InvalidRequest(
            f"One answer has at most {DAYS_MAX} days; ask for the others apart.",
            details=[Detail("from", problem)],
        )
    return since, to


def _date(name: str, given: str | None) -> datetime.date | None:
    if given is None:
        return None
    try:
        if not _DATE.fullmatch(given):
            raise ValueError("not our spelling")
        return datetime.date.fromisoformat(given)
    except ValueError:
        raise InvalidRequest(details=[Detail(name, "must be a day such as 2026-11-21")]) from None


def _counts(rows: Sequence[AnyRow]) -> dict[str, Any]:
    """The sums of rows of `usage_days`."""
    counts: dict[str, Any] = {
        name: sum(getattr(row, name) for row in rows)
        for name in Counts.model_fields
        if name != "cost"
    }
    unknown = 0 < counts["model_calls"] == counts["unpriced_calls"]
    return {
        **counts,
        "cost": None if unknown else sum((row.cost for row in rows), Decimal(0)),
    }
