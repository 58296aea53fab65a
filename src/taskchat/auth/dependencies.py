"""From a request to a principal. The path's user id is compared with the token's, never used."""

from collections import OrderedDict
from typing import Annotated, Final

from fastapi import Depends, Request

from taskchat.auth import repository
from taskchat.auth.tokens import TokenVerifier, VerifiedToken
from taskchat.errors import Forbidden, InvalidAuth
from taskchat.http.dependencies import part_of
from taskchat.postgres.database import Database
from taskchat.principal import Principal

SEEN_MAX: Final = 10_000
"""Users whose row this process knows to exist; forgetting one costs a statement."""


class Authenticator:
    """Verifies tokens, and makes a user's row at their first verified request.

    Args:
        verifier: Verifies tokens.
        database: Where users are stored.
    """

    def __init__(self, verifier: TokenVerifier, database: Database) -> None:
        self._verifier = verifier
        self._database = database
        self._seen: OrderedDict[str, None] = OrderedDict()
        # Whatever else failed to tell: the next request makes the row anew.
        database.on_user_gone(self.forget)

    async def principal(self, authorization: list[str]) -> Principal:
        """The caller.

        Args:
            authorization: Every Authorization header of the request.

        Raises:
            InvalidAuth: none, several, another scheme, or a token that proves nothing.
        """
        if len(authorization) != 1:
            raise InvalidAuth
        scheme, _, token = authorization[0].partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise InvalidAuth
        return (await self.verified(token.strip())).principal

    async def verified(self, token: str) -> VerifiedToken:
        """The caller that a token proves, and for how long.

        Raises:
            InvalidAuth: it proves nothing.
        """
        return await self._verifier.verify(token)

    async def known(self, principal: Principal) -> Principal:
        """The same caller, with a row in `users`."""
        if principal.user_id in self._seen:
            self._seen.move_to_end(principal.user_id)
            return principal
        await repository.know(self._database, principal)
        self._seen[principal.user_id] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        return principal

    def forget(self, user_id: str) -> None:
        """Forget that a user has a row: it was deleted."""
        self._seen.pop(user_id, None)


async def current_principal(request: Request, user_id: str) -> Principal:
    """The verified caller, who is the user in the path.

    Raises:
        InvalidAuth: no good token.
        Forbidden: the path is another user's, existing or not.
    """
    authenticator = part_of(request.app, Authenticator)
    principal = await authenticator.principal(request.headers.getlist("authorization"))
    if principal.user_id != user_id:
        raise Forbidden
    return await authenticator.known(principal)


Authenticated = Depends(current_principal)
"""For a whole router, before all its other dependencies: who asks is checked before what for."""

CurrentPrincipal = Annotated[Principal, Authenticated]
