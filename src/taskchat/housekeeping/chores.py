"""What housekeeping does: deletes what nobody will ask for again, pauses what is idle.

This is the only list of it. The SQL is where the rows are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from taskchat.accounts.store import attempts, sessions
from taskchat.auth import repository as keys
from taskchat.auth.keys import VERIFIES_S
from taskchat.conversations import repository as conversations
from taskchat.limits import repository as limits
from taskchat.postgres.database import Connection
from taskchat.presence import repository as presence
from taskchat.processes import repository as processes
from taskchat.schedules import repository as schedules
from taskchat.settings import Settings
from taskchat.sharing import repository as sharing
from taskchat.turns import store
from taskchat.webhooks.store import keeping as webhooks


class Batch(Protocol):
    """Does a part of a chore, in a system transaction."""

    async def __call__(self, connection: Connection, /, *, rows_max: int) -> int:
        """Change this many rows, or few more; fewer if these were all. Returns how many."""


@dataclass(frozen=True, slots=True)
class Chore:
    """One thing that has to be done again and again, by any process.

    Attributes:
        name: Its name in the database, in logs and metrics; it stays the same in every release.
        every_s: The time from its end to the next time that it is due.
        batch: Does a part of it. Doing it twice must harm nothing.
    """

    name: str
    every_s: float
    batch: Batch


def chores_of(settings: Settings) -> Sequence[Chore]:
    """Every chore that these settings ask for."""
    every_s, lease_s = settings.chore_interval_s, settings.lease_s
    keys_h, events_h = settings.idempotency_retention_h, settings.event_retention_h
    ended_h = settings.schedule_retention_h
    chores = [
        Chore("idempotency_keys", every_s, partial(store.claim.forget_keys, retention_h=keys_h)),
        Chore("steering_keys", every_s, partial(store.steering.forget_keys, retention_h=keys_h)),
        Chore("turn_events", every_s, partial(store.events.prune, retention_h=events_h)),
        Chore("rate_buckets", every_s, limits.forget_idle),
        Chore("schedules", every_s, partial(schedules.forget_ended, retention_h=ended_h)),
        Chore("shares", every_s, sharing.forget_expired),
        Chore("live_connections", every_s, partial(presence.forget_dead, lease_s=lease_s)),
        Chore("processes", every_s, processes.forget_dead),
        Chore("account_sessions", every_s, sessions.forget_expired),
        Chore("refresh_tokens", every_s, sessions.forget_expired_tokens),
        Chore("sign_in_buckets", every_s, attempts.forget_full),
        Chore("signing_keys", every_s, partial(keys.forget_keys, verifies_s=VERIFIES_S)),
    ]
    forget = partial(
        webhooks.forget_deliveries,
        delivered_h=settings.webhook_delivered_retention_h,
        dead_h=settings.webhook_dead_retention_h,
    )
    chores.append(Chore("webhook_deliveries", every_s, forget))
    flooded = partial(webhooks.pause_flooded, pending_max=settings.webhook_pending_max)
    chores.append(Chore("webhook_backlogs", every_s, flooded))
    if idle_h := settings.conversation_idle_h:
        pause = partial(conversations.pause_idle, idle_h=idle_h)
        chores.append(Chore("idle_conversations", every_s, pause))
    return chores
