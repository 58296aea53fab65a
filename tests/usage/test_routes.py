"""Reading usage: which days, in which order, and of whom."""

import datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import error_of
from tests.factories import Person, person_in

from taskchat.moments import utc_now
from taskchat.postgres.database import Database
from taskchat.usage.schemas import plain


async def ask(client: httpx.AsyncClient, person: Person, **query: str) -> httpx.Response:
    return await client.get(f"/api/{person.user_id}/usage", params=query, headers=person.headers)


async def days(client: httpx.AsyncClient, person: Person, **query: str) -> list[str]:
    answer = await ask(client, person, **query)
    assert answer.status_code == 200, answer.text
    return [day["day"] for day in answer.json()["data"]]


async def keep(
    superuser: AsyncEngine,
    person: Person,
    day: datetime.date,
    model: str = "m",
    cost: str = "0.25",
    unpriced: int = 0,
) -> None:
    """What a turn of two calls on that day leaves behind."""
    async with superuser.begin() as connection:
        await connection.execute(
            text("INSERT INTO usage_days VALUES (:o, :day, :model, 1, 2, 30, 20, 4, :un, :cost)"),
            {
                "o": person.user_id,
                "day": day,
                "model": model,
                "un": unpriced,
                "cost": Decimal(cost),
            },
        )


async def test_who_has_used_nothing_is_told_so(client: httpx.AsyncClient) -> None:
    answer = await ask(client, Person())
    assert answer.json() == {
        "data": [],
        "total": {
            "turns": 0,
            "model_calls": 0,
            "input_tokens": 0,
            "cached_input_tokens": 0,
            "output_tokens": 0,
            "cost": "0",
            "unpriced_calls": 0,
        },
        "currency": "USD",
    }


async def test_days_come_newest_first_with_their_models_by_name_and_all_is_summed(
    client: httpx.AsyncClient, database: Database, superuser: AsyncEngine
) -> None:
    person, day = await person_in(database), datetime.date(2025, 3, 1)
    await keep(superuser, person, day, "zeta", cost="0.1")
    await keep(superuser, person, day, "alpha", cost="0.2", unpriced=1)
    await keep(superuser, person, datetime.date(2025, 2, 26), "alpha", cost="0", unpriced=2)
    body = (await ask(client, person, **{"from": "2025-02-25", "to": "2025-03-01"})).json()
    one: dict[str, Any] = {
        "turns": 1,
        "model_calls": 2,
        "input_tokens": 30,
        "cached_input_tokens": 20,
        "output_tokens": 4,
    }
    older = {**one, "cost": None, "unpriced_calls": 2}
    assert body["data"] == [
        {
            "day": "2025-03-01",
            "models": [
                {"model": "alpha", **one, "cost": "0.2", "unpriced_calls": 1},
                {"model": "zeta", **one, "cost": "0.1", "unpriced_calls": 0},
            ],
            **{name: 2 * value for name, value in one.items()},
            "cost": "0.3",
            "unpriced_calls": 1,
        },
        {"day": "2025-02-26", "models": [{"model": "alpha", **older}], **older},
    ]
    assert body["total"] == {
        **{name: 3 * value for name, value in one.items()},
        "cost": "0.3",
        "unpriced_calls": 3,
    }
    assert list(body["data"][0])[:2] == ["day", "models"]
    assert next(iter(body["data"][0]["models"][0])) == "model"


async def test_both_days_that_are_named_are_told_and_none_beyond(
    client: httpx.AsyncClient, database: Database, superuser: AsyncEngine
) -> None:
    person = await person_in(database)
    for day in range(1, 6):
        await keep(superuser, person, datetime.date(2024, 2, day))
    assert await days(client, person, **{"from": "2024-02-02", "to": "2024-02-04"}) == [
        "2024-02-04",
        "2024-02-03",
        "2024-02-02",
    ]
    assert await days(client, person, **{"from": "2024-02-05", "to": "2024-02-05"}) == [
        "2024-02-05"
    ]


async def test_without_a_first_day_thirty_are_told_and_without_a_last_one_all_up_to_today(
    client: httpx.AsyncClient, database: Database, superuser: AsyncEngine
) -> None:
    person, today = await person_in(database), utc_now().date()
    told = [str(today - datetime.timedelta(days=ago)) for ago in (0, 29, 30)]
    for day in told:
        await keep(superuser, person, datetime.date.fromisoformat(day))
    assert await days(client, person) == told[:2]
    assert await days(client, person, **{"from": told[2]}) == told
    yesterday = str(today - datetime.timedelta(days=1))
    assert await days(client, person, to=yesterday) == told[1:]


async def test_a_leap_year_fits_and_a_day_more_does_not(
    client: httpx.AsyncClient, database: Database, superuser: AsyncEngine
) -> None:
    person = await person_in(database)
    await keep(superuser, person, datetime.date(2024, 1, 1))
    whole = {"from": "2024-01-01", "to": "2024-12-31"}
    assert await days(client, person, **whole) == ["2024-01-01"]
    refused = await ask(client, person, **{**whole, "to": "2025-01-01"})
    body = error_of(refused, 400)
    assert "366 days" in body["error"]
    assert body["details"] == [{"field": "from", "problem": "must lie at most 365 days before to"}]


@pytest.mark.parametrize("edge", ["0001-01-01", "9999-12-31"])
async def test_the_first_and_the_last_day_there_are_can_be_named(
    client: httpx.AsyncClient, edge: str
) -> None:
    assert await days(client, Person(), to=edge) == []
    assert await days(client, Person(), **{"from": edge, "to": edge}) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2024-02-02", "to": "2024-02-01"}, "from"),
        ({"from": "9999-12-31"}, "from"),
        ({"from": "0001-01-01"}, "from"),
        ({"from": ""}, "from"),
        ({"to": ""}, "to"),
        ({"to": "yesterday"}, "to"),
        ({"to": "2024-2-1"}, "to"),
        ({"to": "20240201"}, "to"),
        ({"to": "2024-W05-4"}, "to"),
        ({"to": "2024-02-30"}, "to"),
        ({"to": "0000-01-01"}, "to"),
        ({"to": "10000-01-01"}, "to"),
        ({"to": "2024-02-01T00:00:00Z"}, "to"),
        ({"to": " 2024-02-01"}, "to"),
        ({"to": "2024-02-01\n"}, "to"),
        ({"to": "٢٠٢٤-٠٢-٠١"}, "to"),
        ({"from": "1706745600"}, "from"),
    ],
)
async def test_a_question_that_names_no_days_in_order_gets_400(
    client: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    body = error_of(await ask(client, Person(), **query), 400, "yesterday", "1706745600", "W05")
    assert body["error_code"] == "invalid_request"
    [detail] = body["details"]
    assert detail["field"] == field


async def test_another_users_usage_is_not_told(
    client: httpx.AsyncClient, database: Database, superuser: AsyncEngine
) -> None:
    person, stranger = await person_in(database), await person_in(database)
    await keep(superuser, person, utc_now().date())
    assert await days(client, stranger) == []
    refused = await client.get(f"/api/{person.user_id}/usage", headers=stranger.headers)
    error_of(refused, 403)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0"),
        ("0.000000", "0"),
        ("0E-12", "0"),
        ("1E+3", "1000"),
        ("100", "100"),
        ("0.0125000", "0.0125"),
        ("1E-12", "0.000000000001"),
        ("123456789012345678901234567890.1", "123456789012345678901234567890.1"),
    ],
)
def test_an_amount_is_written_in_full(amount: str, shown: str) -> None:
    assert plain(Decimal(amount)) == shown
