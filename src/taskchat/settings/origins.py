"""Origins of pages: one parser for HTTP and for sockets, for listed and for sent origins."""

import functools
import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

ANY: Final = "*"
"""Stands for pages of every origin. Tokens are sent explicitly, and there are no cookies."""

NULL: Final = "null"
"""What a browser sends for a page that has no origin, such as a file or a sandboxed frame."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
"""Browsers leave these ports out."""

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*", re.IGNORECASE)
_HOST: Final = re.compile(r"(?!.*\.\.)[a-z0-9_-][a-z0-9_.-]*")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SEPARATOR: Final = re.compile(r"[\s,]+")


class Origins:
    """The origins whose pages browsers may use the service from.

    Args:
        text: Origins, separated by commas; `*` is any, `https://*.example.org` any below a host.

    Raises:
        ValueError: one of them could never match; the message says what to write.
    """

    def __init__(self, text: str) -> None:
        items = [item for item in _SEPARATOR.split(text) if item]
        self.any = ANY in items
        self._exact = frozenset(origin_of(item) for item in items if item != ANY)
        self._below = [
            (before, after)
            for before, found, after in (origin.partition("*") for origin in self._exact)
            if found
        ]

    def __bool__(self) -> bool:
        return self.any or bool(self._exact)

    def allow(self, origin: str) -> bool:
        """Whether pages of this origin, as a browser sends it, may use the service."""
        if self.any:
            return True
        try:
            origin = origin_of(origin)
        except ValueError:
            return False
        return "*" not in origin and (
            origin in self._exact
            or any(
                origin.startswith(before) and origin.endswith(after)
                for before, after in self._below
            )
        )


@functools.lru_cache
def origins_of(text: str) -> Origins:
    """The origins in a text, read once."""
    return Origins(text)


def origin_of(text: str) -> str:
    """An origin in the one form that browsers send.

    Raises:
        ValueError: it names no origin; the message says what to write.
    """
    if text.lower() == NULL:
        return NULL
    scheme, found, _ = text.partition("://")
    if not found or not _SCHEME.fullmatch(scheme):
        raise ValueError(f"{text!r} has no scheme; write an origin as https://app.example.org")
    scheme = scheme.lower()
    if scheme in {"ws", "wss"}:
        raise ValueError(f"{text!r}: a page's origin begins with http:// or https://")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} has no valid host and port") from None
    if "@" in parts.netloc:
        raise ValueError("an origin holds no user and no password; leave them out")
    host = _host(text, parts)
    if port == 0:
        raise ValueError(f"{text!r}: no page is served at port 0")
    ending = "" if port in {None, DEFAULT_PORTS.get(scheme)} else f":{port}"
    origin = f"{scheme}://{host}{ending}"
    if parts.path not in {"", "/"} or "?" in text or "#" in text:
        raise ValueError(f"{text!r} is more than an origin; write {origin}")
    return origin


def _host(text: str, parts: SplitResult) -> str:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        try:
            return f"[{ipaddress.IPv6Address(host).compressed}]"
        except ValueError:
            raise ValueError(f"{text!r} has no valid IPv6 address in it") from None
    if not host.isascii():
        host = _punycode(text, host)
    if not _HOST.fullmatch(host.removeprefix("*.")):
        raise ValueError(
            f"{text!r} has no valid host; “*” stands alone, or for the first names of a host, as "
            "in https://*.example.org"
        )
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError(f"{text!r} has no valid IPv4 address in it") from None
    return host


def _punycode(text: str, host: str) -> str:
    """As browsers send it; the older standard that Python knows is taken only where both agree."""
    wildcard = "*." if host.startswith("*.") else ""
    host = host.removeprefix("*.")
    try:
        encoded = host.encode("idna")
        if encoded.decode("idna") == host:
            return wildcard + encoded.decode()
    except UnicodeError:
        pass
    raise ValueError(f"{text!r}: write its host as browsers send it, beginning with xn--")
