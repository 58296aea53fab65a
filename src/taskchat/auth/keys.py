"""The keys that sign the tokens of built-in accounts: in the database, the same for all processes.

A key is published before it signs, for longer than any process goes without a look, so that nobody
meets a token whose key they don't have. The one before it verifies until its last token is over.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from jwt.algorithms import OKPAlgorithm

from taskchat.auth import repository
from taskchat.auth.cipher import Cipher
from taskchat.auth.repository import StoredKey
from taskchat.errors import DatabaseError, InvalidAuth
from taskchat.moments import new_id
from taskchat.postgres.database import ACCOUNTS_ROLE, Database
from taskchat.postgres.faults import FAULTS, reason_of
from taskchat.settings import Settings

KEY_PREFIX: Final = "taskchat-"
"""What the id of each of our keys begins with. It picks a key; the issuer is checked after."""

FRESH_S: Final = 60.0
"""How often every process looks: what is published, taken back or rotated is known so soon."""

LEAD_S: Final = 600.0
"""How long a key is published before it signs: ten looks, and twice as long as others may keep the
published set."""

VERIFIES_S: Final = 3600 + LEAD_S
"""How long a key goes on verifying after the next one signs: longer than any access token may live
that a process signed which had not looked yet."""

LOOK_INTERVAL_S: Final = 1.0
"""Between two looks because of an unknown key: forged key ids must not become queries."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs now."""

    id: str
    private_key: Ed25519PrivateKey = field(repr=False)


