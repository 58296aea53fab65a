"""WebSocket on a connection: a peer that takes nothing more is let go of.

Uvicorn waits for ever until a peer reads what was sent to it, and keeps the connection and all that
is behind it for as long.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

STALL_S: Final = 10.0
"""How long a peer may leave unread what the operating system holds for it."""


class GuardedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's protocol, with a limit on a peer's silence while it has something to read."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stall: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The peer does not read as fast as it is written to."""
        super().pause_writing()
        self._stall = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        self._forget_stall()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_stall()
        super().connection_lost(exc)

    def _forget_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
