"""What a request brings: which forms are wanted, and bodies that arrive late or not at all."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from pydantic import BaseModel
from tests.answers import ask, error_of, raw_headers
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person

from taskchat.errors import InvalidRequest
from taskchat.http.requests import JSON, PROBLEM, parse, prefers_problem, quality

EVENTS = "text/event-stream"


@pytest.mark.parametrize(
    ("accept", "media_type", "wanted"),
    [
        ("", JSON, 1.0),
        ("*/*", JSON, 1.0),
        ("application/json", JSON, 1.0),
        ("application/json", EVENTS, 0.0),
        ("application/*;q=0.3", JSON, 0.3),
        ("application/*;q=0.3, */*;q=0.2", EVENTS, 0.2),
        ("application/json;q=0, */*", JSON, 0.0),
        ("application/json;q=0.000, */*", JSON, 0.0),
        ("application/json;q=0.001, */*;q=0", JSON, 0.001),
        ("*/*, application/json;q=0.5", JSON, 0.5),
        ("APPLICATION/JSON ; Q=0.5", JSON, 0.5),
        ("application/json; charset=utf-8; q=0.5", JSON, 0.5),
        ("text/html, image/gif, *; q=.2, */*; q=.2", JSON, 0.2),
        ("application/json;q=1.5", JSON, 1.0),
        ("application/json;q=much", JSON, 1.0),
        ("application/json;q=", JSON, 1.0),
        ("application/json;q=nan", JSON, 1.0),
        (",,;q=0,;;, application/json", JSON, 1.0),
        ("text/event-stream, application/json", EVENTS, 1.0),
        ("text/*", EVENTS, 1.0),
        ("text/html", JSON, 0.0),
        ("json", JSON, 0.0),
    ],
)
def test_the_most_specific_range_says_how_much_a_form_is_wanted(
    accept: str, media_type: str, wanted: float
) -> None:
    assert quality(accept, media_type) == wanted


@pytest.mark.parametrize(
    ("accept", "preferred"),
    [
        ("", False),
        ("*/*", False),
        ("application/*", False),
        (PROBLEM, True),
        (f"application/json, {PROBLEM}", True),
        (f"{PROBLEM.upper()}, */*;q=0.1", True),
        (f"application/json, {PROBLEM};q=0.5", False),
        (f"application/json;q=0.5, {PROBLEM}", True),
        (f"{PROBLEM};q=0", False),
        (f"{PROBLEM}+x", False),
    ],
)
def test_a_problem_is_told_by_rfc_9457_only_to_those_who_name_it(
    accept: str, preferred: bool
) -> None:
    assert prefers_problem(accept) is preferred


@pytest.mark.parametrize(
    "accept",
    [
        EVENTS,
        "text/html",
        "application/json;q=0",
        "*/*;q=0",
        "application/json;q=0, */*",
        f"{PROBLEM};q=0, text/*",
        "x",
    ],
)
async def test_a_form_that_cannot_be_given_gets_406(client: httpx.AsyncClient, accept: str) -> None:
    person = Person()
    paths = [("GET", "tasks"), ("GET", "conversations")]
    if not quality(accept, EVENTS):
        paths.append(("POST", "chat"))
    for method, path in paths:
        answer = await client.request(
            method,
            f"/api/{person.user_id}/{path}",
            headers=person.headers | {"Accept": accept},
            json={"message": "hello"},
        )
        assert error_of(answer, 406)["error_code"] == "not_acceptable"


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/*", "text/html, */*;q=0.1", f"{EVENTS}, {JSON}", PROBLEM]
)
async def test_a_success_is_json_for_everyone_who_takes_it(
    client: httpx.AsyncClient, accept: str
) -> None:
    person = Person()
    answer = await client.get(
        f"/api/{person.user_id}/tasks", headers=person.headers | {"Accept": accept}
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"


async def test_two_accept_headers_count_as_one_list(client: httpx.AsyncClient) -> None:
    person = Person()
    headers = [*person.headers.items(), ("Accept", "text/html"), ("Accept", "application/json")]
    answer = await client.get(f"/api/{person.user_id}/tasks", headers=headers)
    assert answer.status_code == 200


class Parcel(BaseModel):
    weight: int
    note: str = ""


def test_a_key_that_comes_twice_is_refused_wherever_it_stands() -> None:
    class Outer(BaseModel):
        inner: dict[str, int]

    assert parse(Outer, b'{"inner": {"a": 1, "b": 2}}').inner == {"a": 1, "b": 2}
    with pytest.raises(InvalidRequest) as refusal:
        parse(Outer, b'{"inner": {"a": 1, "a": 2}}')
    assert [detail.problem for detail in refusal.value.details] == ["has a key more than once"]


def test_every_refused_field_is_named_and_no_value_is() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse(Parcel, b'{"weight": "zebra", "note": 7}')
    assert [detail.field for detail in refusal.value.details] == ["weight", "note"]
    assert "zebra" not in repr(refusal.value.details)


async def test_a_body_that_does_not_arrive_in_time_gets_408(running_app: AppMaker) -> None:
    person = Person()

    async def stalled() -> AsyncIterator[bytes]:
        yield b'{"message": '
        await asyncio.Event().wait()

    async with running_app(body_timeout_s=0.05) as running, asyncio.timeout(60):
        answer = await ask(
            running.app,
            "POST",
            person.chat_path.encode(),
            headers=raw_headers(person.headers | {"Content-Type": "application/json"}),
            body=stalled(),
        )
    assert error_of(answer, 408)["error_code"] == "request_timeout"
    assert answer.headers["connection"] == "close"


async def test_a_client_that_leaves_within_its_body_is_no_crash_of_ours(
    offline_app: RunningApp,
) -> None:
    person = Person()

    async def broken_off() -> AsyncIterator[bytes]:
        yield b'{"message": '

    with structlog.testing.capture_logs() as logs:
        answer = await ask(
            offline_app.app,
            "POST",
            person.chat_path.encode(),
            headers=raw_headers(person.headers | {"Content-Type": "application/json"}),
            body=broken_off(),
        )
    error_of(answer, 400)
    assert logs == []
