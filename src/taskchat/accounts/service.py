"""Registering, signing in, changing the password: what a password is asked for."""

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import structlog

from taskchat.accounts.passwords import Passwords
from taskchat.accounts.sessions import Sessions, Tokens
from taskchat.accounts.store import accounts, sessions
from taskchat.accounts.store.accounts import Credentials
from taskchat.accounts.throttle import Client, Throttle
from taskchat.auth.keys import KeyRing
from taskchat.errors import AlreadyRegistered, InvalidAuth
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.principal import Principal, account_user_id
from taskchat.settings import Settings
from taskchat.telemetry import metrics

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AccountDeps:
    """What the routes of accounts need.

    Attributes:
        database: Where accounts are.
        settings: Limits and lifetimes.
        keys: Sign and verify access tokens.
        passwords: Hashes them.
        throttle: Limits attempts and refreshes.
        sessions: Begins and refreshes them.
    """

    database: Database
    settings: Settings
    keys: KeyRing
    passwords: Passwords
    throttle: Throttle
    sessions: Sessions


def account_deps(database: Database, settings: Settings, keys: KeyRing) -> AccountDeps:
    """The objects that live as long as the app."""
    throttle = Throttle(database, settings)
    return AccountDeps(
        database=database,
        settings=settings,
        keys=keys,
        passwords=Passwords(
            at_once=settings.accounts_hashes_at_once,
            waiting_max=settings.accounts_hashes_waiting_max,
        ),
        throttle=throttle,
        sessions=Sessions(database, keys, throttle, settings),
    )


async def register(deps: AccountDeps, client: Client, *, email: str, password: str) -> Tokens:
    """Make an account, and sign in to it.

    Args:
        deps: The app's.
        client: Who asks.
        email: From `email_of`.
        password: From `password_of`.

    Raises:
        AlreadyRegistered: the address has an account.
        RateLimited: too many attempts of this client.
        SignInsBusy: too many passwords wait to be hashed.
    """
    deps.passwords.check_room()
    with contextlib.ExitStack() as line:
        await deps.throttle.charge(client, _a_place(deps, line))
        password_hash = await deps.passwords.hashed(password)
    signer = await deps.sessions.signer()
    principal = Principal(account_user_id(new_id()))
    async with deps.database.transaction(principal) as connection:
        seen = await accounts.add(connection, principal, email=email, password_hash=password_hash)
        if seen is None:
            raise AlreadyRegistered
        tokens = await deps.sessions.begin(
            connection, principal, signer, seen=seen, user_agent=client.user_agent
        )
    metrics.SIGN_INS.labels("registered").inc()
    log.info("account.registered")
    return tokens


async def sign_in(deps: AccountDeps, client: Client, *, email: str, password: str) -> Tokens:
    """Begin a session; as for `register`.

    Raises:
        InvalidAuth: there is no such account, or its password is another; nobody learns which.
        RateLimited: too many attempts, at this address or of this client.
        SignInsBusy: too many passwords wait to be hashed.
    """
    found, better = await _proved(deps, client, email=email, password=password)
    signer = await deps.sessions.signer()
    async with deps.database.transaction(found.principal) as connection:
        tokens = await deps.sessions.begin(
            connection, found.principal, signer, seen=found.seen, user_agent=client.user_agent
        )
        if better is not None:
            await accounts.rehash(
                connection, found.principal, password_hash=better, seen=found.seen
            )
    metrics.SIGN_INS.labels("signed_in").inc()
    log.info("account.signed_in")
    return tokens


async def prove(
    deps: AccountDeps, client: Client, principal: Principal, *, email: str, password: str
) -> Credentials:
    """Check the password of an account in whose name somebody acts already.

    Raises:
        InvalidAuth: it is another.
        RateLimited: as for `sign_in`.
        SignInsBusy: as for `sign_in`.
    """
    found, _ = await _proved(deps, client, email=email, password=password)
    if found.principal != principal:
        # Deleted meanwhile, and registered by somebody else.
        raise _wrong()
    return found


async def change_password(
    deps: AccountDeps, proved: Credentials, *, session: UUID, password: str
) -> None:
    """Set another password, and end all sessions but one.

    Args:
        deps: The app's.
        proved: From `prove`.
        session: The one that goes on.
        password: From `password_of`.

    Raises:
        InvalidAuth: somebody else changed it meanwhile.
        SignInsBusy: too many passwords wait to be hashed.
    """
    principal = proved.principal
    with deps.passwords.place():
        password_hash = await deps.passwords.hashed(password)
    async with deps.database.transaction(principal) as connection:
        # Its row is held from here on: who signs in by the old password comes before, and is ended
        # below, or after, and is refused.
        if not await accounts.change_password(
            connection, principal, password_hash=password_hash, seen=proved.seen
        ):
            raise _wrong()
        ended = await sessions.end_all(connection, principal, kept=session)
    log.info("account.password_changed", sessions_ended=ended)


async def _proved(
    deps: AccountDeps, client: Client, *, email: str, password: str
) -> tuple[Credentials, str | None]:
    deps.passwords.check_room()
    with contextlib.ExitStack() as line:
        found = await deps.throttle.charge_and_find(client, email, _a_place(deps, line))
        known_hash = found.password_hash if found else None
        right, better = await deps.passwords.verify(password, known_hash)
    if found is None or not right:
        metrics.SIGN_INS.labels("refused").inc()
        log.info("account.refused")
        raise _wrong()
    await deps.throttle.give_back(client, email)
    return found, better


def _a_place(deps: AccountDeps, line: contextlib.ExitStack) -> Callable[[], object]:
    """Takes a place among the passwords that are hashed, until the block of `line` ends."""
    return functools.partial(line.enter_context, deps.passwords.place())


def _wrong() -> InvalidAuth:
    return InvalidAuth("The address or the password is wrong.")
