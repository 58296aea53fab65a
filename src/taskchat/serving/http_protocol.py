"""HTTP/1.1 on a socket: limits the bytes and the time of what has not arrived in full.

Uvicorn keeps whatever it is sent and waits for ever; the app, with its own limits, is called only
once the headers are complete. What the app can judge is left to it: this refuses what the app would
never see, or would be sure to refuse.
"""

import asyncio
from typing import Any, Final, cast

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from taskchat.errors import (
    HeadersTooLarge,
    InvalidRequest,
    PayloadTooLarge,
    RequestTimeout,
    ServiceError,
)
from taskchat.http.gate import LAST_LOOK_S, SECURITY_HEADERS, TARGET_TOO_LONG, page_headers
from taskchat.http.headers import HINTS
from taskchat.http.problems import render
from taskchat.http.requests import body_limits
from taskchat.moments import new_id
from taskchat.serving.endings import end_unhurriedly, end_with_the_connection
from taskchat.settings import Settings
from taskchat.telemetry import metrics

log = structlog.get_logger()

LINGER_S: Final = 5
"""How long to throw away what still comes after an answer. Closing with bytes unread resets the
connection, and a reset can take the answer from a client that is still sending."""

WEBSOCKET_VERSION: Final = b"13"
"""The only WebSocket version there ever was (RFC 6455)."""

SEPARATOR_BYTES: Final = 4
"""Bytes around each header: a colon, a space, and the end of the line."""

REQUEST_LINE_BYTES: Final = 64
"""Method, version and separators of a request line, generously."""

UPGRADE_LINE_BYTES_MAX: Final = 8192
"""The longest line of a WebSocket's request; the parser behind fails at a longer one."""

UPGRADE_ONCE: Final = (b"host", b"origin", b"sec-websocket-key", b"sec-websocket-version")
"""Headers of a WebSocket's request that are ambiguous if they come twice."""

WIRE_BYTES_PER_BODY_BYTE: Final = 8
"""A chunk of one byte takes six on the wire. Anything more is padding: extensions, trailers."""


class GuardedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, with limits on requests that are still arriving.

    A timer runs only while a connection waits for headers, or for the rest of a body that nobody
    wants any more; a request that arrives in one piece on an open connection starts none.

    Args:
        args: Uvicorn's.
        settings: For the limits.
        options: Uvicorn's.
    """

    def __init__(self, *args: Any, settings: Settings, **options: Any) -> None:
        super().__init__(*args, **options)
        self._settings = settings
        self._timer: asyncio.TimerHandle | None = None
        # Whether the parser is in a request's head, or in its body, or in neither.
        self._head_open = self._body_open = False
        self._heads_begun = 0
        self._head_bytes = self._body_bytes = 0
        # Whether to read the head again without its upgrade.
        self._upgrade_ignored = False
        # Whether to throw away what arrives.
        self._deaf = False

    # --- asyncio's calls ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit for the first request to begin."""
        super().connection_made(transport)
        self._arm(self._settings.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._disarm()
        super().connection_lost(exc)
        # Each holds the other, and only the collector would free them.
        self.cycle = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Parse what came, then check how much of an unfinished request there is."""
        if self._deaf:
            return
        heads_begun, between = self._heads_begun, not (self._head_open or self._body_open)
        if self._body_open:
            self._body_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        # If a head began in the middle of what came, up to one read goes uncounted.
        if self._head_open and self._heads_begun == heads_begun + between:
            self._head_bytes += len(data)
        self._look()

    def _parse(self, data: bytes) -> None:
        pieces: list[bytes | memoryview] = [data]
        try:
            while pieces:
                piece = pieces.pop()
                try:
                    self.parser.feed_data(piece)
                except httptools.HttpParserUpgrade as upgrade:
                    if self._should_upgrade():
                        self.handle_websocket_upgrade()
                        return
                    pieces += [memoryview(piece)[upgrade.args[0] :], self._head_without_upgrade()]
        except httptools.HttpParserError as error:
            refused = error.__context__
            if not isinstance(refused, ServiceError):
                refused = InvalidRequest("This is no valid HTTP/1.1 request; send one.")
            self._refuse(refused)

    def _head_without_upgrade(self) -> bytes:
        """The head that was just read, as if no upgrade had been asked for.

        A server may ignore that (RFC 9110, section 7.8), but the parser has skipped the body of
        the request. Java's client and curl ask for h2c in every first request, bodies included.
        """
        self._upgrade_ignored = False
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserInvalidMethodError
        version = self.parser.get_http_version().encode()
        if version == b"1.0":
            # For the parser, an older client's connection ends with its request.
            self.parser = httptools.HttpRequestParser(self)
        lines = [b"%b %b HTTP/%b\r\n" % (method, self.url, version)]
        lines += [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join([*lines, b"\r\n"])

    # --- the parser's calls ---

    def on_message_begin(self) -> None:
        """Note the first byte of a request."""
        self._head_open = True
        self._heads_begun += 1
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """From here on the app's own deadline applies, unless this becomes a WebSocket."""
        if self.parser.should_upgrade() and not self._should_upgrade():
            self._upgrade_ignored = True
            return
        version, names = self.parser.get_http_version(), [name for name, _ in self.headers]
        if names.count(b"host") > 1 or (version == "1.1" and b"host" not in names):
            raise InvalidRequest("An HTTP/1.1 request names its host once; send one Host header.")
        cycle = self.cycle
        super().on_headers_complete()
        self._head_open, self._body_open, self._body_bytes = False, True, 0
        if self.cycle is not cycle:
            self._disarm()
            end_unhurriedly(self.cycle, self.close_after_answer)
            if version == "1.0":
                end_with_the_connection(self.cycle)

    def on_message_complete(self) -> None:
        """Note the last byte of a request."""
        if self._upgrade_ignored:
            return
        self._body_open = False
        super().on_message_complete()

    # --- uvicorn's calls ---

    def close_after_answer(self) -> None:
        """End the connection after its last answer, which a client that still sends must get."""
        if not self._body_open or self.transport.is_closing():
            self.transport.close()
        elif not self._deaf:
            self._deaf = True
            self.pipeline.clear()
            self._linger()

    def _should_upgrade(self) -> bool:
        """Ignore an older client's upgrade (RFC 9110, section 7.8)."""
        return super()._should_upgrade() and self.parser.get_http_version() != "1.0"

    def on_response_complete(self) -> None:
        """Check what is still coming in, now that an answer is out."""
        super().on_response_complete()
        if self._deaf or self.transport.is_closing():
            return
        if self._body_open and self.cycle.response_complete:
            self._arm(LINGER_S)
        elif self._head_open:
            # It waited for the previous answer; its time begins now.
            self._unset_keepalive_if_required()
            self._arm(self._settings.header_timeout_s)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; the limits on headers hold for this request too."""
        self._disarm()
        # The parser behind takes only ASCII; a bad hint is treated as if it had not been sent.
        hints = {name.lower().encode() for name in HINTS}
        self.headers = [
            (name, value) for name, value in self.headers if value.isascii() or name not in hints
        ]
        try:
            self._check_upgrade()
        except ServiceError as error:
            self._refuse(error)
            return
        self._deaf = True
        super().handle_websocket_upgrade()
        # Each holds the other, and only the collector would free them; nobody reads here any more.
        self.parser = None  # type: ignore[assignment]

    def _check_upgrade(self) -> None:
        """Refuse what the parser behind would reject without an answer."""
        sizes = [len(name) + len(value) for name, value in self.headers]
        if (
            len(self.headers) > self._settings.header_count_max
            or sum(sizes) > self._settings.header_bytes_max
            or max(sizes, default=0) + SEPARATOR_BYTES > UPGRADE_LINE_BYTES_MAX
        ):
            raise HeadersTooLarge
        if len(self.url) + REQUEST_LINE_BYTES > UPGRADE_LINE_BYTES_MAX:
            raise InvalidRequest(TARGET_TOO_LONG)
        names = [name for name, _ in self.headers]
        if {b"content-length", b"transfer-encoding"} & set(names):
            raise InvalidRequest("A WebSocket's request has no body; leave its headers out.")
        if not all(value.isascii() for _, value in self.headers) or not self.url.isascii():
            raise InvalidRequest("Headers and address of a WebSocket's request are ASCII.")
        versions = {value for name, value in self.headers if name == b"sec-websocket-version"}
        if self.parser.get_method() != b"GET":
            raise InvalidRequest("A WebSocket is asked for by GET.")
        if versions != {WEBSOCKET_VERSION}:
            other = InvalidRequest("This server speaks version 13 of WebSockets; ask for that.")
            other.headers["Sec-WebSocket-Version"] = WEBSOCKET_VERSION.decode()
            raise other
        if any(names.count(name) > 1 for name in UPGRADE_ONCE):
            raise InvalidRequest("A header of this WebSocket's request stands there twice.")

    # --- limits ---

    def _look(self) -> None:
        if self._deaf or self.transport.is_closing():
            return
        if self._head_open:
            self._check_head()
        elif self._body_open:
            self._check_body()
        if self._timer is None and (self._head_open or not self._owes_an_answer()):
            self._arm(self._settings.header_timeout_s)

    def _check_head(self) -> None:
        settings = self._settings
        separators = REQUEST_LINE_BYTES + SEPARATOR_BYTES * settings.header_count_max
        if len(self.url) > settings.header_bytes_max:
            self._refuse(InvalidRequest(TARGET_TOO_LONG))
        elif (
            len(self.headers) > settings.header_count_max
            or self._head_bytes - len(self.url) > settings.header_bytes_max + separators
        ):
            self._refuse(HeadersTooLarge())

    def _check_body(self) -> None:
        settings = self._settings
        limit = body_limits(self.scope, settings).bytes_max
        most = WIRE_BYTES_PER_BODY_BYTE * limit + settings.header_bytes_max
        if self._body_bytes > most:
            self._refuse(PayloadTooLarge())

    def _time_is_up(self) -> None:
        self._timer = self.loop.call_later(LAST_LOOK_S, self._time_was_up)

    def _time_was_up(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if not self._head_open:
            self.transport.close()
        elif not self._owes_an_answer():
            self._refuse(RequestTimeout())

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._time_is_up)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- refusing ---

    def _owes_an_answer(self) -> bool:
        # Uvicorn's type leaves out that there is none at first.
        cycle = cast(RequestResponseCycle | None, self.cycle)
        return cycle is not None and not cycle.response_complete

    def _refuse(self, error: ServiceError) -> None:
        """Take nothing more on this connection, and say why if this request's answer is due."""
        self._deaf = True
        self._head_open = False
        if not self._owes_an_answer():
            if not self._body_open:
                self._write(error)
            self._linger()
        elif self._body_open and not self.cycle.response_started and not self.pipeline:
            self._write(error)
            # As if the client had left: the app stops waiting for the rest.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._linger()
        else:
            # Earlier requests come first; the refused one gets no answer, only the end.
            self.cycle.keep_alive = False
            self._disarm()

    def _write(self, error: ServiceError) -> None:
        request_id = str(new_id())
        metrics.CONNECTIONS_REFUSED.labels(error.code).inc()
        log.info("connection.refused", error_code=error.code, request_id=request_id)
        # As far as it has arrived: it says whose form of an error is read there.
        path = (self.url or b"").decode("latin-1")
        response = render(error, request_id=request_id, path=path)
        response.headers["Connection"] = "close"
        response.headers.update(SECURITY_HEADERS)
        response.headers.update(page_headers(self._settings.origins, self._origin()))
        headers = [*self.server_state.default_headers, *response.raw_headers]
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        body = bytes(response.body)
        self.transport.write(b"".join([STATUS_LINE[error.status], *lines, b"\r\n", body]))

    def _origin(self) -> str | None:
        """The origin of the requesting page, as far as it has arrived."""
        headers = cast(list[tuple[bytes, bytes]] | None, self.headers) or []
        return next((value.decode("latin-1") for name, value in headers if name == b"origin"), None)

    def _linger(self) -> None:
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._arm(LINGER_S)
