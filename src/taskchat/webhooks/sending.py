"""Sends what waits: at least once, the first of each lane alone, a few at a time.

A delivery is taken by a lease on the database's clock. Who dies between sending and noting it
leaves the lease, and the next one sends the same id again.
"""

import asyncio
import contextlib
import random
import time
from typing import Final
from uuid import UUID

import structlog

from taskchat.errors import DatabaseError
from taskchat.moments import utc_now
from taskchat.postgres.database import Database
from taskchat.postgres.line import Precedence
from taskchat.refusals import BadConfiguration
from taskchat.settings import Settings
from taskchat.settings.webhook_secrets import read_secret
from taskchat.telemetry import metrics
from taskchat.webhooks.addresses import BadAddress, endpoint_of
from taskchat.webhooks.posting import GONE, Poster, Resolver, Result
from taskchat.webhooks.signing import signed_headers
from taskchat.webhooks.store import outcomes, queue
from taskchat.webhooks.store.outcomes import Message
from taskchat.webhooks.store.queue import Held

log = structlog.get_logger()

LEASE_MARGIN_S: Final = 5.0
"""What a lease lasts longer than an attempt may: noting what came of it waits for everybody else.
If it waits longer, somebody else sends the same id once more, which harms nobody."""

FOLLOWING_MAX: Final = 15
"""So many that follow one in its lane are sent without looking for what has been due for longer."""

DOUBLINGS_MAX: Final = 30
"""More would only be larger numbers; the longest wait is a setting."""


