"""Pages of other origins may use the service where they are allowed to, and nowhere else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from tests.answers import error_of
from tests.conftest import AppMaker
from tests.factories import Person

from taskchat.http.headers import METHODS
from taskchat.settings import Settings
from taskchat.settings.origins import Origins, origin_of

PAGE = "https://app.example.org"


async def test_a_page_of_an_allowed_origin_may_ask_and_read(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(allowed_origins=f"{PAGE}/, http://localhost:3000") as running:
        asked = await running.client.options(
            person.chat_path,
            headers={
                "Origin": PAGE,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
            },
        )
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == PAGE
        answer = await person.say(
            running.client, "hello", params={"messages": "turn"}, extensions={}
        )
        assert "access-control-allow-origin" not in answer.headers
        answer = await running.client.post(
            person.chat_path,
            json={"message": "hello"},
            headers=person.headers | {"Origin": "http://localhost:3000"},
        )
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        shown = answer.headers["access-control-expose-headers"].lower()
        for header in ("retry-after", "x-ratelimit-remaining", "idempotent-replayed"):
            assert header in shown
        failed = await running.client.get("/nowhere", headers={"Origin": PAGE})
        assert (failed.status_code, failed.headers["access-control-allow-origin"]) == (404, PAGE)


@pytest.mark.parametrize("origin", ["https://evil.example.org", "null", f"{PAGE}.evil.org"])
async def test_a_page_of_another_origin_may_not(running_app: AppMaker, origin: str) -> None:
    async with running_app(allowed_origins=PAGE) as running:
        asked = await running.client.options(
            "/api/ann/chat",
            headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
        )
        assert error_of(asked, 400)["error_code"] == "invalid_request"
        assert "access-control-allow-origin" not in asked.headers


def operations() -> Iterator[dict[str, Any]]:
    contract = json.loads(Path("contracts/chat-endpoint.json").read_text())
    for path in contract["paths"].values():
        yield from path.values()


async def test_every_documented_header_and_method_passes_a_preflight_at_every_address(
    running_app: AppMaker,
) -> None:
    headers = {
        parameter["name"].swapcase()
        for operation in operations()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "header"
    } | {"authorization", "CONTENT-TYPE", "accept"}
    assert len(headers) >= 8
    async with running_app(allowed_origins=PAGE) as running:
        for address in ("/api/ann/chat", "/nowhere", "/api/%00", "/livez"):
            for method in METHODS:
                asked = await running.client.options(
                    address,
                    headers={
                        "Origin": PAGE,
                        "Access-Control-Request-Method": method,
                        "Access-Control-Request-Headers": ",".join(headers) + ", ",
                    },
                )
                assert asked.status_code == 200
                assert asked.headers["access-control-allow-origin"] == PAGE
                assert asked.headers["vary"] == "Origin"
                assert int(asked.headers["access-control-max-age"]) > 0
                assert method in asked.headers["access-control-allow-methods"]
                assert asked.headers["x-request-id"]


async def test_every_documented_header_of_an_answer_is_exposed(running_app: AppMaker) -> None:
    contract = {
        name.lower()
        for operation in operations()
        for answer in operation["responses"].values()
        for name in answer.get("headers", {})
    }
    assert "x-ratelimit-reset" in contract
    told = {"x-request-id", "retry-after", "idempotent-replayed", "www-authenticate", "allow"}
    async with running_app(allowed_origins=PAGE) as running:
        answer = await running.client.get("/livez", headers={"Origin": PAGE})
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert contract | told <= set(exposed)


@pytest.mark.parametrize(
    "refused",
    [
        {"Access-Control-Request-Method": "TRACE"},
        {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-unknown"},
    ],
)
async def test_a_page_reads_why_its_preflight_is_refused(
    running_app: AppMaker, refused: dict[str, str]
) -> None:
    async with running_app(allowed_origins=PAGE) as running:
        asked = await running.client.options("/livez", headers={"Origin": PAGE} | refused)
    error_of(asked, 400)
    assert asked.headers["access-control-allow-origin"] == PAGE
    assert "Time-Zone" in asked.headers["access-control-allow-headers"]


async def test_whatever_the_gate_answers_a_page_can_read(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(allowed_origins=PAGE) as running:

        @running.app.get("/crash")
        async def crash() -> None:
            raise RuntimeError

        ask, origin = running.client.request, {"Origin": PAGE}
        crashed = await ask("GET", "/crash", headers=origin)
        answers = [
            (431, await ask("GET", "/livez", headers=origin | {"X": "x" * 20_000})),
            (404, await ask("GET", "/api/%00/chat", headers=origin)),
            (404, await ask("GET", "/api/a%2Fb/chat", headers=origin)),
            (400, await ask("GET", "/livez?" + "x" * 20_000, headers=origin)),
            (405, await ask("DELETE", "/livez", headers=origin)),
            (401, await ask("POST", person.chat_path, headers=origin)),
            (
                413,
                await ask(
                    "POST",
                    person.chat_path,
                    content=b'"%b"' % (b"x" * 70_000),
                    headers=origin | person.headers | {"Content-Type": "application/json"},
                ),
            ),
        ]
    assert crashed.status_code == 500
    for status, answer in answers:
        error_of(answer, status)
    for answer in (crashed, *(answer for _, answer in answers)):
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


async def test_an_answer_says_that_it_depends_on_the_page(running_app: AppMaker) -> None:
    async with running_app(allowed_origins=PAGE) as running:
        for headers in ({}, {"Origin": "https://other.example"}, {"Origin": PAGE}):
            answer = await running.client.get("/livez", headers=headers)
            assert answer.headers["vary"] == "Origin"


async def test_any_origin_may_where_the_list_says_so(running_app: AppMaker) -> None:
    async with running_app(allowed_origins="*") as running:
        answer = await running.client.get("/livez", headers={"Origin": "null"})
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        ("*", "https://app.example.org"),
        ("*", "null"),
        ("https://a.example,*", "https://b.example"),
        ("HTTPS://App.Example.ORG/", "https://app.example.org"),
        ("https://app.example.org:443", "https://app.example.org"),
        ("http://app.example.org:80/", "http://app.example.org"),
        ("http://app.example.org:", "http://app.example.org"),
        ("http://localhost:03000", "http://localhost:3000"),
        (" ,, https://a.example ,\n https://b.example,", "https://b.example"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:444", "https://xn--bcher-kva.example:444"),
        ("http://[0:0::1]:3000", "http://[::1]:3000"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("null", "null"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("https://*.example.org", "https://a.example.org"),
        ("https://*.example.org", "https://a.b.example.org"),
        ("https://*.example.org:8443", "https://a.example.org:8443"),
        ("https://*.bücher.example", "https://a.xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_read_as_it_is_meant(listed: str, sent: str) -> None:
    settings = Settings(allowed_origins=listed, _env_file=None)
    assert settings.origins.allow(sent)


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        ("", "https://a.example"),
        (" , ", "https://a.example"),
        (" , ", "null"),
        ("https://a.example", "http://a.example"),
        ("https://a.example", "https://a.example:8443"),
        ("https://a.example:80", "https://a.example"),
        ("https://a.example", "https://a.example.evil.example"),
        ("https://a.example", "https://evil@a.example"),
        ("https://a.example", "https://a.example/path"),
        ("https://*.example.org", "https://example.org"),
        ("https://*.example.org", "https://evilexample.org"),
        ("https://*.example.org", "http://a.example.org"),
        ("https://*.example.org", "https://evil.example/.example.org"),
        ("https://*.example.org", "https://*.example.org"),
        ("https://*.example.org", "https://.example.org"),
        ("https://*.example.org", "https://a.example.org:444"),
        ("https://a.example", ""),
    ],
)
def test_another_origin_is_another(listed: str, sent: str) -> None:
    assert not Origins(listed).allow(sent)


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        ("https://a.example/app", "write https://a.example"),
        ("https://a.example//", "write https://a.example"),
        ("https://a.example:443/?x", "write https://a.example"),
        ("https://a.example#", "write https://a.example"),
        ("a.example", "scheme"),
        ("localhost:3000", "scheme"),
        ("//a.example", "scheme"),
        ('"https://a.example"', "scheme"),
        ('["https://a.example"]', "scheme"),
        ("https://a.example;https://b.example", "host"),
        ("wss://a.example", "http"),
        ("file:///home", "host"),
        ("https://", "host"),
        ("https://a..example", "host"),
        ("https://*", "host"),
        ("https://a*.example", "host"),
        ("https://a.*.example", "host"),
        ("*.a.example", "scheme"),
        ("http://localhost:*", "port"),
        ("http://localhost:70000", "port"),
        ("http://localhost:0", "port"),
        ("http://127.1", "IPv4"),
        ("http://0x7f000001", "IPv4"),
        ("http://[::g]", "host"),
        ("https://straße.example", "xn--"),
        ("https://a.example, b.example", "b.example"),
    ],
)
def test_what_can_never_match_is_refused_with_what_to_write(listed: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(allowed_origins=listed, _env_file=None)
    [problem] = refused.value.errors()
    assert problem["loc"] == ("allowed_origins",)
    assert sentence in problem["msg"]


def test_a_password_in_an_origin_is_not_said_again() -> None:
    with pytest.raises(ValueError, match="no password") as refused:
        origin_of("https://ann:hunter2@a.example")
    assert "hunter2" not in str(refused.value)


async def test_without_a_list_no_page_of_another_origin_may(client: httpx.AsyncClient) -> None:
    answer = await client.get("/livez", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers


async def test_the_metrics_are_there_for_prometheus(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    for name in ("websocket_closes_total", "event_streams", "limiter_failures_total"):
        assert f"taskchat_{name}" in answer.text
