"""From a request to a principal. The path's user id is compared with the token's, never used."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Request

from taskchat.auth import repository
from taskchat.auth.tokens import TokenVerifier, VerifiedToken
from taskchat.errors import Forbidden, InvalidAuth
from taskchat.http.crowds import Crowds
from taskchat.http.dependencies import part_of
from taskchat.postgres.database import Database
from taskchat.principal import Principal, is_account

SEEN_MAX: Final = 10_000
"""Users whose row this process knows to exist; forgetting one costs a statement."""

ACCOUNT_SEEN_S: Final = 60.0
"""How long it takes a built-in account for granted: a process that is not told of its deletion
refuses its tokens after that."""


class Authenticator:
    """Verifies tokens, and makes a user's row at their first verified request.

    Args:
        verifier: Verifies tokens.
        database: Where users are stored.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        database: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verifier = verifier
        self._database = database
        self._clock = clock
        # Until when: for ever, but for accounts.
        self._seen: OrderedDict[str, float] = OrderedDict()
        # Whatever else failed to tell: the next request makes the row anew.
        database.on_user_gone(self.forget)

    async def bearer(self, authorization: list[str]) -> VerifiedToken:
        """The caller, as a request's token proves them.

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
        return await self.verified(token.strip())

    async def verified(self, token: str) -> VerifiedToken:
        """The caller that a token proves, and for how long.

        Raises:
            InvalidAuth: it proves nothing.
        """
        return await self._verifier.verify(token)

    async def known(self, principal: Principal) -> Principal:
        """The same caller, with a row in `users`.

        Raises:
            InvalidAuth: it was deleted with its account, which no token brings back.
        """
        now = self._clock()
        if self._seen.get(principal.user_id, now) > now:
            self._seen.move_to_end(principal.user_id)
            return principal
        if not is_account(principal.user_id):
            await repository.know(self._database, principal)
            self._seen[principal.user_id] = math.inf
        elif await repository.has_account(self._database, principal):
            self._seen[principal.user_id] = now + ACCOUNT_SEEN_S
        else:
            self.forget(principal.user_id)
            raise InvalidAuth("The account of this token was deleted.")
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
        TooManyAtOnce: the caller has as many requests under way as they may.
    """
    authenticator = part_of(request.app, Authenticator)
    principal = (await authenticator.bearer(request.headers.getlist("authorization"))).principal
    if principal.user_id != user_id:
        raise Forbidden
    part_of(request.app, Crowds).requests.hold(request.scope, principal.user_id)
    return await authenticator.known(principal)


Authenticated = Depends(current_principal)
"""For a whole router, before all its other dependencies: who asks is checked before what for."""

CurrentPrincipal = Annotated[Principal, Authenticated]


async def token_principal(request: Request) -> Principal:
    """The verified caller, as their token says: the path names nobody.

    Raises:
        InvalidAuth: no good token.
        TooManyAtOnce: the caller has as many requests under way as they may.
    """
    authenticator = part_of(request.app, Authenticator)
    verified = await authenticator.bearer(request.headers.getlist("authorization"))
    part_of(request.app, Crowds).requests.hold(request.scope, verified.principal.user_id)
    return await authenticator.known(verified.principal)


AuthenticatedByToken = Depends(token_principal)
"""As `Authenticated`, for routers whose paths name nobody."""

TokenPrincipal = Annotated[Principal, AuthenticatedByToken]
