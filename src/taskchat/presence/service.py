"""Who is connected to this process, told to all the others."""

import contextlib
from uuid import UUID

from taskchat.errors import DatabaseError
from taskchat.postgres.database import Database
from taskchat.presence import repository
from taskchat.presence.repository import Joined
from taskchat.principal import Principal


class Presence:
    """The connections of one process, on record for as long as the process lives.

    Args:
        database: Where they are recorded.
        process: This process.
        lease_s: How long its connections count without a sign of life.
        websockets_max: WebSockets of one user, over all processes.
    """

    def __init__(
        self, database: Database, process: UUID, *, lease_s: float, websockets_max: int
    ) -> None:
        self._database = database
        self._process = process
        self._lease_s = lease_s
        self._websockets_max = websockets_max
        self._here: set[UUID] = set()

    async def join(
        self, principal: Principal, kind: str, conversation_id: UUID | None
    ) -> Joined | None:
        """Note a connection; None if the user has as many WebSockets as they may.

        Raises:
            NotFound: the principal has no such conversation.
            DatabaseError: it could not be noted.
        """
        joined = await repository.join(
            self._database,
            principal,
            kind=kind,
            conversation_id=conversation_id,
            process=self._process,
            lease_s=self._lease_s,
            connections_max=self._websockets_max if kind == "websocket" else None,
        )
        if joined is not None:
            self._here.add(joined.id)
        return joined

    async def has_place(self, principal: Principal) -> bool:
        """Whether a user may have one more WebSocket.

        Raises:
            DatabaseError: it could not be read.
        """
        async with self._database.transaction(principal) as connection:
            count = await repository.count(connection, principal, kind="websocket")
        return count < self._websockets_max

    async def ask_others(self, principal: Principal) -> bool:
        """Ask the other processes for a place for a user; False if they have none of its sockets.

        Raises:
            DatabaseError: they could not be asked.
        """
        async with self._database.transaction(principal) as connection:
            return await repository.ask_others(connection, principal, process=self._process)

    async def crowded(self) -> list[str]:
        """Users with a connection here who have as many WebSockets as they may.

        Raises:
            DatabaseError: it could not be read.
        """
        async with self._database.system_transaction() as connection:
            return await repository.crowded(
                connection, process=self._process, most=self._websockets_max
            )

    async def move(self, principal: Principal, id_: UUID, conversation_id: UUID) -> None:
        """Note that a connection follows this conversation now.

        Raises:
            DatabaseError: it could not be noted.
        """
        async with self._database.transaction(principal) as connection:
            await repository.move(connection, principal, id_, conversation_id)

    async def leave(self, principal: Principal, id_: UUID) -> None:
        """Note that a connection is gone; if that fails, its lease runs out."""
        self._here.discard(id_)
        with contextlib.suppress(DatabaseError):
            async with self._database.transaction(principal) as connection:
                await repository.leave(connection, principal, id_)

    async def renew(self) -> None:
        """Give a sign of life for all connections that are here."""
        if self._here:
            async with self._database.system_transaction() as connection:
                await repository.renew(
                    connection, list(self._here), process=self._process, lease_s=self._lease_s
                )
