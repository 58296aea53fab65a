"""Verified identity. A principal exists only if the signature, the times and the subject are valid.

Whatever a token holds, `TokenVerifier.verify` answers with a principal or with InvalidAuth. Tokens
of built-in accounts and those of others have keys, issuers and user ids apart, so that neither can
stand for the other.
"""

import base64
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.exceptions import InvalidSubjectError

from taskchat.auth.jwks import JwksCache
from taskchat.auth.keys import KEY_PREFIX, KeyRing, Signer
from taskchat.errors import InvalidAuth
from taskchat.moments import new_id, utc_now
from taskchat.principal import Principal, is_account
from taskchat.settings import Settings
from taskchat.texts import unique_names, uuid_of

SYMMETRIC = ("HS256",)
"""What the shared secret verifies. Never in one list with ASYMMETRIC: a public key would then pass
for a secret."""

ASYMMETRIC = ("EdDSA", "ES256", "RS256")
"""What published keys verify: what Better Auth and Supabase sign with."""

OURS = ("EdDSA",)
"""What the keys of built-in accounts sign with."""

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - its kind
"""As RFC 9068 calls an access token."""

LEEWAY_S = 5
"""By how much the issuer's clock and ours may differ; NTP keeps within a second."""

TOKEN_BYTES_MAX = 8192
"""Half of what all headers may hold; real tokens are below 2 KiB."""

KEY_ID_CHARS_MAX = 255
"""Published key ids are thumbprints or UUIDs; anything longer is no key id."""

USER_ID_CHARS_MAX = 255
"""The width of every column that holds an owner."""

NESTING_MAX = 32
"""Levels of JSON in a token. The parser's own limit depends on the Python and on the stack."""

LATEST_MOMENT = 253_402_300_799
"""The last second of the year 9999: no date is later. Milliseconds, a common mistake, are."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_SENTENCES: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "The token has expired; get a new one.",
    jwt.ImmatureSignatureError: "The token is from the future; compare the issuer's clock with "
    "this server's, then get a new one.",
    jwt.InvalidAlgorithmError: "The token is signed in a way that is not accepted here; get one "
    "from this service's identity provider.",
    jwt.InvalidAudienceError: "The token is meant for another service; get one for this one.",
    jwt.InvalidIssuerError: "The token is from another issuer; get one from this service's "
    "identity provider.",
    InvalidSubjectError: "The token's “sub” is no user id: that is 1 to 255 characters, none "
    "of them “/” or a control character.",
    jwt.MissingRequiredClaimError: "The token lacks a claim: it needs “exp” and “sub”, and “iss” "
    "and “aud” where this service checks them.",
}
_NOT_VALID = "The token is not valid; get a new one from this service's identity provider."

# Everything that the libraries below are known to raise for a token made to hurt them.
_HOSTILE = (
    jwt.PyJWTError,
    UnsupportedAlgorithm,
    ArithmeticError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token proves.

    Attributes:
        principal: Who the bearer is.
        expires_at: When it expires, in seconds since 1970.
        session: The session of a built-in account that it was given to; None if it is another's.
    """

    principal: Principal
    expires_at: float
    session: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Trusted:
    """What a token is held to, once its header has picked a key.

    Attributes:
        key: The key.
        algorithms: Those of the one family that it belongs to.
        issuer: Whose tokens it signs; None means anybody's.
        audience: Whom they are for; None means anybody.
        ours: Whether it signs for built-in accounts.
    """

    key: str | jwt.PyJWK
    algorithms: Sequence[str]
    issuer: str | None
    audience: str | None
    ours: bool = False


