"""The WebSockets of this process: frames go out in order, and nobody waits for a slow reader."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from starlette.types import Message, Send
from starlette.websockets import WebSocketDisconnect

from taskchat.telemetry import metrics
from taskchat.transports.socket.frames import ServerFrame, SessionEnded, SystemNotice

CLOSE_WAIT_S: Final = 2.0
"""How long a stopping process waits for frames that are still to be sent."""

RECONNECT_S: Final = (0.5, 3.0)
"""Clients of a stopping process reconnect within this range, so that not all come at once."""


class Connection:
    """An accepted socket: a bounded queue of frames, and one job that sends them.

    Args:
        send: The socket's ASGI `send`.
        queue_max: The most frames that may wait.

    Attributes:
        user_id: Whose it is; empty before that is known.
        conversation_id: The conversation that it follows; None before it has one.
        greeted: Whether its first frame is queued, so that others may follow.
        gone: Set once nothing more can be sent.
    """

    def __init__(self, send: Send, *, queue_max: int) -> None:
        self.user_id = ""
        self.conversation_id: UUID | None = None
        self.greeted = False
        self.gone = asyncio.Event()
        self._asgi_send = send
        self._queue_max = queue_max
        self._frames: deque[str] = deque()
        self._room = asyncio.Event()
        self._closing: tuple[int, str] | None = None
        self._sender: asyncio.Task[None] | None = None

    def send(self, frame: ServerFrame) -> None:
        """Queue a frame; never waits."""
        self.send_text(frame.text())

    def send_text(self, text: str) -> None:
        """Queue a frame that is already JSON."""
        if self._closing is not None or self.gone.is_set():
            return
        if len(self._frames) >= self._queue_max:
            self._frames.clear()
            self.close(1013, "You read too slowly; connect again and resume.")
            return
        self._frames.append(text)
        self._wake()

    def close(self, code: int, reason: str) -> None:
        """Close the socket after the queued frames; the first reason counts."""
        if self._closing is None and not self.gone.is_set():
            self._closing = (code, reason)
            metrics.WEBSOCKET_CLOSES.labels(str(code)).inc()
            self._wake()

    async def room(self) -> None:
        """Wait until the queue is short; for callers that have much to send."""
        while len(self._frames) > self._queue_max // 2 and not self.gone.is_set():
            self._room.clear()
            await self._room.wait()

    def lost(self) -> None:
        """Note that the peer is gone."""
        self.gone.set()
        self._frames.clear()
        self._room.set()

    async def finished(self) -> None:
        """Wait until the queued frames are sent, and the close after them."""
        if self._sender is not None:
            await asyncio.gather(self._sender, return_exceptions=True)

    def _wake(self) -> None:
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._frames:
                text = self._frames.popleft()
                await self._asgi_send({"type": "websocket.send", "text": text})
                if len(self._frames) <= self._queue_max // 2:
                    self._room.set()
            if self._closing is not None:
                code, reason = self._closing
                closing: Message = {"type": "websocket.close", "code": code, "reason": reason}
                await self._asgi_send(closing)
                self.lost()
        except (WebSocketDisconnect, OSError, RuntimeError):
            # What the framework and the server raise once the peer is gone.
            self.lost()


class Connections:
    """The sockets of this process, by conversation.

    Unlike a connection manager that sends to one session, here a session is a conversation, and
    each may have several sockets.
    """

    def __init__(self) -> None:
        self._all: set[Connection] = set()
        self.stopping = False

    def __len__(self) -> int:
        return len(self._all)

    @contextlib.contextmanager
    def holding(self, connection: Connection) -> Iterator[None]:
        """Register a connection while the block lasts."""
        self._all.add(connection)
        metrics.WEBSOCKETS.inc()
        try:
            yield
        finally:
            self._all.discard(connection)
            metrics.WEBSOCKETS.dec()

    def of(self, conversation_id: UUID) -> list[Connection]:
        """The sockets that follow a conversation."""
        return [one for one in self._greeted() if one.conversation_id == conversation_id]

    def _greeted(self) -> list[Connection]:
        return [one for one in self._all if one.greeted]

    def session_ended(
        self, conversation_id: UUID, *, but: Connection | None = None, deleted: bool = False
    ) -> None:
        """Tell the sockets of a conversation that it was ended, except the one that knows.

        Those of a deleted one are closed: there is nothing left to follow.
        """
        for connection in self.of(conversation_id):
            if connection is not but:
                connection.send(SessionEnded(conversation_id=conversation_id))
                if deleted:
                    connection.close(4004, "The conversation was deleted; connect to “new”.")

    def close_user(self, user_id: str) -> None:
        """Close a user's sockets: all that they could follow was deleted."""
        for connection in self._all:
            if connection.user_id == user_id:
                connection.close(4004, "All your data was deleted; connect to “new” to start anew.")

    def announce_shutdown(self) -> None:
        """Tell every socket to connect again elsewhere. Idempotent."""
        if not self.stopping:
            self.stopping = True
            for connection in self._greeted():
                connection.send(shutdown_notice())

    async def close_all(self) -> None:
        """Close every socket, and wait for it in bounded time."""
        connections = list(self._all)
        for connection in connections:
            connection.close(1012, "This server restarts; connect again.")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                await asyncio.gather(*(connection.finished() for connection in connections))


def shutdown_notice() -> SystemNotice:
    """A notice that says when to connect again, to another process."""
    return SystemNotice(reconnect_after=round(random.uniform(*RECONNECT_S), 1))  # noqa: S311
