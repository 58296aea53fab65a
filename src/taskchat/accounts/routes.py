"""`/api/auth`: registering, signing in, and what belongs to an account.

No answer tells whether an address has an account, but for registering it.
"""

from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response

from taskchat.accounts import service
from taskchat.accounts.credentials import email_of, password_of
from taskchat.accounts.dependencies import (
    CurrentAccount,
    CurrentAccounts,
    CurrentClient,
    HasSession,
    SessionId,
)
from taskchat.accounts.schemas import (
    AccountDeletion,
    AccountOut,
    CredentialsIn,
    KeySet,
    PasswordChange,
    RefreshIn,
    SessionOut,
    TokensOut,
)
from taskchat.accounts.sessions import Tokens
from taskchat.accounts.store import sessions
from taskchat.errors import NotFound
from taskchat.http.pages import Page
from taskchat.http.requests import AcceptsJson, RequestId, body_schema, json_body
from taskchat.portability.forgetting import forget
from taskchat.transports.dependencies import CurrentLive

PREFIX: Final = "/api/auth"

entrance = APIRouter(prefix=PREFIX, tags=["accounts"], dependencies=[AcceptsJson])
"""For those who have no token yet."""

router = APIRouter(prefix=PREFIX, tags=["accounts"], dependencies=[HasSession, AcceptsJson])
"""For those who are signed in."""

key_set = APIRouter(tags=["accounts"])

KEYS_KEPT_S: Final = 300
"""How long others may keep the key set: half as long as a key is published before it signs."""


def _out(tokens: Tokens) -> TokensOut:
    return TokensOut(**asdict(tokens))


@entrance.post("/register", status_code=201, openapi_extra=body_schema(CredentialsIn))
async def register(
    deps: CurrentAccounts,
    client: CurrentClient,
    given: Annotated[CredentialsIn, Depends(json_body(CredentialsIn))],
) -> TokensOut:
    """Make an account, and sign in to it."""
    email = email_of(given.email)
    password = password_of(given.password, deps.settings, field="password", new=True)
    return _out(await service.register(deps, client, email=email, password=password))


@entrance.post("/login", openapi_extra=body_schema(CredentialsIn))
async def login(
    deps: CurrentAccounts,
    client: CurrentClient,
    given: Annotated[CredentialsIn, Depends(json_body(CredentialsIn))],
) -> TokensOut:
    """Sign in: begin a session."""
    email = email_of(given.email)
    password = password_of(given.password, deps.settings, field="password", new=False)
    return _out(await service.sign_in(deps, client, email=email, password=password))


@entrance.post("/refresh", openapi_extra=body_schema(RefreshIn))
async def refresh(
    deps: CurrentAccounts, given: Annotated[RefreshIn, Depends(json_body(RefreshIn))]
) -> TokensOut:
    """Exchange a refresh token for an access token and the next refresh token."""
    return _out(await deps.sessions.refresh(given.refresh_token.get_secret_value()))


@router.get("/me")
async def read_account(account: CurrentAccount) -> AccountOut:
    """One's own account."""
    return AccountOut(
        user_id=account.principal.user_id,
        email=account.email,
        created_at=account.created_at,
        password_changed_at=account.password_changed_at,
    )


@router.delete("/me", status_code=204, openapi_extra=body_schema(AccountDeletion))
async def delete_account(
    deps: CurrentAccounts,
    live: CurrentLive,
    client: CurrentClient,
    account: CurrentAccount,
    request_id: RequestId,
    given: Annotated[AccountDeletion, Depends(json_body(AccountDeletion))],
) -> Response:
    """Delete the account and all that the user has, for good."""
    password = password_of(given.password, deps.settings, field="password", new=False)
    await service.prove(deps, client, account.principal, email=account.email, password=password)
    await forget(live, account.principal, request_id=request_id)
    return Response(status_code=204)


@router.post("/password", status_code=204, openapi_extra=body_schema(PasswordChange))
async def change_password(
    deps: CurrentAccounts,
    client: CurrentClient,
    account: CurrentAccount,
    given: Annotated[PasswordChange, Depends(json_body(PasswordChange))],
) -> Response:
    """Set another password; all other sessions end."""
    current = password_of(
        given.current_password, deps.settings, field="current_password", new=False
    )
    wanted = password_of(given.new_password, deps.settings, field="new_password", new=True)
    proved = await service.prove(
        deps, client, account.principal, email=account.email, password=current
    )
    await service.change_password(deps, proved, session=account.session, password=wanted)
    return Response(status_code=204)


@router.post("/logout", status_code=204)
async def logout(deps: CurrentAccounts, account: CurrentAccount) -> Response:
    """End this session."""
    async with deps.database.transaction(account.principal) as connection:
        await sessions.end(connection, account.principal, account.session)
    return Response(status_code=204)


@router.post("/logout-all", status_code=204)
async def logout_all(deps: CurrentAccounts, account: CurrentAccount) -> Response:
    """End every session, this one too."""
    async with deps.database.transaction(account.principal) as connection:
        await sessions.end_all(connection, account.principal)
    return Response(status_code=204)


@router.get("/sessions")
async def list_sessions(deps: CurrentAccounts, account: CurrentAccount) -> Page[SessionOut]:
    """The devices that are signed in, the one that was used last first; all on one page."""
    async with deps.database.transaction(account.principal) as connection:
        rows = await sessions.sessions(connection, account.principal)
    listed = [SessionOut(**row, current=row.id == account.session) for row in rows]
    return Page(data=listed, has_more=False, next_cursor=None)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(
    deps: CurrentAccounts, account: CurrentAccount, session_id: SessionId
) -> Response:
    """End one session, on whatever device."""
    async with deps.database.transaction(account.principal) as connection:
        if not await sessions.end(connection, account.principal, session_id):
            raise NotFound(f"No session {session_id}. List the sessions to see their ids.")
    return Response(status_code=204)


@key_set.get("/.well-known/jwks.json")
async def read_keys(deps: CurrentAccounts, response: Response) -> KeySet:
    """The public keys of access tokens, for other services that take them."""
    response.headers["Cache-Control"] = f"public, max-age={KEYS_KEPT_S}"
    return KeySet.model_validate(await deps.keys.published())
