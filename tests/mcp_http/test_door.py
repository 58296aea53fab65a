"""Who gets in at `/mcp`, with what, and how often; and what everybody else is told."""

import json
from typing import Any

import httpx
import pytest
from tests.answers import MARK, error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.mcp_http.clients import call, message, post
from tests.test_hostile_inputs import NOT_THE_CONTRACT

from taskchat.auth.issuing import issue_token

WELL_KNOWN = "/.well-known/oauth-protected-resource"

NO_JSON = {
    name: raw
    for name, raw in NOT_THE_CONTRACT.items()
    if name
    in {
        "empty",
        "truncated",
        "trailing junk",
        "comments",
        "NaN",
        "Infinity alone",
        "1e999",
        "a lone surrogate in the message",
        "bytes FF FE",
        "an overlong NUL",
        "an escaped NUL",
        "a lone surrogate as a key",
        "a raw NUL",
        "UTF-16",
        "a byte order mark",
        "5,000 arrays deep",
        "5,000 objects deep in the message",
        "a key twice",
    }
}

NO_MESSAGE = {
    "an array": [message("tools/list")],
    "a string": MARK,
    "no method": {"jsonrpc": "2.0", "id": 1},
    "another version": {"jsonrpc": "1.0", "id": 1, "method": "tools/list"},
    "an id that is an object": {"jsonrpc": "2.0", "id": {"a": MARK}, "method": "tools/list"},
    "an answer": {"jsonrpc": "2.0", "id": 1, "result": {}},
}


def rpc_error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The house's error in a JSON-RPC error, which echoes nothing."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["jsonrpc"] == "2.0"
    assert set(body) == {"jsonrpc", "id", "error"}
    assert MARK not in answer.text
    ours: dict[str, Any] = body["error"]["data"]
    assert ours["request_id"] == answer.headers["x-request-id"]
    assert ours["error"] == body["error"]["message"]
    return ours


