"""Tokens of the shared secret. The hostile ones are signed with it: only the check can refuse."""

import base64
import hmac
import json
import time
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from taskchat.auth.strict import TOKEN_BYTES_MAX
from taskchat.auth.tokens import LEEWAY_S, TokenVerifier
from taskchat.errors import InvalidAuth
from taskchat.settings import Settings

SECRET = "a shared secret of more than 32 bytes"
PLAIN = {"alg": "HS256", "typ": "JWT"}


def verifier(**changes: Any) -> TokenVerifier:
    unset = dict.fromkeys(("jwt_jwks_url", "jwt_issuer", "jwt_audience"))
    values: dict[str, Any] = {"_env_file": None, "jwt_secret": SECRET, **unset, **changes}
    return TokenVerifier(Settings(**values))


def claims(**changes: Any) -> dict[str, Any]:
    return {"sub": "ada", "exp": int(time.time()) + 60, **changes}


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(payload: object, header: object = PLAIN, *, secret: str = SECRET) -> str:
    signing_input = f"{encoded(header)}.{encoded(payload)}"
    signature = hmac.digest(secret.encode(), signing_input.encode(), "sha256")
    return f"{signing_input}.{encoded(signature)}"


async def refusal(token: str, **changes: Any) -> str:
    """The sentence with which a token is refused, which never holds a part of the token."""
    with pytest.raises(InvalidAuth) as refused:
        await verifier(**changes).verify(token)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    sentence = refused.value.message
    assert not any(part in sentence for part in token.split(".") if len(part) > 3)
    assert "ada" not in sentence
    assert SECRET not in sentence
    return sentence


async def test_a_signed_token_proves_its_subject() -> None:
    assert (await verifier().verify(signed(claims()))).principal.user_id == "ada"


async def test_another_secret_proves_nothing() -> None:
    token = signed(claims(), secret="another secret of more than 32 bytes.")
    assert await refusal(token) == (
        "The token is not valid; get a new one from this service's identity provider."
    )


@pytest.mark.parametrize("algorithm", ["none", "nOnE", "", None, 256, ["HS256"], "HS512", "RS256"])
async def test_an_algorithm_that_is_not_configured_is_refused(algorithm: object) -> None:
    header = {**PLAIN, "alg": algorithm}
    assert "signed in a way" in await refusal(signed(claims(), header))
    unsigned = f"{encoded(header)}.{encoded(claims())}."
    await refusal(unsigned)


async def test_a_header_without_an_algorithm_is_refused() -> None:
    assert "signed in a way" in await refusal(signed(claims(), {"typ": "JWT"}))


async def test_a_token_has_three_segments_and_a_signature() -> None:
    header, payload, signature = signed(claims()).split(".")
    for token in (
        "",
        "..",
        "e30",
        header,
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f".{payload}.{signature}",
        f"{header}..{signature}",
        f"{header}.{payload}.{signature}.",
        f"{header}.{payload}.{signature}.{payload}.{signature}",
        f" {header}.{payload}.{signature}",
        f"{header}.{payload}.{signature}\n",
        f"{header}.{payload}.{signature}=",
        f"{header}.{payload}.{signature[:-1]}é",
        f"{header}.{payload}.{signature[:-1]}\ud800",
        f"{header[:-1]}.{payload}.{signature}",
    ):
        await refusal(token)


async def test_a_token_over_the_limit_is_refused_however_good_it_is() -> None:
    def padded(characters: int) -> str:
        return signed(claims(padding="x" * characters))

    room = (TOKEN_BYTES_MAX - len(padded(0))) * 3 // 4
    good = padded(room - 3)
    assert TOKEN_BYTES_MAX - 8 <= len(good) <= TOKEN_BYTES_MAX
    assert (await verifier().verify(good)).principal.user_id == "ada"
    await refusal(padded(room + 3))


async def test_an_expired_token_is_refused_and_says_so() -> None:
    token = signed(claims(exp=int(time.time()) - LEEWAY_S - 1))
    assert await refusal(token) == "The token has expired; get a new one."


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_from_the_future_is_refused(claim: str) -> None:
    soon = int(time.time())
    assert "future" in await refusal(signed(claims(**{claim: soon + LEEWAY_S + 30})))
    assert (await verifier().verify(signed(claims(**{claim: soon})))).principal.user_id == "ada"


async def test_clocks_may_differ_by_the_leeway() -> None:
    now = int(time.time())
    token = signed(claims(iat=now + LEEWAY_S, nbf=now + LEEWAY_S, exp=now - 1))
    assert (await verifier().verify(token)).principal.user_id == "ada"


@pytest.mark.parametrize("claim", ["exp", "sub"])
async def test_a_token_without_exp_or_sub_is_refused(claim: str) -> None:
    payload = claims()
    del payload[claim]
    assert "lacks a claim" in await refusal(signed(payload))


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value",
    ['"{exp}"', "true", "null", "[]", "{}", "1e30", "1e999", "NaN", "Infinity", "-1", "{exp}000"],
)
async def test_a_moment_is_a_number_that_a_date_can_hold(claim: str, value: str) -> None:
    payload = claims()
    raw = json.dumps({**payload, claim: "?"}).replace('"?"', value)
    await refusal(signed(raw.replace("{exp}", str(payload["exp"])).encode()))


async def test_a_moment_may_have_a_fraction() -> None:
    assert (
        await verifier().verify(signed(claims(exp=time.time() + 60.5)))
    ).principal.user_id == "ada"


