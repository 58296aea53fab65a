"""Which keys of a published set verify anything, and which of them a token gets."""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from structlog.testing import capture_logs

from taskchat.auth.jwks import JwksCache
from taskchat.errors import InvalidAuth

if TYPE_CHECKING:
    from tests.auth.conftest import Provider


@pytest.fixture
async def cache(provider: "Provider") -> AsyncIterator[JwksCache]:
    cache = JwksCache(provider.url)
    yield cache
    await cache.close()


async def refusal(cache: JwksCache, algorithm: str, key_id: str | None) -> str:
    with pytest.raises(InvalidAuth) as refused:
        await cache.key(algorithm, key_id)
    return refused.value.message


async def test_a_token_without_a_key_id_needs_a_set_with_one_fitting_key(
    provider: "Provider", cache: JwksCache
) -> None:
    anonymous = provider.public("EdDSA")
    del anonymous["kid"]
    provider.publish(anonymous, provider.public("ES256"))
    assert (await cache.key("EdDSA", None)).algorithm_name == "EdDSA"
    assert "names no key" in await refusal(cache, "EdDSA", "EdDSA")


async def test_two_fitting_keys_are_not_guessed_between(
    provider: "Provider", cache: JwksCache
) -> None:
    provider.publish(provider.public("EdDSA", kid="old"), provider.public("EdDSA", kid="new"))
    assert "names no key" in await refusal(cache, "EdDSA", None)
    assert (await cache.key("EdDSA", "new")).key_id == "new"


def spoiled_keys(provider: "Provider") -> list[object]:
    """Keys that must not verify anything, under ids that would make them found."""
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    ed, rs, es = (provider.public(name, kid="bad") for name in ("EdDSA", "RS256", "ES256"))
    private = json.loads(RSAAlgorithm.to_jwk(provider.keys["RS256"]))  # type: ignore[arg-type]
    return [
        *(None, 7, "key", [], {}, {"kty": ["OKP"]}, {"kid": "bad"}),
        *({**ed, "use": "enc"}, {**ed, "use": ["sig"]}, {**ed, "key_ops": ["encrypt"]}),
        *({**ed, "kty": "ODD"}, {**ed, "kty": ["OKP"]}, {**ed, "crv": "Ed448"}),
        *({**ed, "alg": "ES256"}, {**ed, "alg": ["EdDSA"]}, {**rs, "alg": "RS512"}),
        *({**ed, "x": "AA"}, {**ed, "x": 7}, {**ed, "x": "é"}, {**ed, "x": None}),
        *({**es, "y": es["x"]}, {**es, "crv": "P-384"}, {"kty": "RSA", "kid": "bad"}),
        *(
            {**ed, "kid": 7},
            {**ed, "kid": ["bad"]},
            {**ed, "d": ed["x"]},
            {**private, "kid": "bad"},
        ),
        {**rs, "e": "AA"},
        {**RSAAlgorithm.to_jwk(short.public_key(), as_dict=True), "kid": "bad"},
        {"kty": "oct", "k": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE", "kid": "bad"},
    ]


async def test_a_bad_key_is_skipped_and_never_hides_a_good_one(
    provider: "Provider", cache: JwksCache
) -> None:
    spoiled = spoiled_keys(provider)
    provider.publish(*spoiled, provider.public("EdDSA"), provider.public("RS256", use="sig"))
    with capture_logs() as logs:
        assert (await cache.key("EdDSA", None)).key_id == "EdDSA"
    counted = {"event": "jwks.fetched", "log_level": "info", "keys": 2, "skipped": len(spoiled)}
    assert logs == [counted]
    assert (await cache.key("RS256", None)).key_id == "RS256"
    for algorithm in ("EdDSA", "ES256", "RS256", "HS256"):
        await refusal(cache, algorithm, "bad")
