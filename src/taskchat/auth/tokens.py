"""Verified identity. A principal exists only if the signature, the times and the subject are valid.

Whatever a token holds, `TokenVerifier.verify` answers with a principal or with InvalidAuth. Tokens
of built-in accounts and those of others have keys, issuers and user ids apart, so that neither can
stand for the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.exceptions import InvalidSubjectError

from taskchat.auth.jwks import JwksCache
from taskchat.auth.keys import KEY_PREFIX, KeyRing
from taskchat.auth.strict import STRICT_JWT, header_of
from taskchat.errors import InvalidAuth
from taskchat.principal import Principal, is_account
from taskchat.settings import Settings
from taskchat.texts import uuid_of

SYMMETRIC = ("HS256",)
"""What the shared secret verifies. Never in one list with ASYMMETRIC: a public key would then pass
for a secret."""

ASYMMETRIC = ("EdDSA", "ES256", "RS256")
"""What published keys verify: what Better Auth and Supabase sign with."""

OURS = ("EdDSA",)
"""What the keys of built-in accounts sign with."""

LEEWAY_S = 5
"""By how much the issuer's clock and ours may differ; NTP keeps within a second."""

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

    key: str | jwt.PyJWK = field(repr=False)
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
            trusted = await self._trusted(header_of(token))
            claims = STRICT_JWT.decode(
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


def _session(claims: dict[str, Any]) -> UUID:
    """The session that one of our own tokens names."""
    named = claims.get("sid")
    session = uuid_of(named) if isinstance(named, str) else None
    if session is None:
        raise jwt.MissingRequiredClaimError("sid")
    return session
