"""Tokens of ours, which our own verifier accepts."""

from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from taskchat.auth.issuing import issue_token
from taskchat.auth.tokens import TokenVerifier
from taskchat.settings import Settings

SECRET = "a shared secret of more than 32 bytes"


async def test_a_token_that_we_issue_is_one_that_we_accept() -> None:
    given: dict[str, Any] = {"_env_file": None, "jwt_secret": SECRET, "jwt_jwks_url": None}
    settings = Settings(**given, jwt_issuer="us", jwt_audience="tasks")
    token = issue_token("ada", secret=SECRET, ttl_s=60, issuer="us", audience="tasks")
    assert (await TokenVerifier(settings).verify(token)).principal.user_id == "ada"


def test_an_issued_token_holds_what_it_was_asked_for_and_nothing_else() -> None:
    now = datetime(2026, 2, 2, 22, tzinfo=UTC)
    token = issue_token("ada", secret=SECRET, ttl_s=60, issuer=None, audience=None, now=now)
    payload = jwt.decode(
        token, SECRET, ["HS256"], options={"verify_exp": False, "verify_iat": False}
    )
    issued_at = int(now.timestamp())
    assert payload == {"sub": "ada", "iat": issued_at, "exp": issued_at + 60}
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


@pytest.mark.parametrize("user_id", ["", "a/b", "a\x00", "\ud800", "x" * 256])
def test_no_token_is_issued_that_nobody_would_accept(user_id: str) -> None:
    with pytest.raises(ValueError, match="A user id has"):
        issue_token(user_id, secret=SECRET, ttl_s=60, issuer=None, audience=None)


def test_no_token_is_signed_with_a_short_secret() -> None:
    with pytest.raises(jwt.InvalidKeyError):
        issue_token("ada", secret="too short", ttl_s=60, issuer=None, audience=None)
