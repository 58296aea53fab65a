"""The rules of hooks: who may have how many, and where."""

from dataclasses import dataclass
from uuid import UUID

from taskchat.errors import Detail, InvalidRequest, NotFound, TooManyWebhooks, UserGone
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.principal import Principal
from taskchat.settings import Settings
from taskchat.webhooks.addresses import BadAddress, endpoint_of
from taskchat.webhooks.schemas import (
    DeliveryOut,
    NewWebhook,
    WebhookChange,
    WebhookOut,
    WebhookWithSecret,
)
from taskchat.webhooks.signing import new_secret, shown_secret
from taskchat.webhooks.store import hooks


def no_webhook() -> NotFound:
    """The error for a hook that the user does not have."""
    return NotFound("No such webhook. List the webhooks to see their ids.")


def _invalid(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"The {field} {problem}.", details=[Detail(field, problem)])


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Makes, lists, changes and deletes hooks, and shows what became of their events.

    Every method raises NotFound if the principal has no such hook, and DatabaseError if the outcome
    is unknown.

    Attributes:
        database: Where they are kept.
        settings: For their number and where they may be.
    """

    database: Database
    settings: Settings

    async def make(self, principal: Principal, wanted: NewWebhook) -> WebhookWithSecret:
        """Make a hook.

        Raises:
            InvalidRequest: no hook can be there.
            TooManyWebhooks: the user has as many as they may.
        """
        self._check(wanted.url)
        secret = new_secret()
        async with self.database.transaction(principal) as connection:
            if not await hooks.hold_user(connection, principal):
                raise UserGone(retry_after_s=1)
            if await hooks.count(connection, principal) >= self.settings.webhooks_max:
                raise TooManyWebhooks
            made = await hooks.make(
                connection, principal, new_id(), url=wanted.url, events=wanted.events, secret=secret
            )
        return _with_secret(made, secret)

    async def listed(
        self, principal: Principal, *, after: UUID | None, limit: int
    ) -> list[WebhookOut]:
        """The user's hooks, the newest first."""
        async with self.database.transaction(principal) as connection:
            return await hooks.listed(connection, principal, after=after, limit=limit)

    async def read(self, principal: Principal, id_: UUID) -> WebhookOut:
        """One hook."""
        async with self.database.transaction(principal) as connection:
            found = await hooks.find(connection, principal, id_)
        if found is None:
            raise no_webhook()
        return found

    async def change(self, principal: Principal, id_: UUID, wanted: WebhookChange) -> WebhookOut:
        """Change what is given.

        Raises:
            InvalidRequest: nothing is given, or no hook can be there.
        """
        with_events = "events" in wanted.model_fields_set
        if wanted.url is None and wanted.status is None and not with_events:
            raise _invalid("change", "must have at least one of url, events and status")
        if wanted.url is not None:
            self._check(wanted.url)
        async with self.database.transaction(principal) as connection:
            await hooks.change(
                connection,
                principal,
                id_,
                url=wanted.url,
                with_events=with_events,
                events=wanted.events,
                status=wanted.status,
            )
            found = await hooks.find(connection, principal, id_)
        if found is None:
            raise no_webhook()
        return found

    async def rotate(self, principal: Principal, id_: UUID) -> WebhookWithSecret:
        """Give a hook another secret; for a while, the one before signs beside it."""
        secret = new_secret()
        overlap_h = self.settings.webhook_secret_overlap_h
        async with self.database.transaction(principal) as connection:
            await hooks.rotate(connection, principal, id_, secret=secret, overlap_h=overlap_h)
            found = await hooks.find(connection, principal, id_)
        if found is None:
            raise no_webhook()
        return _with_secret(found, secret)

    async def delete(self, principal: Principal, id_: UUID) -> None:
        """Delete a hook, with all that waits for it."""
        async with self.database.transaction(principal) as connection:
            if not await hooks.delete(connection, principal, id_):
                raise no_webhook()

    async def deliveries(
        self,
        principal: Principal,
        id_: UUID,
        *,
        status: str | None,
        after: UUID | None,
        limit: int,
    ) -> list[DeliveryOut]:
        """What was sent to a hook and what is to be, the newest first."""
        async with self.database.transaction(principal) as connection:
            if await hooks.find(connection, principal, id_) is None:
                raise no_webhook()
            return await hooks.deliveries(
                connection, principal, id_, status=status, after=after, limit=limit
            )

    async def replay(self, principal: Principal, id_: UUID, delivery_id: UUID) -> DeliveryOut:
        """Send a delivery once more, under its old id, with a day of its own for retries."""
        async with self.database.transaction(principal) as connection:
            found = await hooks.replay(connection, principal, id_, delivery_id)
        if found is None:
            raise NotFound("No such delivery. List the webhook's deliveries to see their ids.")
        return found

    def _check(self, url: str) -> None:
        chars_max = self.settings.webhook_url_chars_max
        if len(url) > chars_max:
            raise _invalid("url", f"must have at most {chars_max} characters")
        try:
            endpoint_of(url, private=self.settings.webhook_private_addresses)
        except BadAddress as error:
            raise _invalid("url", str(error)) from error


def _with_secret(hook: WebhookOut, secret: bytes) -> WebhookWithSecret:
    return WebhookWithSecret.model_construct(**dict(hook), secret=shown_secret(secret))
