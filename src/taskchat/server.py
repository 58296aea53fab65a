"""Running the app under uvicorn, with its unsafe defaults mended."""

import socket
from collections.abc import Callable
from typing import Any

import uvicorn

IMPORT_NAME = "taskchat.main:app"
"""For workers and for reloading, which import the app anew."""

GRACE_S = 5
"""After the drain nothing should be open any more; what is gets this long, not for ever."""


class AnnouncingServer(uvicorn.Server):
    """A server that says when it accepts requests."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce."""
        await super().startup(sockets=sockets)
        if self.started:
            self._announce()


def config_for(app: Any, *, host: str, port: int, **options: Any) -> uvicorn.Config:
    """Uvicorn's configuration.

    Args:
        app: The app, or its import name.
        host: Address to bind.
        port: Port to bind; 0 picks one.
        options: Others of uvicorn's.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        # Our own log lines carry what matters; an access log carries user ids and tokens.
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
        **options,
    )
