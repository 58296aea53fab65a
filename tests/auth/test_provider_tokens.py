"""Tokens of an identity provider: real keys, a real key set, and what forgers make of both."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ed25519

from taskchat.auth.issuing import issue_token
from taskchat.auth.tokens import ASYMMETRIC, SYMMETRIC, TokenVerifier
from taskchat.errors import InvalidAuth
from taskchat.settings import Settings

if TYPE_CHECKING:
    from tests.auth.conftest import Provider

SECRET = "a shared secret of more than 32 bytes"
Verifiers = Callable[..., TokenVerifier]


@pytest.fixture
async def build(provider: "Provider") -> AsyncIterator[Verifiers]:
    """Verifiers that know the provider, whose set has all three keys."""
    provider.publish(*(provider.public(algorithm) for algorithm in provider.keys))
    built: list[TokenVerifier] = []

    def build(**changes: Any) -> TokenVerifier:
        unset = dict.fromkeys(("jwt_secret", "jwt_issuer", "jwt_audience"))
        values: dict[str, Any] = {"_env_file": None, "jwt_jwks_url": provider.url, **unset}
        built.append(TokenVerifier(Settings(**{**values, **changes})))
        return built[-1]

    yield build
    for verifier in built:
        await verifier.close()


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(InvalidAuth) as refused:
        await verifier.verify(token)
    assert not any(part in refused.value.message for part in token.split(".") if len(part) > 3)
    return refused.value.message


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(secret: bytes, **header: Any) -> str:
    """A token that is signed by HS256 with what anybody can read."""
    payload = json.dumps({"sub": "ada", "exp": int(time.time()) + 60}).encode()
    head = json.dumps({"alg": "HS256", **header}).encode()
    signing_input = f"{encoded(head)}.{encoded(payload)}"
    return f"{signing_input}.{encoded(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


def test_the_two_families_share_no_algorithm() -> None:
    assert not set(SYMMETRIC) & set(ASYMMETRIC)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_a_published_key_proves_a_subject(
    provider: "Provider", build: Verifiers, algorithm: str
) -> None:
    assert (await build().verify(provider.token(algorithm))).principal.user_id == "ada"


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_a_token_without_a_key_id_is_verified_by_the_only_key_that_fits(
    provider: "Provider", build: Verifiers, algorithm: str
) -> None:
    assert (await build().verify(provider.token(algorithm, {}))).principal.user_id == "ada"


async def test_secret_and_published_keys_work_side_by_side(
    provider: "Provider", build: Verifiers
) -> None:
    both = build(jwt_secret=SECRET)
    ours = issue_token("bob", secret=SECRET, ttl_s=60, issuer=None, audience=None)
    assert (await both.verify(ours)).principal.user_id == "bob"
    assert (await both.verify(provider.token("ES256"))).principal.user_id == "ada"
    assert "signed in a way" in await refusal(build(), ours)
    only_secret = build(jwt_secret=SECRET, jwt_jwks_url=None)
    assert "signed in a way" in await refusal(only_secret, provider.token("ES256"))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("secret", [None, SECRET])
async def test_a_public_key_is_no_secret(
    provider: "Provider", build: Verifiers, algorithm: str, secret: str | None
) -> None:
    verifier, key = build(jwt_secret=secret), provider.keys[algorithm].public_key()
    pem = key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    der = key.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
    jwk = provider.public(algorithm)
    member = jwk["n" if algorithm == "RS256" else "x"]
    raw = base64.urlsafe_b64decode(member + "==")
    for known in (pem, pem.strip(), der, json.dumps(jwk).encode(), member.encode(), raw, b""):
        await refusal(verifier, forged(known))
        await refusal(verifier, forged(known, kid=algorithm))


async def test_a_key_verifies_its_own_algorithm_only(
    provider: "Provider", build: Verifiers
) -> None:
    verifier = build()
    for signs in ASYMMETRIC:
        for named in ASYMMETRIC:
            token = provider.token(signs, {"kid": named})
            if signs == named:
                assert (await verifier.verify(token)).principal.user_id == "ada"
            else:
                assert "names no key" in await refusal(verifier, token)
    assert provider.fetches == 1


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_a_signature_of_another_key_proves_nothing(
    provider: "Provider", build: Verifiers, algorithm: str
) -> None:
    verifier = build()
    head, payload, signature = provider.token(algorithm).split(".")
    other = provider.token(algorithm, sub="eve").split(".")
    for token in (
        f"{head}.{other[1]}.{signature}",
        f"{head}.{payload}.{other[2]}",
        f"{head}.{payload}.AAAA",
        f"{head}.{payload}.{encoded(bytes(64))}",
        f"{head}.{payload}.{encoded(bytes(256))}",
        f"{head}.{payload}.{signature}AAAA",
    ):
        assert "not valid" in await refusal(verifier, token)


async def test_hostile_key_ids_cost_one_fetch_together(
    provider: "Provider", build: Verifiers
) -> None:
    verifier = build()
    for key_id in (
        *("unknown", "", "../../../../dev/null", "/etc/passwd", "' OR '1'='1", "x" * 255, "\x00"),
        *("x" * 1024, provider.url, "EdDSA ", "eddsa"),
    ):
        await refusal(verifier, provider.token("EdDSA", {"kid": key_id}))
    assert provider.fetches == 1


async def test_a_key_that_the_token_brings_along_is_never_used_or_fetched(
    provider: "Provider", build: Verifiers
) -> None:
    verifier = build()
    provider.keys = {**provider.keys, "EdDSA": ed25519.Ed25519PrivateKey.generate()}
    brought = provider.public("EdDSA", kid="forger")
    provider.publish(brought)
    for header in (
        {"jwk": brought},
        {"jku": provider.url},
        {"x5u": provider.url},
        {"x5c": ["MIIB"]},
        {"kid": "forger", "jwk": brought},
        {"kid": provider.url, "jku": provider.url},
    ):
        await refusal(verifier, provider.token("EdDSA", header))
    assert provider.fetches == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("kid", 7), ("kid", None), ("kid", ["EdDSA"]), ("kid", True), ("kid", "x" * 256)),
        *(("jwk", {}), ("jku", "https://id.example"), ("x5u", "https://id.example"), ("x5c", [])),
        *(("crit", ["exp"]), ("crit", ["b64"]), ("crit", []), ("b64", True), ("b64", False)),
    ],
)
async def test_even_a_good_signature_does_not_excuse_such_a_header(
    provider: "Provider", build: Verifiers, name: str, value: object
) -> None:
    key = provider.keys["EdDSA"]
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    payload = provider.token("EdDSA").split(".")[1]
    head = encoded(json.dumps({"alg": "EdDSA", "kid": "EdDSA", name: value}).encode())
    signature = encoded(key.sign(f"{head}.{payload}".encode()))
    await refusal(build(), f"{head}.{payload}.{signature}")


async def test_the_claims_of_a_provider_are_checked_like_ours(
    provider: "Provider", build: Verifiers
) -> None:
    verifier = build(jwt_issuer="https://id.example", jwt_audience="tasks")
    good: dict[str, Any] = {"iss": "https://id.example", "aud": ["tasks", "mail"]}
    assert (await verifier.verify(provider.token("RS256", **good))).principal.user_id == "ada"
    for change in ({"iss": "https://evil.example"}, {"aud": "mail"}, {"exp": 1}, {"sub": "a/b"}):
        await refusal(verifier, provider.token("RS256", **good | change))


async def test_an_unreachable_provider_is_named_as_the_reason(
    provider: "Provider", build: Verifiers
) -> None:
    provider.status = "503 Service Unavailable"
    assert "identity provider cannot be reached" in await refusal(build(), provider.token("EdDSA"))