class Sender:
    """Sends for one process.

    Args:
        database: Where deliveries wait.
        settings: For the limits, and the operator's hook.
        resolve: Tells a name's addresses; the system's own unless told otherwise.

    Raises:
        BadConfiguration: no hook can be where the operator's is said to be.
    """

    def __init__(
        self, database: Database, settings: Settings, *, resolve: Resolver | None = None
    ) -> None:
        self._database = database
        self._settings = settings
        self._at_once = settings.webhook_concurrency
        self._lease_s = settings.webhook_timeout_s + LEASE_MARGIN_S
        self._operators_secret = None
        if settings.webhook_url is not None and settings.webhook_secret is not None:
            try:
                endpoint_of(settings.webhook_url, private=True)
            except BadAddress as error:
                raise BadConfiguration(f"TASKCHAT_WEBHOOK_URL {error}") from error
            self._operators_secret = read_secret(settings.webhook_secret.get_secret_value())
        self._poster = Poster(
            timeout_s=settings.webhook_timeout_s, at_once=self._at_once, resolve=resolve
        )
        if self._operators_secret is not None:
            # What the operator wants is refused at the start, if it can't be had.
            self._poster.open()

    async def close(self) -> None:
        """Close its connections."""
        await self._poster.close()

    async def start(self) -> None:
        """Have events noted for the operator's hook before the first one can happen.

        If the database is away, nothing can happen yet: the next look does it.
        """
        if self._operators_secret is not None:
            with contextlib.suppress(DatabaseError):
                async with self._database.system_transaction() as connection:
                    await queue.want_operators(connection)

    async def work(self) -> None:
        """Send until nothing is due and nothing is under way.

        Raises:
            DatabaseError: the database is away, or too busy.
        """
        for_operator = self._operators_secret is not None
        async with self._database.spare_transaction() as connection:
            if for_operator:
                await queue.want_operators(connection)
            lag_s = await queue.lag_s(connection, for_operator=for_operator)
        metrics.WEBHOOK_LAG.set(lag_s)
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                if room := self._at_once - len(under_way):
                    claimed, send_until = await self._claim(room)
                    under_way |= {
                        asyncio.create_task(self._deliver(held, send_until)) for held in claimed
                    }
                if not under_way:
                    return
                done, under_way = await asyncio.wait(
                    under_way,
                    timeout=self._settings.webhook_interval_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                await asyncio.gather(*done)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _claim(self, room: int) -> tuple[list[Held], float]:
        """Deliveries, and until when by this process's clock they may still be sent."""
        began = time.monotonic()
        async with self._database.spare_transaction() as connection:
            held = await queue.claim(
                connection,
                rows_max=room,
                lease_s=self._lease_s,
                hook_max=self._settings.webhook_hook_concurrency,
                for_operator=self._operators_secret is not None,
            )
        return held, began + LEASE_MARGIN_S

    async def _deliver(self, held: Held, send_until: float) -> None:
        """Send a delivery, and some that follow it in its lane."""
        try:
            message = await outcomes.read(self._database, held)
            for follows in range(FOLLOWING_MAX, -1, -1):
                if message is None:
                    return
                if time.monotonic() > send_until:
                    # The lease would end on the way, and another process send what follows.
                    await self._let_go(held)
                    return
                with metrics.WEBHOOK_SECONDS.time():
                    result = await self._post(held.id, message)
                began = time.monotonic()
                following = await self._note(held, message, result, go_on=follows > 0)
                if following is None:
                    return
                held, message = following
                send_until = began + LEASE_MARGIN_S
        except asyncio.CancelledError:
            # Who goes on need not wait for the lease to end.
            with contextlib.suppress(DatabaseError):
                await self._let_go(held)
            raise
        except DatabaseError:
            # The lease ends by itself. What may have arrived is sent once more under its id.
            log.warning("webhook.not_noted", delivery=str(held.id))

    async def _post(self, id_: UUID, message: Message) -> Result:
        settings, url, keys = self._settings, message.url, message.secrets
        private = settings.webhook_private_addresses
        if url is None:
            if settings.webhook_url is None or self._operators_secret is None:
                return Result(None, "no operator's webhook is configured")
            url, keys, private = settings.webhook_url, (self._operators_secret,), True
        moment = message.created_at.isoformat().replace("+00:00", "Z")
        # What the database keeps of an event is JSON already.
        body = (
            f'{{"type":"{message.event}","timestamp":"{moment}","data":{message.data}}}'
        ).encode()
        headers = signed_headers(str(id_), utc_now(), body, keys)
        return await self._poster.post(url, body, headers, private=private)

    async def _note(
        self, held: Held, message: Message, result: Result, *, go_on: bool
    ) -> tuple[Held, Message] | None:
        """Note what came of it; returns what follows, if it is held."""
        what = {"delivery": str(held.id), "event_type": message.event, "attempts": held.attempts}
        if held.hook is not None:
            what["webhook"] = str(held.hook)
        if result.error is None and result.status is not None:
            following = await outcomes.delivered(
                self._database, held, status=result.status, lease_s=self._lease_s, go_on=go_on
            )
            metrics.WEBHOOKS.labels("sent").inc()
            log.info("webhook.sent", status=result.status, **what)
            return following
        error = result.error or "no answer"
        async with self._database.transaction(held.principal, Precedence.SPARE) as connection:
            outcome, paused = await outcomes.failed(
                connection,
                held,
                status=result.status,
                error=error,
                wait_s=self._wait_s(held.attempts, result.retry_after_s),
                retry_h=self._settings.webhook_retry_h,
                pause_h=self._settings.webhook_pause_h,
                gone=result.status == GONE,
            )
        metrics.WEBHOOKS.labels("dead" if outcome == "dead" else "failed").inc()
        if outcome == "dead":
            log.warning("webhook.dead", error=error, **what)
        else:
            log.warning("webhook.failed", error=error, **what)
        if paused is not None:
            metrics.WEBHOOKS_PAUSED.labels(paused).inc()
            log.warning("webhook.paused", reason=paused, webhook=str(held.hook))
        return None

    def _wait_s(self, attempts: int, retry_after_s: float) -> float:
        """Until the next attempt: twice as long each time, and not when all others come."""
        most = self._settings.webhook_retry_max_s
        doubled = self._settings.webhook_retry_s * 2.0 ** min(attempts - 1, DOUBLINGS_MAX)
        jittered = min(doubled, most) * random.uniform(0.5, 1.0)  # noqa: S311
        return max(jittered, min(retry_after_s, most))

    async def _let_go(self, held: Held) -> None:
        async with self._database.transaction(held.principal, Precedence.SPARE) as connection:
            await outcomes.let_go(connection, held)