# --- who ---


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic dXNlcjpwYXNz", "Bearer ", "Bearer not-a-token", f"Bearer {MARK}.e30.e30"],
)
async def test_without_a_good_token_a_client_is_told_where_to_get_one(
    client: httpx.AsyncClient, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = await client.post("/mcp", json=message("tools/list"), headers=headers)
    assert error_of(answer, 401)["error_code"] == "invalid_auth"
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert ("invalid_token" in challenge) == (authorization is not None)
    told = challenge.partition('resource_metadata="')[2].rstrip('"')
    assert told == f"http://test{WELL_KNOWN}/mcp"
    assert (await client.get(told)).json()["resource"] == "http://test/mcp"


@pytest.mark.parametrize("path", [WELL_KNOWN, f"{WELL_KNOWN}/mcp"])
async def test_the_metadata_names_the_identity_provider_if_it_has_an_address(
    running_app: AppMaker, path: str
) -> None:
    for issuer, servers in (
        ("https://id.example.org/realm", ["https://id.example.org/realm"]),
        ("my-issuer", None),
        (None, None),
    ):
        async with running_app(jwt_issuer=issuer) as running:
            told = (await running.client.get(path)).json()
        assert told.get("authorization_servers") == servers
        assert told["resource"] == "http://test/mcp"
        assert told["bearer_methods_supported"] == ["header"]


@pytest.mark.parametrize("host", ['evil.example" , x="', "a b", "a/b", "a@b", ""])
async def test_a_host_that_no_client_writes_is_not_repeated(
    client: httpx.AsyncClient, host: str
) -> None:
    headers = {"Host": host}
    refused = await client.post("/mcp", json=message("tools/list"), headers=headers)
    assert refused.status_code == 401
    assert "resource_metadata" not in refused.headers["www-authenticate"]
    told = await client.get(WELL_KNOWN, headers=headers)
    assert told.json()["resource"] == "/mcp"


async def test_an_address_is_told_as_the_client_wrote_it(client: httpx.AsyncClient) -> None:
    for host in ("chat.example.org", "localhost:8000", "[::1]:8000"):
        told = await client.get(WELL_KNOWN, headers={"Host": host})
        assert told.json()["resource"] == f"http://{host}/mcp"


async def test_a_token_for_another_audience_is_refused(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(jwt_audience="taskchat-tools") as running:
        refused = await post(running.client, person, message("tools/list"))
        assert refused.status_code == 401
        secret = running.turns.settings.jwt_secret
        assert secret is not None
        token = issue_token(
            person.user_id,
            secret=secret.get_secret_value(),
            ttl_s=60,
            issuer=None,
            audience="taskchat-tools",
        )
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        taken = await running.client.post(
            "/mcp",
            json=message("tools/list"),
            headers={**headers, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"},
        )
        assert taken.status_code == 200, taken.text


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://test", 200),
        ("https://app.example.org", 200),
    ],
)
async def test_pages_of_foreign_origins_are_refused(
    running_app: AppMaker, origin: str, status: int
) -> None:
    person = Person()
    async with running_app(allowed_origins="https://app.example.org") as running:
        running.client.headers["Origin"] = origin
        answer = await post(running.client, person, message("tools/list"))
    assert answer.status_code == status
    if status == 403:
        assert error_of(answer, 403)["error_code"] == "forbidden"


# --- what ---


@pytest.mark.parametrize("raw", NO_JSON.values(), ids=NO_JSON)
async def test_what_is_no_strict_json_is_an_error_of_the_protocol(
    client: httpx.AsyncClient, raw: bytes
) -> None:
    headers = {**Person().headers, "Content-Type": "application/json"}
    answer = await client.post("/mcp", content=raw, headers=headers)
    assert rpc_error_of(answer, 400)["error_code"] == "invalid_request"
    assert answer.json()["error"]["code"] == -32700
    assert answer.json()["id"] is None


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("body", NO_MESSAGE.values(), ids=NO_MESSAGE)
async def test_json_that_is_no_message_is_refused(
    client: httpx.AsyncClient, body: Any, version: str
) -> None:
    headers = {
        **Person().headers,
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": version,
    }
    answer = await client.post("/mcp", json=body, headers=headers)
    assert rpc_error_of(answer, 400)["error_code"] == "invalid_request"
    assert answer.json()["error"]["code"] == -32600


async def test_a_body_over_the_limit_gets_413(client: httpx.AsyncClient) -> None:
    person = Person()
    long = await call(client, person, "add_task", {"title": "x" * 70_000})
    assert rpc_error_of(long, 413)["error_code"] == "payload_too_large"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json; charset=utf-16"},
    ],
)
async def test_a_body_that_is_not_plain_json_gets_415(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    raw = json.dumps(message("tools/list"))
    answer = await client.post("/mcp", content=raw, headers=Person().headers | headers)
    assert rpc_error_of(answer, 415)["error_code"] == "unsupported_media_type"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_there_are_no_sessions_to_read_or_to_end(
    client: httpx.AsyncClient, method: str
) -> None:
    answer = await client.request(method, "/mcp", headers=Person().headers)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


async def test_a_session_that_a_client_names_means_nothing(client: httpx.AsyncClient) -> None:
    client.headers["Mcp-Session-Id"] = MARK
    try:
        answer = await post(client, Person(), message("tools/list"))
    finally:
        del client.headers["Mcp-Session-Id"]
    assert answer.status_code == 200
    assert "mcp-session-id" not in answer.headers


@pytest.mark.parametrize(
    "arguments",
    [
        {"title": "\u0000"},
        {"title": "x" * 201},
        {"title": "\u200b"},
        {"title": ["a"]},
        {"title": None},
        {"title": "A", "description": "x" * 2001},
        {"title": "A", "approved": True},
        {},
    ],
)
async def test_arguments_that_do_not_fit_change_nothing(
    offline_app: RunningApp, arguments: dict[str, Any]
) -> None:
    person = Person()
    answer = await call(offline_app.client, person, "add_task", arguments)
    body = answer.json()
    if answer.status_code == 200 and not body["result"]["isError"]:
        # An argument that no tool has is dropped by the SDK; it can't be the user's yes.
        assert "approved" in arguments
    else:
        page = await offline_app.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
        assert page.json()["data"] == []


async def test_a_title_is_stored_byte_for_byte(offline_app: RunningApp) -> None:
    person = Person()
    title = "🦓 سلام e\u0301 <script> '; DROP TABLE tasks; --"
    made = await call(offline_app.client, person, "add_task", {"title": title})
    assert made.json()["result"]["structuredContent"]["title"] == title


# --- how often ---


async def test_calls_over_the_rate_are_refused_with_the_time_to_wait(
    running_app: AppMaker,
) -> None:
    person, stranger = Person(), Person()
    async with (
        running_app(rate_mcp_per_minute=2) as one,
        running_app(rate_mcp_per_minute=2) as other,
    ):
        for running in (one, other):
            done = await call(running.client, person, "add_task", {"title": "A"})
            assert done.status_code == 200
        refused = await call(one.client, person, "add_task", {"title": "B"})
        ours = rpc_error_of(refused, 429)
        assert ours["error_code"] == "rate_limited"
        assert refused.json()["id"] == 7
        assert 0 < int(refused.headers["retry-after"]) <= 30
        assert refused.headers["x-ratelimit-limit"] == "2"
        # Nothing else is counted, and nobody else.
        assert (await post(one.client, person, message("tools/list"))).status_code == 200
        assert (await call(one.client, stranger, "list_tasks", {})).status_code == 200
        tasks = await one.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
        assert len(tasks.json()["data"]) == 2
        limits = await one.client.get(f"/api/{person.user_id}/limits", headers=person.headers)
        [level] = [level for level in limits.json()["limits"] if level["scope"] == "mcp"]
        assert (level["limit"], level["remaining"]) == (2, 0)


async def test_a_refused_call_spends_nothing(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(rate_mcp_per_minute=1) as running:
        await call(running.client, person, "list_tasks", {})
        waits = [
            int((await call(running.client, person, "list_tasks", {})).headers["retry-after"])
            for _ in range(3)
        ]
    assert max(waits) <= 60


async def test_it_can_be_switched_off(running_app: AppMaker) -> None:
    async with running_app(mcp=False) as running:
        for path in ("/mcp", WELL_KNOWN):
            answer = await running.client.post(path, json={}, headers=Person().headers)
            assert answer.status_code == 404
        assert "/mcp" not in running.app.openapi()["paths"]
