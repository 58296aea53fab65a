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
"""How long a stopping process waits for what it has still to send."""

RECONNECT_S: Final = (0.5, 3.0)
"""Between which clients of a stopping process connect again, spread lest all come at once."""


class Connection:
    """One socket that was accepted: a bounded line of frames, and one job that sends them.

    Args:
        send: The socket's ASGI side.
        queue_max: Frames that may wait.

    Attributes:
        conversation_id: Which conversation it follows; None before it has one.
        greeted: Whether its first frame is in line, behind which others may come.
        gone: Set once nothing more can be sent.
    """

    def __init__(self, send: Send, *, queue_max: int) -> None:
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
        """Put a frame in line; never waits."""
        self.send_text(frame.text())

    def send_text(self, text: str) -> None:
        """Put a frame in line that is JSON already."""
        if self._closing is not None or self.gone.is_set():
            return
        if len(self._frames) >= self._queue_max:
            self._frames.clear()
            self.close(1013, "You read too slowly; connect again and resume.")
            return
        self._frames.append(text)
        self._wake()

    def close(self, code: int, reason: str) -> None:
        """Close the socket behind the frames that are in line; the first reason counts."""
        if self._closing is None and not self.gone.is_set():
            self._closing = (code, reason)
            metrics.WEBSOCKET_CLOSES.labels(str(code)).inc()
            self._wake()

    async def room(self) -> None:
        """Wait until little is in line: for who has much to send."""
        while len(self._frames) > self._queue_max // 2 and not self.gone.is_set():
            self._room.clear()
            await self._room.wait()

    def lost(self) -> None:
        """The peer is gone."""
        self.gone.set()
        self._frames.clear()
        self._room.set()

    async def finished(self) -> None:
        """Wait for the frames in line, and for the close behind them."""
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
            # What framework and server raise once the peer is gone.
            self.lost()


class Connections:
    """The sockets of this process, by conversation.

    The counterpart of a connection manager that sends to one session: here a session is a
    conversation, and each may have several sockets.
    """

    def __init__(self) -> None:
        self._all: set[Connection] = set()
        self.stopping = False

    def __len__(self) -> int:
        return len(self._all)

    @contextlib.contextmanager
    def holding(self, connection: Connection) -> Iterator[None]:
        """Keep a connection among these while the block lasts."""
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

    def session_ended(self, conversation_id: UUID, *, but: Connection | None = None) -> None:
        """Tell the sockets of a conversation that it was ended; one of them knows."""
        for connection in self.of(conversation_id):
            if connection is not but:
                connection.send(SessionEnded(conversation_id=conversation_id))

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
    """When to connect again, somewhere else."""
    return SystemNotice(reconnect_after=round(random.uniform(*RECONNECT_S), 1))  # noqa: S311
