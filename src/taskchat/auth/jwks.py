"""Public keys of an identity provider. Whatever tokens arrive, at most one fetch in 30 seconds."""

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm

from taskchat.errors import InvalidAuth
from taskchat.http.outgoing import outgoing

FETCH_INTERVAL_S = 30
"""Time between two fetches, even failed ones: forged key ids must not become upstream traffic."""

KEYS_FRESH_S = 600
"""Older keys are refreshed in the background, while requests go on; providers announce a new key
hours before they sign with it."""

KEYS_IDLE_S = 3600
"""Keys that nobody fetched or tried to fetch for so long are fetched before they are used: an idle
night must not revive a revoked key. If that fails they are used all the same, or the provider's
outage would be ours."""

FETCH_TIMEOUT_S = 5
"""Time limit of a whole fetch; a request may be waiting for it. Far below FETCH_INTERVAL_S, so that
two fetches never run at once."""

KEY_SET_BYTES_MAX = 262_144
"""Twelve times the largest common key set, which carries its certificates."""

PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e")
"""The members of a public key; nothing else of a published key reaches the library."""

_FETCH_ERRORS = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    TimeoutError,
    ValueError,
    RecursionError,
)

log = structlog.get_logger()


class JwksCache:
    """The provider's key set, fetched when it is first needed and kept when a fetch fails.

    Args:
        url: Where the set is published, http or https; redirects are not followed.
        clock: Monotonic seconds.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._client = outgoing(
            lambda: httpx2.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False)
        )
        self._keys: list[jwt.PyJWK] | None = None
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._fetch: asyncio.Task[None] | None = None

    async def key(self, algorithm: str, key_id: str | None) -> jwt.PyJWK:
        """The key that a token names, or the only one of its algorithm when it names none.

        Raises:
            InvalidAuth: when there is no such key, or no key set at all.
        """
        now = self._clock()
        if now - self._tried_at > KEYS_IDLE_S:
            await self._refresh()
        elif now - self._fetched_at > KEYS_FRESH_S:
            self._start_fetch()
        found = self._find(algorithm, key_id)
        if found is None:
            await self._refresh()
            found = self._find(algorithm, key_id)
        if found is not None:
            return found
        if self._keys is None:
            raise InvalidAuth(
                "The identity provider cannot be reached to check this token; repeat the request "
                "in a moment.",
                retry_after_s=FETCH_INTERVAL_S,
            )
        raise InvalidAuth(
            "The token names no key that the identity provider publishes; get a new one."
        )

    async def close(self) -> None:
        """End a running fetch and the connections; nothing is fetched after this."""
        self._tried_at = math.inf
        if self._fetch is not None and not self._fetch.done():
            self._fetch.cancel()
            await asyncio.wait([self._fetch])
        await self._client.aclose()

    def _find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        fitting = [key for key in self._keys or () if key.algorithm_name == algorithm]
        if key_id is None:
            # Guessing among several would make the order of the set part of the contract.
            return fitting[0] if len(fitting) == 1 else None
        return next((key for key in fitting if key.key_id == key_id), None)

    async def _refresh(self) -> None:
        """Wait for a fetch: the running one, or a new one if the interval allows it."""
        self._start_fetch()
        if self._fetch is not None and not self._fetch.done():
            # Not awaited itself: a client that hangs up here must not end it for the others.
            await asyncio.wait([self._fetch])

    def _start_fetch(self) -> None:
        now = self._clock()
        # If this holds, the last fetch is over: it ran for FETCH_TIMEOUT_S at most.
        if now - self._tried_at >= FETCH_INTERVAL_S:
            self._tried_at = now
            self._fetch = asyncio.create_task(self._fetch_keys())

    async def _fetch_keys(self) -> None:
        try:
            # The client's own timeouts start again with every byte that trickles in.
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                published = _members(await self._body())
        except _FETCH_ERRORS as error:
            log.warning("jwks.fetch_failed", error=type(error).__name__, reason=str(error))
        else:
            keys = [key for key in map(_verification_key, published) if key is not None]
            self._keys, self._fetched_at = keys, self._clock()
            log.info("jwks.fetched", keys=len(keys), skipped=len(published) - len(keys))

    async def _body(self) -> bytes:
        body = bytearray()
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != httpx2.codes.OK:
                raise ValueError(f"status {response.status_code}")
            async with contextlib.aclosing(response.aiter_bytes()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > KEY_SET_BYTES_MAX:
                        raise ValueError("the key set is too large")
        return bytes(body)


def _members(body: bytes) -> list[Any]:
    """The keys of a published set. An empty one counts: the provider took all its keys back."""
    match json.loads(body):
        case {"keys": list(members)}:
            return members
    raise ValueError("not a key set")


def _verification_key(member: Any) -> jwt.PyJWK | None:
    """One published key, or None if it cannot verify what this service accepts."""
    match member:
        case {"kty": "OKP", "crv": "Ed25519"}:
            algorithm = "EdDSA"
        case {"kty": "EC", "crv": "P-256"}:
            algorithm = "ES256"
        case {"kty": "RSA"}:
            algorithm = "RS256"
        case _:
            return None
    # A key whose private half is published too proves nothing: everyone can sign with it.
    if "d" in member or not _is_meant_for(algorithm, member):
        return None
    key_id = member.get("kid")
    public = {name: member[name] for name in PUBLIC_MEMBERS if name in member}
    try:
        key = jwt.PyJWK(public if key_id is None else {**public, "kid": key_id}, algorithm)
    except (jwt.PyJWTError, UnsupportedAlgorithm):
        return None
    return None if key.Algorithm.check_key_length(key.key) else key


def _is_meant_for(algorithm: str, member: dict[str, Any]) -> bool:
    """Whether what a key says about itself allows it to verify tokens of the algorithm."""
    operations = member.get("key_ops")
    return (
        member.get("alg") in (None, algorithm)
        and member.get("use") in (None, "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and isinstance(member.get("kid"), str | None)
    )
