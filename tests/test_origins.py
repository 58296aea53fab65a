"""Pages of other origins may use the service where they are allowed to, and nowhere else."""

import httpx
import pytest
from tests.answers import error_of
from tests.conftest import AppMaker
from tests.factories import Person

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


async def test_without_a_list_no_page_of_another_origin_may(client: httpx.AsyncClient) -> None:
    answer = await client.get("/livez", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers


async def test_the_metrics_are_there_for_prometheus(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    for name in ("websockets", "event_streams", "limiter_failures_total"):
        assert f"taskchat_{name}" in answer.text
