"""The socket that a service listens on. Importing this costs nothing, unlike the server."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; connections that come before the app is up wait in line.

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
