"""Running the app under uvicorn, with its unsafe defaults mended."""

import contextlib
import functools
import multiprocessing
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.supervisors.watchfilesreload import WatchFilesReload

from taskchat.app import create_app
from taskchat.refusals import CannotStart, refusal_of
from taskchat.serving.http_protocol import GuardedProtocol
from taskchat.serving.listening import url_of
from taskchat.serving.memory import settle_memory
from taskchat.serving.websocket_protocol import GuardedWebSocketProtocol
from taskchat.serving.workers import Workers, begin_child, serve_in_child
from taskchat.settings import Settings
from taskchat.signals import STOPPED, end_on_signals, exiting_as_told, heeded
from taskchat.telemetry.console import say

IMPORT_NAME = "taskchat.main:app"
"""The app's import name, for workers and for reloading."""

GRACE_S = 5
"""Nothing should be open after the drain any more; what is gets this long, not for ever."""


class AppLifespan(LifespanOn):
    """The app's lifespan; remembers what ended it."""

    failure: BaseException | None = None

    async def main(self) -> None:
        """Like the server's own, which would at most log the reason."""
        scope = {
            "type": "lifespan",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self.config.loaded_app(scope, self.receive, self.send)
        except BaseException as error:
            self.failure, self.error_occurred = error, True
        finally:
            self.startup_event.set()
            self.shutdown_event.set()


class AnnouncingServer(uvicorn.Server):
    """A server that says when it accepts requests, and why it does not."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        config.load()
        config.lifespan_class = AppLifespan
        self._announce = announce
        self._refusal: CannotStart | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce.

        Raises:
            CannotStart: the app can't.
        """
        try:
            allow_files()
            await super().startup(sockets=sockets)
        except SystemExit:
            assert isinstance(self.lifespan, AppLifespan)  # noqa: S101 - set in __init__
            failure = self.lifespan.failure
            assert failure is not None  # noqa: S101 - it is why the server gives up
            raise refusal_of(failure) from failure
        settle_memory()
        if not self.should_exit:
            try:
                self._announce()
            except OSError as error:
                # The app is up by now, and has to be shut down in order.
                self._refusal, self.should_exit = refusal_of(error), True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop.

        Raises:
            CannotStart: the app can't, or nobody can be told that it has.
        """
        super().run(sockets)
        if self._refusal is not None:
            raise self._refusal


def allow_files() -> None:
    """Open as many files as the system lets a process; the usual 1,024 are 500 turns at once."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            # macOS says that there is no limit, and takes no such number.
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


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
        sock: The listening socket.
        announce: Called with one line, once requests are accepted.
        workers: How many processes to serve with.
        reload: Start anew whenever the code changes.

    Raises:
        CannotStart: the app can't.
    """

    def announce_line() -> None:
        announce(f"taskchat serves on {url_of(sock)}")

    end_on_signals(STOPPED)
    settle_memory()
    if workers > 1:
        Workers(functools.partial(serve_in_child, settings), sock, workers).run(announce_line)
    if not reload:
        serve(settings, [sock], announce_line)
        return
    code = str(Path(__file__).parent)
    config = _config(IMPORT_NAME, settings, reload=True, reload_dirs=[code])
    ready, tell = multiprocessing.get_context("spawn").Pipe(duplex=False)
    target = functools.partial(_serve_anew, settings, functools.partial(tell.send, None))

    def announce_when_ready() -> None:
        ready.recv()
        announce_line()

    threading.Thread(target=announce_when_ready, daemon=True).start()
    Reloader(config, target=target, sockets=[sock]).run()


class Reloader(WatchFilesReload):
    """Starts the app anew when its code changes."""

    def run(self) -> NoReturn:
        """Run until a signal says stop.

        Raises:
            SystemExit: with the code of the signal.
        """
        for number in heeded():
            signal.signal(number, self.signal_handler)
        super().run()
        sys.exit(STOPPED[self._stopped_by])

    def signal_handler(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and remember why."""
        self._stopped_by = signal.Signals(sig)
        super().signal_handler(sig, frame)


def serve(settings: Settings, sockets: list[socket.socket], announce: Callable[[], None]) -> None:
    """Serve in this process until told to stop.

    Raises:
        CannotStart: the app can't, or nobody can be told that it has.
    """
    AnnouncingServer(_config(create_app(settings), settings), announce).run(sockets)


def _serve_anew(
    settings: Settings, ready: Callable[[], None], sockets: list[socket.socket]
) -> None:
    """Serve until the code changes; a failed start is reported, and retried on the next change."""
    begin_child()
    try:
        with exiting_as_told():
            serve_in_child(settings, sockets, ready)
    except (CannotStart, OSError) as error:
        refusal = refusal_of(error)
        say(f"taskchat: {refusal}", error=True)
        sys.exit(refusal.exit_code)


def _config(app: Any, settings: Settings, **options: Any) -> uvicorn.Config:
    """Uvicorn's configuration for the app, or for its import name."""
    # Not a class made here: workers and reloading have to pickle this.
    protocol: Any = functools.partial(GuardedProtocol, settings=settings)
    sockets: Any = functools.partial(GuardedWebSocketProtocol, stall_s=settings.websocket_stall_s)
    return uvicorn.Config(
        app,
        http=protocol,
        ws=sockets,
        ws_max_size=settings.websocket_frame_bytes_max,
        ws_ping_interval=settings.websocket_ping_s,
        ws_ping_timeout=settings.websocket_ping_s,
        # Events are small; a compressor for each idle socket is not.
        ws_per_message_deflate=False,
        # Our own log lines carry what matters; an access log carries user ids and tokens.
        log_config=None,
        access_log=False,
        server_header=False,
        # Who is believed about a client's address; nobody else can say that they are another.
        forwarded_allow_ips=settings.forwarded_allow_ips,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
        **options,
    )