class KeyRing:
    """All keys, as of the last look.

    Args:
        database: Where they are.
        settings: For their encryption and their rotation.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._rotation_h = settings.accounts_key_rotation_h
        secret = settings.accounts_secret
        self._cipher = Cipher(secret.get_secret_value() if secret else None)
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._signer: Signer | None = None
        self._looked_at = self._tried_at = -math.inf
        self._looking = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK:
        """The public key of that id.

        Raises:
            InvalidAuth: there is none, or the database can't be asked.
        """
        if key_id not in self._keys:
            # The database's outage must not be taken for the end of a token.
            with contextlib.suppress(DatabaseError):
                await self._look_if_older(LOOK_INTERVAL_S)
        if key_id in self._keys:
            return self._keys[key_id]
        if self._looked_at < self._tried_at:
            raise InvalidAuth(
                "The keys cannot be read to check this token; repeat the request in a moment.",
                retry_after_s=math.ceil(LOOK_INTERVAL_S),
            )
        raise InvalidAuth("The token's key is no longer in use; sign in again.")

    async def signer(self) -> Signer:
        """The key to sign with.

        Raises:
            DatabaseError: there is none yet, and none can be made.
        """
        if self._clock() - self._looked_at > 2 * FRESH_S:
            # Nobody looked for so long that the key may have been taken back.
            await self._look_if_older(LOOK_INTERVAL_S)
        if self._signer is None:
            raise DatabaseError(retry_after_s=math.ceil(LOOK_INTERVAL_S))
        return self._signer

    async def published(self) -> dict[str, list[dict[str, str]]]:
        """The key set, as it is published.

        Raises:
            DatabaseError: the keys were never read, and can't be now.
        """
        if not self._keys:
            await self._look_if_older(LOOK_INTERVAL_S)
        return {"keys": [_published(key) for key in self._keys.values()]}

    async def look(self) -> None:
        """Read the keys; make one if there is none that can sign, or if the newest is due.

        Raises:
            DatabaseError: they can't be read or made.
        """
        async with self._looking:
            await self._look()

    async def rotate(self, *, now: bool = False) -> str:
        """Make another key; returns its id.

        Args:
            now: It signs at once, and all others are taken back with every token that they signed.

        Raises:
            DatabaseError: it can't be made.
        """
        async with self._looking:
            made = self._made()
            async with self._database.account_transaction() as connection:
                await repository.lock_keys(connection)
                if now:
                    await repository.delete_keys(connection)
                await repository.add_key(connection, made, lead_s=0 if now else LEAD_S)
            log.info("keys.rotated", at_once=now)
            await self._look()
        return made.id

    async def _look_if_older(self, seconds: float) -> None:
        """Look, unless somebody did, or tried to, so short a time ago."""
        async with self._looking:
            if self._clock() - self._tried_at >= seconds:
                await self._look()

    async def _look(self) -> None:
        self._tried_at = self._clock()
        async with self._database.account_transaction() as connection:
            keys = await repository.keys(connection)
            if self._is_due(keys):
                # Asked once more behind the lock: of processes that find it due at once, one makes.
                await repository.lock_keys(connection)
                keys = await repository.keys(connection)
                if self._is_due(keys):
                    lead_s = LEAD_S if self._signer_of(keys) else 0
                    await repository.add_key(connection, self._made(), lead_s=lead_s)
                    log.info("keys.rotated", at_once=not lead_s)
                    keys = await repository.keys(connection)
        self._keys = {key.id: _public(key) for key in keys}
        self._signer = self._signer_of(keys)
        self._looked_at = self._tried_at

    def _is_due(self, keys: Sequence[StoredKey]) -> bool:
        usable = [key for key in keys if self._cipher.opened(key) is not None]
        newest_h = min((-key.signs_in_s / 3600 for key in usable), default=math.inf)
        return not self._signer_of(keys) or 0 < self._rotation_h <= newest_h

    def _signer_of(self, keys: Sequence[StoredKey]) -> Signer | None:
        for key in sorted(keys, key=lambda key: key.signs_in_s, reverse=True):
            raw = self._cipher.opened(key) if key.signs_in_s <= 0 else None
            if raw is not None:
                return Signer(key.id, Ed25519PrivateKey.from_private_bytes(raw))
        return None

    def _made(self) -> StoredKey:
        private = Ed25519PrivateKey.generate()
        key_id = f"{KEY_PREFIX}{new_id()}"
        stored, encrypted = self._cipher.closed(key_id, private.private_bytes_raw())
        return StoredKey(key_id, private.public_key().public_bytes_raw(), stored, encrypted, 0)


async def check_keys(database: Database) -> str | None:
    """Why this login can't serve accounts, in one sentence; None if it can.

    Raises:
        DatabaseError: the database is away.
    """
    try:
        async with database.account_transaction() as connection:
            await repository.keys(connection)
    except FAULTS as error:
        return (
            f"this login may not act as {ACCOUNTS_ROLE} ({reason_of(error)}); as the owner run "
            f"GRANT {ACCOUNTS_ROLE} TO it"
        )
    return None


async def describe(database: Database) -> list[str]:
    """A line for each key, the newest first.

    Raises:
        DatabaseError: the database is away.
    """
    async with database.account_transaction() as connection:
        keys = await repository.keys(connection)
    lines = []
    for key in sorted(keys, key=lambda key: key.signs_in_s, reverse=True):
        hours = abs(key.signs_in_s) / 3600
        when = f"signs in {hours:.1f} h" if key.signs_in_s > 0 else f"signs since {hours:.1f} h"
        lines.append(f"{key.id}  {when}{', encrypted' if key.encrypted else ''}")
    return lines or ["no key yet; the first sign-in makes one"]


def _public(key: StoredKey) -> jwt.PyJWK:
    public = Ed25519PublicKey.from_public_bytes(key.public_key)
    members = OKPAlgorithm.to_jwk(public, as_dict=True)
    return jwt.PyJWK({**members, "kid": key.id}, "EdDSA")


def _published(key: jwt.PyJWK) -> dict[str, str]:
    members = OKPAlgorithm.to_jwk(key.key, as_dict=True)
    return {
        "kid": str(key.key_id),
        "kty": members["kty"],
        "crv": members["crv"],
        "x": members["x"],
        "alg": "EdDSA",
        "use": "sig",
    }
