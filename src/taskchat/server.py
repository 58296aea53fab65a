"""Running the app under uvicorn, with its unsafe defaults mended."""

import functools
import gc
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import ChangeReload, Multiprocess

from taskchat.app import create_app
from taskchat.http_protocol import GuardedProtocol
from taskchat.settings import Settings
from taskchat.websocket_protocol import GuardedWebSocketProtocol

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
        settle_memory()
        if self.started:
            self._announce()


def settle_memory() -> None:
    """Spare the garbage collector what lives as long as the process.

    A full collection stops everything for as long as it looks at all there is; most of that was
    there before the first request.
    """
    gc.collect()
    gc.freeze()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; what comes before the app is up waits in line.

    Raises:
        OSError: the address is taken, or isn't ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.create_server((host, port), family=family, backlog=2048)
    # Workers and a reloading server run in processes of their own.
    sock.set_inheritable(True)
    return sock


def url_of(sock: socket.socket) -> str:
    """The address that a listening socket is reached at."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    settings: Settings,
    sock: socket.socket,
    *,
    announce: Callable[[str], None],
    workers: int = 1,
    reload: bool = False,
) -> None:
    """Serve until a signal says stop.

    Args:
        settings: For the app and its limits.
        sock: Where it listens.
        announce: Told, in one line, once requests are accepted.
        workers: Processes to serve with.
        reload: Start anew whenever the code changes.
    """
    line = f"taskchat serves on {url_of(sock)}"
    if workers == 1 and not reload:
        server = AnnouncingServer(_config(create_app(settings), settings), lambda: announce(line))
        server.run(sockets=[sock])
        return
    # The app starts in processes of its own; until then requests wait in line.
    announce(line)
    if reload:
        code = str(Path(__file__).parent)
        config = _config(IMPORT_NAME, settings, reload=True, reload_dirs=[code])
        ChangeReload(config, target=uvicorn.Server(config).run, sockets=[sock]).run()
    else:
        Multiprocess(_config(IMPORT_NAME, settings, workers=workers), sockets=[sock]).run()


def _config(app: Any, settings: Settings, **options: Any) -> uvicorn.Config:
    """Uvicorn's configuration for the app, or for its import name."""
    # Not a class made here: workers and reloading get this pickled.
    protocol: Any = functools.partial(GuardedProtocol, settings=settings)
    return uvicorn.Config(
        app,
        http=protocol,
        ws=GuardedWebSocketProtocol,
        ws_max_size=settings.websocket_frame_bytes_max,
        ws_ping_interval=settings.websocket_ping_s,
        ws_ping_timeout=settings.websocket_ping_s,
        # Events are small; a compressor of its own for each idle socket is not.
        ws_per_message_deflate=False,
        # Our own log lines carry what matters; an access log carries user ids and tokens.
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
        **options,
    )
