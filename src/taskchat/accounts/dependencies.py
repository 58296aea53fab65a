"""Who asks, at the routes of accounts: somebody with a live session, or somebody not known yet."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from taskchat.accounts.service import AccountDeps
from taskchat.accounts.store import sessions
from taskchat.accounts.throttle import Client
from taskchat.auth.dependencies import Authenticator
from taskchat.errors import Forbidden, InvalidAuth
from taskchat.http.dependencies import given, part_of
from taskchat.http.ids import path_id
from taskchat.principal import Principal

CurrentAccounts = Annotated[AccountDeps, Depends(given(AccountDeps))]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The owner of an account, by a session of it.

    Attributes:
        principal: Who acts.
        session: By which session.
        email: The account's address.
        created_at: When it was made.
        password_changed_at: When its password was set.
    """

    principal: Principal
    session: UUID
    email: str
    created_at: datetime
    password_changed_at: datetime


async def current_client(request: Request) -> Client:
    """Who asks, as far as the connection tells."""
    address = request.client.host if request.client else ""
    return Client(address, request.headers.get("user-agent", ""))


async def signed_in(request: Request) -> SignedIn:
    """The owner of the account that the token was given to.

    Unlike elsewhere the session is looked up: who was signed out can't go on managing the account
    until the token is over.

    Raises:
        InvalidAuth: no good token, or one whose session has ended.
        Forbidden: a good token of somebody who has no account here.
    """
    authenticator = part_of(request.app, Authenticator)
    verified = await authenticator.bearer(request.headers.getlist("authorization"))
    principal, session = verified.principal, verified.session
    if session is None:
        raise Forbidden(
            "This token belongs to no account of this service; manage it where it comes from."
        )
    async with part_of(request.app, AccountDeps).database.transaction(principal) as connection:
        row = await sessions.find(connection, principal, session)
    if row is None:
        raise InvalidAuth("The session has ended; sign in again.")
    return SignedIn(principal, session, row.email, row.created_at, row.password_changed_at)


HasSession = Depends(signed_in)
"""For a whole router, before all its other dependencies: who asks is checked before what for."""

CurrentClient = Annotated[Client, Depends(current_client)]
CurrentAccount = Annotated[SignedIn, HasSession]
SessionId = Annotated[UUID, path_id("session_id", "session")]
