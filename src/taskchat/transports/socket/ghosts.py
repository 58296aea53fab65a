"""Ghosts don't count: a socket that answers no ping loses its place if a newcomer needs it.

A sleeping phone, or a network that dropped its connections, says nothing, and its sockets look
alive until they miss one of the regular pings. Only when a user has no place left are all their
sockets pinged at once, on whatever process they are. No lock and no database connection is held
meanwhile.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import structlog

from taskchat.presence.repository import Joined
from taskchat.presence.service import Presence
from taskchat.principal import Principal
from taskchat.transports.socket.connections import Connection

log = structlog.get_logger()

PEER_KEY: Final = "taskchat.peer"
"""The key of a socket's `Peer` in the state of its scope."""

GRACE_S: Final = 1.0
"""How much longer other processes have: to hear of the question, and to note the answer."""

POLL_S: Final = 0.2
"""Wait between checks whether another process has found a ghost."""


class Peer(Protocol):
    """The other end of a socket."""

    async def answers(self, within_s: float) -> bool:
        """Whether it gave a sign of life just now, or answers a ping within this time."""


@dataclass(frozen=True, slots=True)
class _Watched:
    principal: Principal
    connection: Connection
    peer: Peer


class Ghosts:
    """The sockets of this process, by user, and which of them answer.

    Args:
        presence: The sockets of all processes.
        probe_s: How long a peer has to answer.
    """

    def __init__(self, presence: Presence, *, probe_s: float) -> None:
        self._presence = presence
        self._probe_s = probe_s
        self._sockets: dict[str, dict[UUID, _Watched]] = {}
        # At most one of each per user at a time, however many newcomers wait for it.
        self._here: dict[str, asyncio.Task[None]] = {}
        self._everywhere: dict[str, asyncio.Task[None]] = {}

    @contextlib.contextmanager
    def watching(
        self, principal: Principal, id_: UUID, connection: Connection, peer: Peer | None
    ) -> Iterator[None]:
        """Let a socket be pinged while the block lasts; without a peer it counts as alive."""
        if peer is None:
            yield
            return
        sockets = self._sockets.setdefault(principal.user_id, {})
        sockets[id_] = _Watched(principal, connection, peer)
        try:
            yield
        finally:
            del sockets[id_]
            if not sockets:
                self._sockets.pop(principal.user_id, None)

    async def join(self, principal: Principal, conversation_id: UUID | None) -> Joined | None:
        """Note a socket, in a ghost's place if need be; None if all of the user's are alive.

        Raises:
            NotFound: the principal has no such conversation.
            DatabaseError: it could not be noted.
        """
        joined = await self._presence.join(principal, "websocket", conversation_id)
        if joined is None:
            await self._clear(principal)
            joined = await self._presence.join(principal, "websocket", conversation_id)
        return joined

    def asked(self, user_id: str) -> None:
        """Another process needs a place for a user: see `presence.repository.PLACES_CHANNEL`."""
        if user_id in self._sockets:
            self._begin_here(user_id)

    async def look(self) -> None:
        """Ping the sockets of users who have no place left, in case no notification arrives.

        Raises:
            DatabaseError: these users could not be read.
        """
        if self._sockets:
            for user_id in await self._presence.crowded():
                self.asked(user_id)

    async def close(self) -> None:
        """Stop pinging."""
        tasks = [*self._here.values(), *self._everywhere.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _clear(self, principal: Principal) -> None:
        user_id = principal.user_id
        task = self._everywhere.get(user_id)
        if task is None:
            task = self._everywhere[user_id] = asyncio.create_task(self._ask_all(principal))
            task.add_done_callback(lambda _: self._everywhere.pop(user_id, None))
        # A newcomer that leaves must not stop the check for the others.
        await asyncio.shield(task)

    async def _ask_all(self, principal: Principal) -> None:
        others = await self._presence.ask_others(principal)
        deadline = asyncio.get_running_loop().time() + self._probe_s + GRACE_S
        await asyncio.shield(self._begin_here(principal.user_id))
        while others and asyncio.get_running_loop().time() < deadline:
            if await self._presence.has_place(principal):
                return
            await asyncio.sleep(POLL_S)

    def _begin_here(self, user_id: str) -> asyncio.Task[None]:
        task = self._here.get(user_id)
        if task is None:
            task = self._here[user_id] = asyncio.create_task(self._ask_here(user_id))
            task.add_done_callback(lambda _: self._here.pop(user_id, None))
        return task

    async def _ask_here(self, user_id: str) -> None:
        sockets = list(self._sockets.get(user_id, {}).items())
        await asyncio.gather(*(self._ask(id_, watched) for id_, watched in sockets))

    async def _ask(self, id_: UUID, watched: _Watched) -> None:
        if await watched.peer.answers(self._probe_s):
            return
        log.info("websocket.ghost")
        # Its place is free at once; a socket whose peer is silent takes a while to close.
        watched.connection.close(4008, "You answered no ping; connect again.")
        await self._presence.leave(watched.principal, id_)
