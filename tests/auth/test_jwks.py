"""The cache of published keys, against a provider on a real socket that counts its fetches."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import jwt
import pytest
from structlog.testing import capture_logs

from taskchat.auth import jwks
from taskchat.auth.jwks import FETCH_INTERVAL_S, KEYS_FRESH_S, KEYS_IDLE_S, JwksCache
from taskchat.errors import InvalidAuth

if TYPE_CHECKING:
    from tests.auth.conftest import Provider


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(provider: "Provider", clock: Clock) -> AsyncIterator[JwksCache]:
    cache = JwksCache(provider.url, clock=clock)
    yield cache
    await cache.close()


async def refusal(cache: JwksCache, algorithm: str, key_id: str | None) -> str:
    with pytest.raises(InvalidAuth) as refused:
        await cache.key(algorithm, key_id)
    return refused.value.message


async def failure(cache: JwksCache) -> str:
    """Why a first fetch failed, as the log has it."""
    with capture_logs() as logs:
        async with asyncio.timeout(60):
            assert "cannot be reached" in await refusal(cache, "EdDSA", "EdDSA")
    assert [line["event"] for line in logs] == ["jwks.fetch_failed"]
    return str(logs[0]["error"])


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
async def test_a_key_is_found_by_its_id_and_algorithm(
    provider: "Provider", cache: JwksCache, algorithm: str
) -> None:
    provider.publish(*(provider.public(name, kid="shared") for name in provider.keys))
    key = await cache.key(algorithm, "shared")
    assert isinstance(key, jwt.PyJWK)
    assert key.algorithm_name == algorithm
    assert "names no key" in await refusal(cache, "HS256", "shared")


async def test_keys_are_fetched_once_for_any_number_of_callers(
    provider: "Provider", cache: JwksCache
) -> None:
    provider.publish(provider.public("EdDSA"))
    provider.gate.clear()
    callers = [asyncio.create_task(cache.key("EdDSA", "EdDSA")) for _ in range(20)]
    await provider.asked.wait()
    provider.gate.set()
    assert len(set(await asyncio.gather(*callers))) == 1
    await cache.key("EdDSA", "EdDSA")
    assert provider.fetches == 1


async def test_a_caller_that_hangs_up_does_not_end_the_fetch_of_the_others(
    provider: "Provider", cache: JwksCache
) -> None:
    provider.publish(provider.public("EdDSA"))
    provider.gate.clear()
    first = asyncio.create_task(cache.key("EdDSA", "EdDSA"))
    second = asyncio.create_task(cache.key("EdDSA", "EdDSA"))
    await provider.asked.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    provider.gate.set()
    assert (await second).key_id == "EdDSA"
    assert provider.fetches == 1


async def test_unknown_key_ids_cost_one_fetch_in_thirty_seconds(
    provider: "Provider", cache: JwksCache, clock: Clock
) -> None:
    provider.publish(provider.public("EdDSA"))
    await cache.key("EdDSA", "EdDSA")
    clock.now_s += FETCH_INTERVAL_S
    for _ in range(3):
        assert "names no key" in await refusal(cache, "EdDSA", "forged")
    assert provider.fetches == 2
    clock.now_s += FETCH_INTERVAL_S - 0.1
    await asyncio.gather(*(refusal(cache, "EdDSA", f"forged {number}") for number in range(9)))
    assert provider.fetches == 2
    clock.now_s += 0.1
    await asyncio.gather(*(refusal(cache, "EdDSA", f"forged {number}") for number in range(9)))
    assert provider.fetches == 3


async def test_a_new_key_is_found_after_a_rotation(
    provider: "Provider", cache: JwksCache, clock: Clock
) -> None:
    provider.publish(provider.public("EdDSA"))
    await cache.key("EdDSA", "EdDSA")
    provider.publish(provider.public("ES256"))
    clock.now_s += FETCH_INTERVAL_S
    assert (await cache.key("ES256", "ES256")).key_id == "ES256"
    await refusal(cache, "EdDSA", "EdDSA")


async def test_failed_fetches_too_are_thirty_seconds_apart(
    provider: "Provider", cache: JwksCache, clock: Clock
) -> None:
    provider.status = "503 Service Unavailable"
    with capture_logs() as logs:
        for _ in range(3):
            assert "cannot be reached" in await refusal(cache, "EdDSA", "EdDSA")
    assert provider.fetches == 1
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("jwks.fetch_failed", "status 503")
    ]
    provider.status = "200 OK"
    provider.publish(provider.public("EdDSA"))
    clock.now_s += FETCH_INTERVAL_S
    assert (await cache.key("EdDSA", "EdDSA")).key_id == "EdDSA"


async def test_older_keys_serve_while_newer_ones_are_fetched_behind_them(
    provider: "Provider", cache: JwksCache, clock: Clock
) -> None:
    provider.publish(provider.public("EdDSA"))
    await cache.key("EdDSA", "EdDSA")
    provider.publish(provider.public("ES256"))
    provider.asked.clear()
    provider.gate.clear()
    clock.now_s += KEYS_FRESH_S + 1
    assert (await cache.key("EdDSA", "EdDSA")).key_id == "EdDSA"
    await provider.asked.wait()
    provider.gate.set()
    # It joins the fetch that is under way.
    assert (await cache.key("ES256", "ES256")).key_id == "ES256"
    assert provider.fetches == 2


async def test_a_revoked_key_does_not_outlive_an_idle_hour(
    provider: "Provider", cache: JwksCache, clock: Clock
) -> None:
    provider.publish(provider.public("EdDSA"))
    await cache.key("EdDSA", "EdDSA")
    provider.publish()
    clock.now_s += KEYS_IDLE_S + 1
    assert "names no key" in await refusal(cache, "EdDSA", "EdDSA")
    assert provider.fetches == 2


@pytest.mark.parametrize("age_s", [KEYS_FRESH_S + 1, KEYS_IDLE_S + 1])
async def test_keys_outlive_an_outage_of_their_provider(
    provider: "Provider", cache: JwksCache, clock: Clock, age_s: float
) -> None:
    provider.publish(provider.public("EdDSA"))
    await cache.key("EdDSA", "EdDSA")
    provider.status = "500 Internal Server Error"
    clock.now_s += age_s
    assert (await cache.key("EdDSA", "EdDSA")).key_id == "EdDSA"
    await refusal(cache, "EdDSA", "forged")
    assert (await cache.key("EdDSA", "EdDSA")).key_id == "EdDSA"
    assert provider.fetches == 2


async def test_nobody_waits_for_a_provider_that_is_known_to_be_down(
    provider: "Provider", cache: JwksCache, clock: Clock
) -> None:
    provider.publish(provider.public("EdDSA"))
    await cache.key("EdDSA", "EdDSA")
    provider.status = "500 Internal Server Error"
    clock.now_s += KEYS_IDLE_S + 1
    await cache.key("EdDSA", "EdDSA")
    provider.asked.clear()
    provider.gate.clear()
    clock.now_s += FETCH_INTERVAL_S
    async with asyncio.timeout(60):
        await cache.key("EdDSA", "EdDSA")
        await provider.asked.wait()


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b'{"keys": {}}', b"{}", b"\xff", b"[" * 100_000],
)
async def test_an_answer_that_is_no_key_set_counts_as_a_failure(
    provider: "Provider", cache: JwksCache, body: bytes
) -> None:
    provider.body = body
    assert await failure(cache) in {
        *("ValueError", "JSONDecodeError", "UnicodeDecodeError", "RecursionError"),
    }


async def test_a_key_set_over_the_limit_is_not_read(provider: "Provider", cache: JwksCache) -> None:
    provider.publish(provider.public("EdDSA"), "x" * jwks.KEY_SET_BYTES_MAX)
    assert await failure(cache) == "ValueError"


async def test_a_redirect_is_not_followed(provider: "Provider", cache: JwksCache) -> None:
    provider.publish(provider.public("EdDSA"))
    provider.status, provider.headers = "302 Found", f"location: {provider.url}\r\n"
    assert await failure(cache) == "ValueError"
    assert provider.fetches == 1


async def test_a_provider_that_never_answers_is_given_up(
    provider: "Provider", cache: JwksCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT_S", 0.05)
    provider.gate.clear()
    assert await failure(cache) == "TimeoutError"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:1/", "ConnectError"),
        ("file:///etc/passwd", "UnsupportedProtocol"),
        ("http://id.example:port/", "InvalidURL"),
    ],
)
async def test_an_address_that_cannot_be_fetched_is_a_refusal(url: str, error: str) -> None:
    cache = JwksCache(url)
    assert await failure(cache) == error
    await cache.close()


async def test_closing_ends_a_running_fetch_and_starts_no_other(
    provider: "Provider", cache: JwksCache, clock: Clock
) -> None:
    provider.gate.clear()
    caller = asyncio.create_task(refusal(cache, "EdDSA", "EdDSA"))
    await provider.asked.wait()
    async with asyncio.timeout(60):
        await cache.close()
    assert "cannot be reached" in await caller
    clock.now_s += FETCH_INTERVAL_S
    await refusal(cache, "EdDSA", "EdDSA")
    assert provider.fetches == 1
