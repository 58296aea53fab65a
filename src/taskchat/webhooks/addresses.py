"""Where a hook may be. What counts is the address that is connected to, however it was spelled.

Names are resolved before each attempt, every address that comes back is judged, and the connection
goes to one of those very addresses: a second answer of the name's is never asked for.
"""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

PORTS: Final = {"http": 80, "https": 443}

_REFUSED: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        # What the standard library calls global in one release and not in the next, or always.
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        # Global by its number, and in every machine of a large cloud its manager.
        "168.63.129.16/32",
        # All that carries an address of IPv4, whichever it is: mapped, translated, tunnelled.
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
        # Documentation, of which one is newer than some releases.
        "2001:db8::/32",
        "3fff::/20",
    )
)
_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All that is handed out of IPv6; whatever lies beside it is special."""


class BadAddress(ValueError):
    """No hook can be there; the message is what is wrong, to follow the name of the field."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A hook's address, taken apart.

    Attributes:
        scheme: http or https.
        host: Its name or number, as written.
        port: Where it listens.
        target: Path and query.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def at(self, address: str) -> str:
        """The URL of the same at one of its addresses."""
        host = f"[{address}]" if ":" in address else address
        return f"{self.scheme}://{host}:{self.port}{self.target}"


def endpoint_of(url: str, *, private: bool) -> Endpoint:
    """Take an address apart.

    Args:
        url: As somebody wrote it.
        private: Whether addresses that are not public, and http, are allowed.

    Raises:
        BadAddress: it is none that a hook may have.
    """
    # One reader takes a backslash for a slash, another drops a line end; neither is needed.
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadAddress("must be plain ASCII without spaces; write a name in its xn-- form")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress("must be an address such as https://host.example.org/path") from error
    schemes = ("http", "https") if private else ("https",)
    if parts.scheme not in schemes:
        raise BadAddress(f"must begin with {' or '.join(f'{name}://' for name in schemes)}")
    if "@" in parts.netloc:
        raise BadAddress("must hold no user and no password; the signature says who sends")
    if "#" in url:
        raise BadAddress("must have no fragment")
    host = parts.hostname or ""
    if not host.strip(".") or "%" in host or port == 0 or (":" in host and not _is_number(host)):
        raise BadAddress("must be an address such as https://host.example.org/path")
    if not private and (said := _number(host)) is not None and (reason := refused(said)):
        raise BadAddress(f"must be a public address; this one is {reason}")
    query = f"?{parts.query}" if parts.query else ""
    return Endpoint(
        parts.scheme,
        host,
        PORTS[parts.scheme] if port is None else port,
        (parts.path or "/") + query,
    )


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _number(host: str) -> str | None:
    """The address that a host is by itself, in whichever spelling; None if it is a name."""
    try:
        found = socket.getaddrinfo(
            host.rstrip("."), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except (OSError, UnicodeError):
        return None
    return str(found[0][4][0])


def refused(address: str) -> str | None:
    """Why nothing is sent to an address; None if something may be.

    Args:
        address: A number, as a resolver gives it.
    """
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return "no address"
    if number.is_loopback:
        return "loopback"
    if number.is_multicast:
        return "multicast"
    if number.is_link_local:
        return "link-local"
    if number.is_unspecified:
        return "unspecified"
    if any(number in network for network in _REFUSED if network.version == number.version):
        return "reserved"
    if not number.is_global or number.is_reserved:
        return "private"
    if number.version == 6 and (number not in _UNICAST or number.scope_id is not None):
        return "reserved"
    return None


def first_refusal(addresses: Iterable[str]) -> str | None:
    """Why a name's addresses are refused: one that is not public spoils them all."""
    return next((reason for address in addresses if (reason := refused(address))), None)
