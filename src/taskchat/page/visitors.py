"""Who is signed in without being asked: the browser of whoever runs the service.

Other machines, pages of other origins and, where the system tells, other users of this machine are
not; each check is against one of them.
"""

import ipaddress
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""What proxies and tunnels add: behind one of them everybody seems to be on this machine."""

SOCKETS: Final = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}
"""Where Linux says whose each socket is."""


def is_own_browser(client: tuple[str, int] | None, headers: Mapping[str, str]) -> bool:
    """Whether a page of ours asks, in a browser of whoever runs this process.

    Args:
        client: The other end of the connection; None if it is no address.
        headers: Of the request, by names in lower case.
    """
    if client is None or not _is_loopback(client[0]):
        return False
    # A name that somebody else made point here is theirs, and so is the page at it.
    if not _is_loopback(urlsplit(f"//{headers.get('host', '')}").hostname or ""):
        return False
    if any(name in headers for name in FORWARDED):
        return False
    # Browsers set it, and no page can; what is no browser has a terminal, with a token in it.
    if headers.get("sec-fetch-site") != "same-origin":
        return False
    owner = owner_of(*client)
    return owner is None or owner in {os.getuid(), 0}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def owner_of(host: str, port: int) -> int | None:
    """Which user of this machine has the socket at a loopback address.

    Returns:
        The number of the user; -1 if no socket is there; None if the system does not tell.
    """
    address = ipaddress.ip_address(host)
    try:
        rows = SOCKETS[address.version].read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    packed = socket.inet_pton(family, host)
    # As the kernel prints it: 32 bits at a time, in the order of this machine's bytes.
    words = (packed[place : place + 4] for place in range(0, len(packed), 4))
    shown = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    wanted = f"{shown}:{port:04X}"
    owners = (columns[7] for columns in map(str.split, rows) if columns[1] == wanted)
    return int(next(owners, "-1"))
