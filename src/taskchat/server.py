"""Running the app under uvicorn, with its unsafe defaults mended."""

import functools
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from taskchat.http_protocol import GuardedProtocol
from taskchat.settings import Settings

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


def config_for(
    app: Any, *, settings: Settings, host: str, port: int, **options: Any
) -> uvicorn.Config:
    """Uvicorn's configuration.

    Args:
        app: The app, or its import name.
        settings: For the limits on what arrives.
        host: Address to bind.
        port: Port to bind; 0 picks one.
        options: Others of uvicorn's.
    """
    # Not a class made here: workers and reloading get this pickled.
    protocol: Any = functools.partial(GuardedProtocol, settings=settings)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        # Our own log lines carry what matters; an access log carries user ids and tokens.
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
        **options,
    )
