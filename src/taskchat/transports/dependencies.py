"""What every way in gets from the app."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends

from taskchat.auth.dependencies import Authenticator
from taskchat.http.dependencies import given
from taskchat.http.ids import path_id
from taskchat.limits.buckets import RateLimits
from taskchat.live.feed import Feed
from taskchat.postgres.database import Database
from taskchat.presence.service import Presence
from taskchat.settings import Settings
from taskchat.transports.socket.connections import Connections
from taskchat.transports.socket.ghosts import Ghosts
from taskchat.turns.deps import TurnDeps


@dataclass(frozen=True, slots=True)
class LiveDeps:
    """What streams and sockets need.

    Attributes:
        authenticator: Verifies who connects.
        turns: Accepts and runs turns.
        feed: Reports what happens in conversations.
        presence: Tells other processes who is connected.
        connections: The WebSockets of this process.
        ghosts: Finds those of a user's WebSockets that are no longer alive.
    """

    authenticator: Authenticator
    turns: TurnDeps
    feed: Feed
    presence: Presence
    connections: Connections
    ghosts: Ghosts

    @property
    def settings(self) -> Settings:
        """Limits."""
        return self.turns.settings

    @property
    def database(self) -> Database:
        """Where events are stored."""
        return self.turns.database

    @property
    def limits(self) -> RateLimits:
        """How much a user may ask for."""
        return self.turns.limits


CurrentTurns = Annotated[TurnDeps, Depends(given(TurnDeps))]

CurrentLive = Annotated[LiveDeps, Depends(given(LiveDeps))]


TurnId = Annotated[UUID, path_id("turn_id", "turn")]
