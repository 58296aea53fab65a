"""What every request passes first: it gets an id, limits on headers, and a deadline for its body.

Pure ASGI: nothing is buffered, and a stream stays a stream.
"""

import asyncio
import contextlib
import re
import time
from contextlib import AbstractContextManager
from typing import Final
from urllib.parse import unquote_to_bytes

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskchat.errors import (
    HeadersTooLarge,
    InternalError,
    InvalidRequest,
    NotFound,
    RequestTimeout,
    ServiceError,
    ShuttingDown,
)
from taskchat.http.headers import METHODS, REQUEST_HEADERS, REQUEST_ID_HEADER, RESPONSE_HEADERS
from taskchat.http.problems import render
from taskchat.http.requests import (
    BODY_KEY,
    HEAD_KEY,
    HELD_KEY,
    accept_of,
    body_limits,
    request_id_of,
    route_of,
)
from taskchat.settings import Settings
from taskchat.settings.origins import ANY, Origins
from taskchat.telemetry import metrics
from taskchat.telemetry.timing import accounted, server_timing
from taskchat.telemetry.traces import UNTRACED, Span, span

log = structlog.get_logger()

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
}
"""Answers belong to one person: no cache keeps them, no browser guesses their type, and opened as a
page they load nothing and stand in no other page. Pages have a policy of their own."""

LAST_LOOK_S: Final = 0.1
"""How much longer, once, a client is waited for when its time is over. A loop that was busy finds
its timers expired before it has read what arrived meanwhile."""

TARGET_TOO_LONG: Final = "The address is too long; send less in its path and query."
"""The limit on an address is the one on all headers together."""

PROBES: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by machines; a trace of it tells nothing."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


PREFLIGHT_MAX_AGE_S: Final = 600
"""How long a browser need not ask again; a change of the list takes no longer to reach it."""


def page_headers(origins: Origins, origin: str | None) -> dict[str, str]:
    """What lets a page read an answer.

    Args:
        origins: The origins that may.
        origin: The page's; None if no browser asks, or if it does not say so.
    """
    if origins.any:
        shown = {"Access-Control-Allow-Origin": ANY}
    elif origin is not None and origins.allow(origin):
        shown = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    else:
        return {"Vary": "Origin"} if origins else {}
    return {**shown, "Access-Control-Expose-Headers": ", ".join(RESPONSE_HEADERS)}


def secure_headers(settings: Settings, scheme: str) -> dict[str, str]:
    """What tells a browser to come by HTTPS from now on, where it has done so.

    Args:
        settings: For how long.
        scheme: How the request came, as a trusted proxy says.
    """
    if scheme != "https" or not settings.hsts_s:
        return {}
    subdomains = "; includeSubDomains" if settings.hsts_subdomains else ""
    return {"Strict-Transport-Security": f"max-age={settings.hsts_s}{subdomains}"}


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    asks = "origin" in headers and "access-control-request-method" in headers
    return bool(scope["method"] == "OPTIONS" and asks)


def _preflight(origins: Origins, headers: Headers) -> Response:
    """Answer a browser's preflight request, whatever the address.

    Raises:
        InvalidRequest: pages may not send such a request.
    """
    if not origins.allow(headers["origin"]):
        raise InvalidRequest(
            "Pages of this origin may not use the service; see TASKCHAT_ALLOWED_ORIGINS."
        )
    wanted = ",".join(headers.getlist("access-control-request-headers")).lower().split(",")
    known = {"", *(name.lower() for name in REQUEST_HEADERS)}
    answer = {
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS),
        "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE_S),
    }
    if headers["access-control-request-method"] not in METHODS or not known.issuperset(
        name.strip() for name in wanted
    ):
        error = InvalidRequest(f"A page may send {', '.join(METHODS)} with the headers allowed.")
        error.headers = answer
        raise error
    return Response(status_code=200, headers=answer)


def _method_of(scope: Scope) -> str:
    # Any word may be sent as a method; a series of its own for each would fill the memory.
    method = str(scope["method"])
    return method if method in METHODS else "other"


def _traced(scope: Scope, method: str, headers: Headers) -> AbstractContextManager[Span]:
    """The span of a request. Of its address it has the route alone: a path names a user."""
    if scope["path"] in PROBES:
        return UNTRACED
    attributes = {
        "http.request.method": method,
        "url.scheme": scope["scheme"],
        "taskchat.request_id": request_id_of(scope),
    }
    return span(method, attributes, kind="server", parent=headers.get("traceparent"))


def _note(traced: Span, scope: Scope, method: str, status: int, took_s: float) -> None:
    """Note an answer that begins."""
    route = route_of(scope)
    metrics.HTTP_REQUESTS.labels(route, method, str(status)).inc()
    metrics.HTTP_SECONDS.labels(route, method).observe(took_s)
    traced.name(f"{method} {route}")
    traced.note({"http.route": route, "http.response.status_code": status})
    if status >= 500:
        traced.fail(str(status))


