"""What people send to the routes of accounts who mean harm, or whose client is broken."""

import json
import unicodedata
from typing import Any

import httpx
import pytest
from tests.accounts.people import PASSWORD, an_email, post, registered
from tests.answers import MARK, error_of
from tests.test_hostile_inputs import NOT_THE_CONTRACT

JSON = {"Content-Type": "application/json"}
ENTRANCE = ("register", "login", "refresh")


@pytest.mark.parametrize("path", ENTRANCE)
async def test_a_body_that_is_not_the_contract_gets_400(
    client: httpx.AsyncClient, path: str
) -> None:
    for raw in NOT_THE_CONTRACT.values():
        answer = await client.post(f"/api/auth/{path}", content=raw, headers=JSON)
        assert error_of(answer, 400, "xxxx", "7777")["details"]


@pytest.mark.parametrize("field", ["email", "password"])
@pytest.mark.parametrize("value", [7, True, None, [MARK], {MARK: MARK}, 1.5])
async def test_what_is_no_text_gets_400_and_is_not_repeated(
    client: httpx.AsyncClient, field: str, value: Any
) -> None:
    body = {"email": an_email(), "password": PASSWORD} | {field: value}
    for path in ("register", "login"):
        answer = await client.post(f"/api/auth/{path}", json=body)
        details = error_of(answer, 400)["details"]
        assert [detail["field"] for detail in details] == [field]


@pytest.mark.parametrize(
    "raw",
    [
        rb'{"email": "a@b.org", "password": "zebra-7c1f \ud800"}',
        rb'{"email": "\ud800@b.org", "password": "zebra-7c1f"}',
        b'{"email": "a@b.org", "password": "zebra-7c1f", "password": "zebra-7c1f"}',
        b'{"email": "a@b.org", "password": "zebra-7c1f", "user_id": "zebra-7c1f"}',
        b'{"email": "a@b.org", "password": "zebra-7c1f\xff"}',
        b'{"email": "a@b.org", "password": ' + b"[" * 5000,
        b'{"email": "a@b.org", "password": ' + b"7" * 5000 + b"}",
    ],
)
async def test_a_strange_body_gets_400_and_no_password_comes_back(
    client: httpx.AsyncClient, raw: bytes
) -> None:
    for path in ("register", "login"):
        answer = await client.post(f"/api/auth/{path}", content=raw, headers=JSON)
        error_of(answer, 400, "7777")


async def test_a_body_of_another_type_or_too_large_is_refused(client: httpx.AsyncClient) -> None:
    raw = json.dumps({"email": an_email(), "password": PASSWORD}).encode()
    for path in ENTRANCE:
        answer = await client.post(f"/api/auth/{path}", content=raw)
        error_of(answer, 415)
        answer = await client.post(f"/api/auth/{path}", content=raw.ljust(70_000), headers=JSON)
        error_of(answer, 413)
        answer = await client.post(
            f"/api/auth/{path}", content=raw, headers=JSON | {"Accept": "text/html"}
        )
        error_of(answer, 406)


@pytest.mark.parametrize(
    "session", ["x", "%00", "%ff", "..%2f", "0199f3a0-0000-7000-8000-00000000000", "me"]
)
async def test_a_session_id_in_any_other_form_gets_404(
    client: httpx.AsyncClient, session: str
) -> None:
    ann = await registered(client)
    assert error_of(await ann.ask("DELETE", f"sessions/{session}"), 404)


async def test_a_device_may_call_itself_anything(client: httpx.AsyncClient) -> None:
    for name in ("x" * 5000, "\xe9\xff", "<script>", " "):
        answer = await client.post(
            "/api/auth/register",
            json={"email": an_email(), "password": PASSWORD},
            headers=[(b"User-Agent", name.encode("latin-1"))],
        )
        assert answer.status_code == 201, answer.text
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        [session] = (await client.get("/api/auth/sessions", headers=headers)).json()["data"]
        assert session["user_agent"] == name.strip()[:255]


@pytest.mark.parametrize("field", ["email", "password", "current_password", "new_password"])
async def test_no_form_of_unicode_is_made_of_a_long_text(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    ann = await registered(client)
    lengths, made = [], unicodedata.normalize

    def normalize(form: Any, value: str) -> str:
        lengths.append(len(value))
        return made(form, value)

    monkeypatch.setattr(unicodedata, "normalize", normalize)
    long = "ann" + "\u0301" * 10_000 + "\u0316" * 10_000 + "@example.org"
    if "_" in field:
        body = {"current_password": PASSWORD, "new_password": PASSWORD} | {field: long}
        answers = [await ann.ask("POST", "password", body)]
    else:
        body = {"email": an_email(), "password": PASSWORD} | {field: long}
        answers = [await post(client, path, body) for path in ("register", "login")]
    for answer in answers:
        assert [detail["field"] for detail in error_of(answer, 400)["details"]] == [field]
    # Each takes as long as the square of the length; nobody is served meanwhile.
    assert max(lengths, default=0) <= 1024