@pytest.mark.parametrize("setting", ["issuer", "audience"])
async def test_issuer_and_audience_are_checked_where_they_are_set(setting: str) -> None:
    claim, configured = {"issuer": "iss", "audience": "aud"}[setting], {f"jwt_{setting}": "us"}
    good = await verifier(**configured).verify(signed(claims(**{claim: "us"})))
    assert good.principal.user_id == "ada"
    assert "lacks a claim" in await refusal(signed(claims()), **configured)
    for wrong in ("them", "US", "us ", 1, None, {"us": "us"}, ["us", 1], [], True):
        await refusal(signed(claims(**{claim: wrong})), **configured)


async def test_one_of_several_audiences_is_enough() -> None:
    token = signed(claims(aud=["them", "us"]))
    assert (await verifier(jwt_audience="us").verify(token)).principal.user_id == "ada"


async def test_an_audience_is_no_hindrance_where_none_is_configured() -> None:
    token = signed(claims(aud="authenticated", iss="https://id.example"))
    assert (await verifier().verify(token)).principal.user_id == "ada"


@pytest.mark.parametrize(
    "subject", [7, True, None, [], ["ada"], {}, "", "a\x00da", "a\nda", "\x7f", "\x85", "\ud800",
                "a/b", "x" * 256],
)  # fmt: skip
async def test_a_subject_that_is_no_user_id_is_refused(subject: object) -> None:
    await refusal(signed(claims(sub=subject)))


@pytest.mark.parametrize(
    "subject", ["a", "x" * 255, "auth0|7", "a b%2F", "Ünïcödé 👩‍👧", "..", "null"]
)
async def test_any_other_text_is_a_user_id(subject: str) -> None:
    assert (await verifier().verify(signed(claims(sub=subject)))).principal.user_id == subject


@pytest.mark.parametrize(
    "payload",
    [
        '{"sub": "eve", "sub": "ada", "exp": 9999999999}',
        '{"sub": "ada", "exp": 1, "exp": 9999999999}',
        '{"sub": "ada", "exp": 9999999999, "x": [{"a": 1, "\\u0061": 2}]}',
    ],
)
async def test_a_name_that_comes_twice_is_refused(payload: str) -> None:
    await refusal(signed(payload.encode()))


async def test_a_header_name_that_comes_twice_is_refused() -> None:
    await refusal(signed(claims(), b'{"alg": "none", "alg": "HS256"}'))


GOOD = b'{"alg": "HS256", "sub": "ada", "exp": 9999999999, "x": "?"}'


async def test_the_part_that_is_spoiled_below_is_good_in_both_places() -> None:
    assert (await verifier().verify(signed(GOOD, GOOD))).principal.user_id == "ada"


@pytest.mark.parametrize(
    "part",
    [b"", b"[]", b'"x"', b"null", b"{", b"{}{}", b"\xff\xfe", GOOD + b"{}", GOOD[:-1],
     b"\xef\xbb\xbf" + GOOD, GOOD.decode().encode("utf-16"), GOOD.replace(b"?", b"\xc0\xaf"),
     GOOD.replace(b"?", b"\xed\xa0\x80"), GOOD.replace(b'"?"', b"NaN"),
     GOOD.replace(b'"?"', b"9" * 5000), GOOD.replace(b'"?"', b"[" * 5000),
     GOOD.replace(b'"?"', b"[" * 2900 + b"]" * 2900)],
)  # fmt: skip
async def test_what_is_not_one_strict_json_object_is_refused(part: bytes) -> None:
    await refusal(signed(part))
    await refusal(signed(claims(), part))


@pytest.mark.parametrize("as_header", [False, True])
async def test_nesting_has_a_limit_of_ours(as_header: bool) -> None:
    def nested(levels: int) -> str:
        value = json.loads("[" * levels + "]" * levels)
        return signed(claims(), {**PLAIN, "x": value}) if as_header else signed(claims(x=value))

    assert (await verifier().verify(nested(31))).principal.user_id == "ada"
    await refusal(nested(32))


@pytest.mark.parametrize(
    "header",
    [{"crit": ["exp"]}, {"crit": ["b64"], "b64": True}, {"crit": []}, {"b64": False},
     {"jku": "https://evil.example"}, {"x5u": "https://evil.example"}, {"x5c": ["MII"]},
     {"jwk": {"kty": "oct", "k": "AA"}}, {"kid": 7}, {"kid": None}, {"kid": "x" * 256}],
)  # fmt: skip
async def test_a_header_that_asks_for_more_is_refused(header: dict[str, Any]) -> None:
    await refusal(signed(claims(), {**PLAIN, **header}))


async def test_without_a_secret_no_secret_is_tried() -> None:
    assert "signed in a way" in await refusal(signed(claims()), jwt_secret=None)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
hostile = st.dictionaries(
    st.sampled_from(["sub", "exp", "iat", "nbf", "iss", "aud", "jti", "kid", "typ", "x"]), anything
)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(payload=hostile | anything, header=hostile, raw=st.binary() | st.none())
async def test_verify_raises_invalid_auth_and_nothing_else(
    payload: object, header: dict[str, Any], raw: bytes | None
) -> None:
    whole = claims(**{"iss": "us", "aud": "us"} | payload) if isinstance(payload, dict) else payload
    for token in (signed(whole if raw is None else raw), signed(whole, {**header, **PLAIN})):
        try:
            verified = await verifier(jwt_issuer="us", jwt_audience="us").verify(token)
        except InvalidAuth:
            continue
        assert 1 <= len(verified.principal.user_id) <= 255
