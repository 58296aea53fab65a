"""A cursor is what a list answered, or it is refused; a list read by cursor is whole."""

import base64
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.answers import error_of
from tests.factories import Person

from taskchat.errors import InvalidRequest
from taskchat.http.pages import LIMIT_MAX, decode_cursor, encode_cursor


def cursor_of(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.integers(0, 2**31 - 1), st.text(max_size=20))
def test_a_cursor_comes_back_as_it_went_out(number: int, word: str) -> None:
    assert decode_cursor(encode_cursor(number, word), int, str, field="after") == [number, word]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "=",
        "zebra",
        "\x00",
        "é",
        "W" * 257,
        "W10",
        base64.urlsafe_b64encode(b"\xff\xfe[").decode(),
        base64.urlsafe_b64encode(b"[" * 180).decode(),
        *map(
            cursor_of,
            [
                None,
                1,
                "1",
                [],
                [1, 2],
                ["1"],
                [1.0],
                [True],
                [None],
                [-1],
                [2**31],
                {"1": 1},
                [[1]],
            ],
        ),
    ],
)
def test_what_no_list_ever_answered_is_refused_without_an_echo(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        decode_cursor(cursor, int, field="after")
    assert [detail.field for detail in refusal.value.details] == ["after"]
    assert len(cursor) < 3 or cursor not in refusal.value.message


@given(st.text(max_size=300))
def test_any_text_is_a_cursor_or_refused(cursor: str) -> None:
    try:
        [number] = decode_cursor(cursor, int, field="after")
    except InvalidRequest:
        return
    assert isinstance(number, int)
    assert 0 <= number < 2**31


async def test_a_list_read_page_by_page_is_the_whole_list_in_order(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    path = f"/api/{person.user_id}/tasks"
    for number in range(1, 8):
        made = await client.post(path, json={"title": f"no {number}"}, headers=person.headers)
        assert made.status_code == 201
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(4):
        query = {"limit": "2"} | ({"after": cursor} if cursor else {})
        page = (await client.get(path, params=query, headers=person.headers)).json()
        seen += [task["id"] for task in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert cursor is None


async def test_a_page_has_a_largest_size(client: httpx.AsyncClient) -> None:
    person = Person()
    for path in ("tasks", "conversations"):
        url = f"/api/{person.user_id}/{path}"
        full = await client.get(url, params={"limit": LIMIT_MAX}, headers=person.headers)
        assert full.status_code == 200
        over = await client.get(url, params={"limit": LIMIT_MAX + 1}, headers=person.headers)
        assert error_of(over, 400)["details"][0]["field"] == "limit"


async def test_a_cursor_of_another_list_is_refused(client: httpx.AsyncClient) -> None:
    person = Person()
    await person.say(client, "hello")
    for path, cursor in (
        (
            "tasks",
            encode_cursor("2026-01-01T00:00:00+00:00", "0199f3a0-0000-7000-8000-000000000000"),
        ),
        ("conversations", encode_cursor(1)),
        ("conversations", encode_cursor("yesterday", "0199f3a0-0000-7000-8000-000000000000")),
        ("conversations", encode_cursor("0001-01-01T00:00:00+14:00", "x")),
    ):
        answer = await client.get(
            f"/api/{person.user_id}/{path}", params={"after": cursor}, headers=person.headers
        )
        assert error_of(answer, 400)["details"][0]["field"] == "after"
