"""Tokens of ours: by the shared secret, and by the keys of built-in accounts."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from taskchat.auth.strict import STRICT_JWT, is_user_id
from taskchat.moments import new_id, utc_now
from taskchat.principal import is_account

# They bring the database along, which a token of the shared secret has no use for.
if TYPE_CHECKING:
    from taskchat.auth.keys import Signer

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - its kind
"""As RFC 9068 calls an access token."""


def issue_token(
    user_id: str,
    *,
    secret: str,
    ttl_s: int,
    issuer: str | None,
    audience: str | None,
    now: datetime | None = None,
) -> str:
    """A token of ours, signed with the shared secret by HS256.

    Args:
        user_id: Becomes `sub`.
        secret: At least 32 bytes.
        ttl_s: Seconds until it expires.
        issuer: Becomes `iss`, if given.
        audience: Becomes `aud`, if given.
        now: Becomes `iat`; the current moment by default.

    Raises:
        ValueError: when no verifier would accept the user id.
        jwt.InvalidKeyError: when the secret is too short, or is a key of another kind.
    """
    if not is_user_id(user_id):
        raise ValueError("A user id has 1 to 255 characters, none of them “/” or a control one.")
    if is_account(user_id):
        raise ValueError("An account's tokens come from POST /api/auth/login alone.")
    issued_at = now or utc_now()
    claims = {
        "sub": user_id,
        "iat": issued_at,
        "exp": issued_at + timedelta(seconds=ttl_s),
        "iss": issuer,
        "aud": audience,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return STRICT_JWT.encode(present, secret, algorithm="HS256")


def issue_access_token(
    signer: "Signer", user_id: str, session: UUID, *, ttl_s: int, issuer: str, audience: str
) -> str:
    """An access token of a built-in account, signed by Ed25519.

    Args:
        signer: The key that signs now.
        user_id: Becomes `sub`.
        session: Becomes `sid`.
        ttl_s: Seconds until it expires.
        issuer: Becomes `iss`.
        audience: Becomes `aud`.
    """
    issued_at = int(utc_now().timestamp())
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": user_id,
        "sid": str(session),
        "jti": str(new_id()),
        "iat": issued_at,
        "exp": issued_at + ttl_s,
    }
    headers = {"typ": ACCESS_TOKEN_TYPE, "kid": signer.id}
    return STRICT_JWT.encode(claims, signer.private_key, algorithm="EdDSA", headers=headers)