def _may_be_timed(status: int) -> bool:
    """Whether an answer may tell its time: no refusal, which could tell how it came about."""
    return status < 300 or status >= 500


class BrokenAnswer(Exception):
    """An answer that has begun can't go on.

    Its connection is closed, so that nobody takes what came for the whole.
    """


class RequestGate:
    """The outermost layer; the last place where an exception can become an answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, within its limits."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limits = body_limits(scope, self._settings)
        scope[BODY_KEY] = limits.bytes_max
        request_id = request_id_of(scope)
        began, method = time.monotonic(), _method_of(scope)
        # HEAD gets what GET would get, without the body.
        only_head = method == "HEAD"
        asked = Headers(scope=scope)
        for_pages = page_headers(self._settings.origins, asked.get("origin"))
        secure = SECURITY_HEADERS | secure_headers(self._settings, scope.get("scheme", "http"))
        held = contextlib.ExitStack()
        scope[HELD_KEY] = held
        if only_head:
            scope = {**scope, "method": "GET", HEAD_KEY: True}
        begun = False

        def rendered(error: ServiceError) -> Response:
            accept = accept_of(scope)
            return render(error, request_id=request_id, accept=accept, path=scope["path"])

        async def send_with_id(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                took_s, status = time.monotonic() - began, message["status"]
                _note(traced, scope, method, status, took_s)
                headers = MutableHeaders(scope=message)
                if self._settings.server_timing and _may_be_timed(status):
                    headers["Server-Timing"] = server_timing(spent, took_s)
                # An error that is repeated carries the id under which it happened.
                headers.setdefault(REQUEST_ID_HEADER, request_id)
                for name, value in secure.items():
                    headers.setdefault(name, value)
                for name, value in for_pages.items():
                    if name == "Vary":
                        headers.add_vary_header(value)
                    else:
                        headers[name] = value
                await send(message)
                if only_head:
                    # At once, so that a stream ends here as if its reader had gone.
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif not only_head:
                await send(message)

        with (
            held,
            structlog.contextvars.bound_contextvars(request_id=request_id),
            metrics.HTTP_UNDER_WAY.track_inprogress(),
            _traced(scope, method, asked) as traced,
            accounted() as spent,
        ):
            try:
                self._check_headers(scope)
                if _is_preflight(scope, asked):
                    response = _preflight(self._settings.origins, asked)
                    await response(scope, receive, send_with_id)
                    return
                self._check_target(scope)
                await self.app(scope, self._timed(receive, limits.timeout_s), send_with_id)
            except ServiceError as error:
                if begun:
                    raise
                response = rendered(error)
                await response(scope, receive, send_with_id)
            except asyncio.CancelledError:
                # The server stops and gives up on what still waits. Without an answer of ours it
                # would make up one of its own.
                if not begun:
                    response = rendered(ShuttingDown(retry_after_s=1))
                    await response(scope, receive, send_with_id)
                raise
            except BrokenAnswer:
                raise
            except Exception:
                log.exception("request.crashed")
                if begun:
                    raise
                response = rendered(InternalError())
                await response(scope, receive, send_with_id)

    def _check_headers(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        size = sum(len(name) + len(value) for name, value in headers)
        if len(headers) > self._settings.header_count_max or size > self._settings.header_bytes_max:
            raise HeadersTooLarge
        names = [name for name, _ in headers]
        # Two ways to find the body's end are one too many: this is how requests are smuggled.
        if b"content-length" in names and b"transfer-encoding" in names:
            raise InvalidRequest("Send Content-Length or Transfer-Encoding, not both.")

    def _check_target(self, scope: Scope) -> None:
        """Check that an address has only one spelling, as far as routes can tell.

        The router sees the decoded path: to it `a%2Fchat` is the chat of `a`, and a line end after
        a path is no part of it.
        """
        raw: bytes = scope.get("raw_path") or b""
        if len(raw) + len(scope["query_string"]) > self._settings.header_bytes_max:
            raise InvalidRequest(TARGET_TOO_LONG)
        if b"%" not in raw:
            return
        decoded = unquote_to_bytes(raw)
        try:
            path = decoded.decode()
        except UnicodeDecodeError:
            raise NotFound from None
        if _CONTROL.search(path) or decoded.count(b"/") != raw.count(b"/"):
            raise NotFound

    def _timed(self, receive: Receive, timeout_s: float) -> Receive:
        deadline = time.monotonic() + timeout_s
        complete = looked = False

        async def receive_in_time() -> Message:
            nonlocal complete, looked
            if complete:
                return await receive()
            try:
                try:
                    async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                        message = await receive()
                except TimeoutError:
                    if looked:
                        raise
                    looked = True
                    async with asyncio.timeout(LAST_LOOK_S):
                        message = await receive()
                    if message["type"] == "http.disconnect":
                        raise
            except TimeoutError as error:
                raise RequestTimeout from error
            complete = not message.get("more_body", False)
            return message

        return receive_in_time