class TokenVerifier:
    """Turns a token into a principal, by the shared secret or by published keys.

    Args:
        settings: The secret, the address of the keys, and what else tokens must say.
        keys: The keys of built-in accounts; None if there are none.
    """

    def __init__(self, settings: Settings, keys: KeyRing | None = None) -> None:
        secret, address = settings.jwt_secret, settings.jwt_jwks_url
        self._secret = secret.get_secret_value() if secret else None
        self._jwks = JwksCache(address) if address else None
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._keys = keys
        self._own_issuer = settings.accounts_issuer
        self._own_audience = settings.accounts_audience

    async def verify(self, token: str) -> VerifiedToken:
        """The caller that a token proves, and for how long.

        Args:
            token: What followed “Bearer ”, untouched.

        Raises:
            InvalidAuth: for anything but a good token; nothing else is ever raised.

        Source: RFC 7519 and RFC 8725.
        """
        try:
            trusted = await self._trusted(_header(token))
            claims = _strict_jwt.decode(
                token,
                trusted.key,
                algorithms=trusted.algorithms,
                issuer=trusted.issuer,
                audience=trusted.audience,
                leeway=LEEWAY_S,
                # PyJWT refuses any audience if none is configured; many providers always set it.
                options={"require": ["exp", "sub"], "verify_aud": trusted.audience is not None},
            )
            session = _session(claims) if trusted.ours else None
            # An identity provider that gives out such a subject must not reach an account.
            if is_account(claims["sub"]) != trusted.ours:
                raise InvalidAuth("The token's “sub” is one that another issuer gives out.")
        except _HOSTILE as error:
            # Without a cause: the library's errors quote what the caller sent.
            raise InvalidAuth(_SENTENCES.get(type(error), _NOT_VALID)) from None
        principal = Principal(user_id=claims["sub"])
        return VerifiedToken(principal, float(claims["exp"]) + LEEWAY_S, session)

    async def close(self) -> None:
        """Close the connections to the identity provider."""
        if self._jwks is not None:
            await self._jwks.close()

    async def _trusted(self, header: dict[str, Any]) -> _Trusted:
        """The key that a header picks, and what is held to it."""
        algorithm, key_id = header.get("alg"), header.get("kid")
        if self._keys is not None and key_id is not None and key_id.startswith(KEY_PREFIX):
            key = await self._keys.key(key_id)
            return _Trusted(key, OURS, self._own_issuer, self._own_audience, ours=True)
        if algorithm in SYMMETRIC and self._secret is not None:
            return _Trusted(self._secret, SYMMETRIC, self._issuer, self._audience)
        if algorithm in ASYMMETRIC and self._jwks is not None:
            key = await self._jwks.key(algorithm, key_id)
            return _Trusted(key, ASYMMETRIC, self._issuer, self._audience)
        raise jwt.InvalidAlgorithmError


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
    if not _is_user_id(user_id):
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
    return _strict_jwt.encode(present, secret, algorithm="HS256")


def issue_access_token(
    signer: Signer, user_id: str, session: UUID, *, ttl_s: int, issuer: str, audience: str
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
    return _strict_jwt.encode(claims, signer.private_key, algorithm="EdDSA", headers=headers)


def _session(claims: dict[str, Any]) -> UUID:
    """The session that one of our own tokens names."""
    named = claims.get("sid")
    session = uuid_of(named) if isinstance(named, str) else None
    if session is None:
        raise jwt.MissingRequiredClaimError("sid")
    return session


class _StrictJWT(jwt.PyJWT):
    """PyJWT, with a payload that can be read in one way only."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        """Runs after the signature held and before PyJWT looks at any claim."""
        claims = _strict_object(decoded["payload"])
        for name in ("exp", "iat", "nbf"):
            if name in claims and not _is_moment(claims[name]):
                raise jwt.DecodeError
        if "sub" in claims and not _is_user_id(claims["sub"]):
            raise InvalidSubjectError
        return claims


_strict_jwt = _StrictJWT({"enforce_minimum_key_length": True})


def _header(token: str) -> dict[str, Any]:
    """The token's header, which is trusted for nothing but to pick one of our keys."""
    if len(token) > TOKEN_BYTES_MAX or not _COMPACT.fullmatch(token):
        raise jwt.DecodeError
    segment = token.partition(".")[0]
    header = _strict_object(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    # We know no critical extension, and a key that the token brings along proves nothing.
    if header.keys() & {"crit", "b64", "jku", "jwk", "x5u", "x5c"}:
        raise jwt.DecodeError
    key_id = header.get("kid")
    if "kid" in header and not (isinstance(key_id, str) and len(key_id) <= KEY_ID_CHARS_MAX):
        raise jwt.DecodeError
    return header


def _strict_object(data: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 without duplicate names, NaN, Infinity or deep nesting."""
    value = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=unique_names,
        parse_constant=_refuse_constant,
    )
    if not isinstance(value, dict) or _is_deeper_than(NESTING_MAX, value):
        raise jwt.DecodeError
    return value


def _refuse_constant(name: str) -> None:
    raise jwt.DecodeError


def _is_deeper_than(levels: int, value: object) -> bool:
    """Level by level, not by recursion: recursion is what a deep value is made to exhaust."""
    level = [value]
    for _ in range(levels):
        lists = [item for item in level if isinstance(item, list)]
        lists += [list(item.values()) for item in level if isinstance(item, dict)]
        level = [child for children in lists for child in children]
    return bool(level)


def _is_moment(value: object) -> bool:
    """Whether it is a JSON number of seconds that a date can hold."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= LATEST_MOMENT
    )


def _is_user_id(value: object) -> bool:
    """Whether it fits into one path segment and one column."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= USER_ID_CHARS_MAX
        and "/" not in value
        and not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)
    )
