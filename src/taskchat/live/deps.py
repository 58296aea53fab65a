"""What streams and sockets need from the app, built once and passed down."""

from dataclasses import dataclass

from taskchat.auth.dependencies import Authenticator
from taskchat.db import Database
from taskchat.limits.buckets import RateLimits
from taskchat.live.connections import Connections
from taskchat.live.feed import Feed
from taskchat.live.ghosts import Ghosts
from taskchat.presence.service import Presence
from taskchat.settings import Settings
from taskchat.turns.deps import TurnDeps


@dataclass(frozen=True, slots=True)
class LiveDeps:
    """What streams and sockets need.

    Attributes:
        settings: Limits.
        database: Where events are.
        authenticator: Who comes.
        turns: What takes and runs turns.
        limits: How much a user may ask for.
        feed: What happens in conversations.
        presence: Who is connected, told to other processes.
        connections: The WebSockets of this process.
        ghosts: Which of a user's WebSockets are not alive.
    """

    settings: Settings
    database: Database
    authenticator: Authenticator
    turns: TurnDeps
    limits: RateLimits
    feed: Feed
    presence: Presence
    connections: Connections
    ghosts: Ghosts
