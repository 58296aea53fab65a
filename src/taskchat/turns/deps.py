"""What a turn needs from the app, built once and passed down."""

from dataclasses import dataclass
from uuid import UUID

from taskchat.assistant.run import Assistant
from taskchat.limits.buckets import RateLimits
from taskchat.postgres.database import Database
from taskchat.processes.repository import Lease
from taskchat.settings import Settings
from taskchat.settings.prices import Prices
from taskchat.turns.event_log import EventLog
from taskchat.turns.jobs import TurnJobs
from taskchat.turns.wakeups import Wakeups


@dataclass(frozen=True, slots=True)
class TurnDeps:
    """What a turn needs, built once.

    Attributes:
        process: This process, as the owner of turns.
        lease: How long a silent process keeps its turns.
        database: Where all state is stored.
        assistant: Answers the messages.
        settings: The limits.
        wakeups: Tells waiting turns that others have ended.
        jobs: The turns that this process sees through.
        events: The log that turns write their events to.
        limits: How much a user may ask for in a minute.
        prices: What models cost.
    """

    process: UUID
    lease: Lease
    database: Database
    assistant: Assistant
    settings: Settings
    wakeups: Wakeups
    jobs: TurnJobs
    events: EventLog
    limits: RateLimits
    prices: Prices
