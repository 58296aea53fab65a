"""Sessions: a family of refresh tokens, of which the last is good, and good once.

A token that comes back after it was spent is held by two, so that its session ends for both. Two
tabs of one browser may spend one at the same moment: within the grace the later is refused, and
nothing else happens.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from taskchat.accounts.models import USER_AGENT_CHARS_MAX
from taskchat.accounts.store import sessions
from taskchat.accounts.store.sessions import Lifetimes
from taskchat.accounts.throttle import Throttle
from taskchat.auth.issuing import issue_access_token
from taskchat.auth.keys import KeyRing, Signer
from taskchat.errors import InvalidAuth
from taskchat.postgres.database import Connection, Database
from taskchat.principal import Principal
from taskchat.settings import Settings
from taskchat.telemetry import metrics
from taskchat.texts import scrubbed

log = structlog.get_logger()

REFRESH_PREFIX: Final = "taskchat-refresh-"
"""What every refresh token begins with, for those who look for leaked secrets."""

RANDOM_BYTES: Final = 32
"""256 bits: nobody guesses one, and a plain hash of it tells nothing."""

REFUSALS: Final = {
    "expired": "The session has expired; sign in again.",
    "gone": "The session has ended; sign in again.",
    "spent": "This refresh token was used a moment ago; use the tokens that it was exchanged for.",
    "reused": "This refresh token was used before, so that its session has ended; sign in again.",
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client gets, by signing in or by refreshing."""

    user_id: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


class Sessions:
    """Begins, refreshes and ends sessions.

    Args:
        database: Where they are.
        keys: For their access tokens.
        throttle: Limits how often they are refreshed.
        settings: For their lifetimes.
    """

    def __init__(
        self, database: Database, keys: KeyRing, throttle: Throttle, settings: Settings
    ) -> None:
        self._database = database
        self._keys = keys
        self._throttle = throttle
        self._settings = settings
        self._lifetimes = Lifetimes(settings.accounts_refresh_idle_h, settings.accounts_session_h)

    async def signer(self) -> Signer:
        """The key for the next access token, which is looked for before anything is stored.

        Raises:
            DatabaseError: there is none.
        """
        return await self._keys.signer()

    async def begin(
        self,
        connection: Connection,
        principal: Principal,
        signer: Signer,
        *,
        seen: datetime,
        user_agent: str,
    ) -> Tokens:
        """Begin a session, on the strength of a password.

        Args:
            connection: A connection of the principal's.
            principal: Whose.
            signer: From `signer`.
            seen: When that password was set.
            user_agent: The device's own name.

        Raises:
            InvalidAuth: the password was changed meanwhile, or the account deleted.
        """
        if not await sessions.hold_account(connection, principal, seen=seen):
            raise InvalidAuth("The password was changed a moment ago; sign in with the new one.")
        refresh_token = _made()
        session = await sessions.add(
            connection,
            principal,
            token_hash=_hash(refresh_token),
            user_agent=_kept(user_agent),
            lifetimes=self._lifetimes,
            sessions_max=self._settings.accounts_sessions_max,
        )
        return self._tokens(signer, principal, session, refresh_token)

    async def refresh(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token for the next one, and for an access token.

        Raises:
            InvalidAuth: it is none, or no longer good; its session may have ended with it.
            RateLimited: its account has refreshed too often; it is not spent.
        """
        token_hash = _hash(refresh_token)
        async with self._database.account_transaction(token_hash.hex()) as connection:
            ref = await sessions.seek(connection, token_hash)
            if ref is not None:
                await self._throttle.charge_refresh(connection, ref.principal)
        if ref is None:
            raise self._refused("gone")
        signer, made = await self.signer(), _made()
        async with self._database.transaction(ref.principal) as connection:
            standing = await sessions.hold(
                connection, ref, grace_s=self._settings.accounts_refresh_grace_s
            )
            if standing == "good":
                await sessions.replace(
                    connection, ref, token_hash=_hash(made), idle_h=self._lifetimes.idle_h
                )
            elif standing == "reused":
                await sessions.end(connection, ref.principal, ref.session)
        # Only now: what was raised inside would undo the end of the session.
        if standing != "good":
            raise self._refused(standing)
        metrics.SIGN_INS.labels("refreshed").inc()
        return self._tokens(signer, ref.principal, ref.session, made)

    def _refused(self, standing: str) -> InvalidAuth:
        metrics.SIGN_INS.labels("reused" if standing == "reused" else "refused").inc()
        if standing == "reused":
            log.warning("account.token_reused")
        return InvalidAuth(REFUSALS[standing])

    def _tokens(
        self, signer: Signer, principal: Principal, session: UUID, refresh_token: str
    ) -> Tokens:
        ttl_s = self._settings.accounts_access_ttl_s
        access_token = issue_access_token(
            signer,
            principal.user_id,
            session,
            ttl_s=ttl_s,
            issuer=self._settings.accounts_issuer,
            audience=self._settings.accounts_audience,
        )
        return Tokens(principal.user_id, access_token, refresh_token, ttl_s)


def _made() -> str:
    return REFRESH_PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def _hash(refresh_token: str) -> bytes:
    return hashlib.sha256(refresh_token.encode()).digest()


def _kept(user_agent: str) -> str:
    return scrubbed(user_agent).strip()[:USER_AGENT_CHARS_MAX]
