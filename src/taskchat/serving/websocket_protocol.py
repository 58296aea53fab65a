"""WebSocket on a connection: a peer gets its share of this process, and no more.

Uvicorn parses whatever has arrived at once, answers every ping however many come, and waits for
ever until a peer reads what it was sent: one peer could block all others, admitted or not.
"""

import asyncio
import contextlib
import math
import secrets
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from taskchat.transports.socket.ghosts import PEER_KEY

SLICE_BYTES: Final = 16_384
"""Parsed at once, before others have their turn. In the worst case, frames of six bytes, this takes
some nine milliseconds, and such a peer is refused after it."""

FRAMES_BURST: Final = 500
FRAMES_PER_S: Final = 100.0
"""Frames of any kind that a peer may send, pings and parts of messages among them. Typing, pinging
and resuming take a few per second."""

POLICY_VIOLATION: Final = 1008
"""RFC 6455, section 7.4.1: a message that violates the server's policy."""


class GuardedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's protocol, with limits on what a peer can make it do.

    Args:
        stall_s: How long a peer may leave unread what the operating system holds for it.
        args: As uvicorn has them.
        options: The same.
    """

    def __init__(self, *args: Any, stall_s: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stall_s = stall_s
        self._stall: asyncio.TimerHandle | None = None
        self._unparsed = bytearray()
        self._next_slice: asyncio.Handle | None = None
        self._frames_left = float(FRAMES_BURST)
        self._frames_at = self.loop.time()
        self._heard = asyncio.Event()
        self._heard_at = -math.inf
        self._told: dict[str, Any] = {}

    # --- signs of life ---

    def handle_connect(self, event: Request) -> None:
        """Let the app ask for signs of life."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self._told = self.scope["state"]
            self._told[PEER_KEY] = self

    async def answers(self, within_s: float) -> bool:
        """Whether the peer sent anything just now, or does within this time after a ping."""
        if self.loop.time() - self._heard_at <= within_s:
            return True
        if self.close_sent or self.transport.is_closing():
            return False
        self._heard.clear()
        self.conn.send_ping(secrets.token_bytes(4))
        self.transport.write(b"".join(self.conn.data_to_send()))
        asked_at, unread = self.loop.time(), self.transport.get_write_buffer_size()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._heard.wait()
        # When the loop was late, timers are due before it has read what came in time.
        for _ in range(2):
            await asyncio.sleep(0)
        # A peer is no ghost if it has unparsed frames, or still reads what came before the ping.
        behind = self.read_paused or self._next_slice is not None
        return (
            self._heard_at >= asked_at or behind or self.transport.get_write_buffer_size() < unread
        ) and not self.transport.is_closing()

    # --- what comes in ---

    def data_received(self, data: bytes) -> None:
        """Parse a slice now, and what is left when others have had their turn."""
        if self.handshake_complete:
            self._heard_at = self.loop.time()
            self._heard.set()
        self._unparsed += data
        if self._next_slice is None:
            self._parse()
        else:
            # Uvicorn resumes reading once the app took a message; there is enough to parse.
            self.transport.pause_reading()

    def _parse(self) -> None:
        self._next_slice = None
        if self.transport.is_closing():
            self._unparsed.clear()
            return
        piece = bytes(self._unparsed[:SLICE_BYTES])
        del self._unparsed[: len(piece)]
        super().data_received(piece)
        if self._unparsed and not self.transport.is_closing():
            self.transport.pause_reading()
            self._next_slice = self.loop.call_soon(self._parse)
        elif not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def handle_events(self) -> None:
        """Act on the frames of a slice, as long as the peer keeps to its share."""
        frames = sum(isinstance(event, Frame) for event in self.conn.events)
        if self._may_send(frames):
            super().handle_events()
        else:
            self.conn.events_received()
            self._refuse()

    def _may_send(self, frames: int) -> bool:
        now = self.loop.time()
        refilled = self._frames_left + (now - self._frames_at) * FRAMES_PER_S
        self._frames_left, self._frames_at = min(float(FRAMES_BURST), refilled) - frames, now
        return self._frames_left >= 0

    def _refuse(self) -> None:
        """Say why, and close: what such a peer still sends is not read."""
        self._unparsed.clear()
        if not self.close_sent:
            self.conn.send_close(POLICY_VIOLATION, "Too many frames.")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": POLICY_VIOLATION})
        self.transport.close()

    # --- what goes out ---

    def pause_writing(self) -> None:
        """The peer reads more slowly than it is written to."""
        super().pause_writing()
        self._stall = self.loop.call_later(self._stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        self._forget_stall()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_stall()
        if self._next_slice is not None:
            self._next_slice.cancel()
        super().connection_lost(exc)
        # Each holds the other, and only the collector would free them with all that they hold.
        self._told.pop(PEER_KEY, None)

    def _forget_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
