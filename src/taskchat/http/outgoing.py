"""HTTP clients are built when they are needed, and the environment may not allow it."""

import os
from collections.abc import Callable
from typing import Final, TypeVar

import httpx2

from taskchat.refusals import BadConfiguration

T = TypeVar("T")

VARIABLES: Final = (
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""What every client reads besides our settings; the proxies in small letters too."""


def outgoing(build: Callable[[], T]) -> T:
    """Return what `build` makes.

    Raises:
        BadConfiguration: the environment variables that clients read don't allow it.
    """
    try:
        return build()
    # A missing package, file or certificate; or an address that is not valid.
    except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
        found = [name for name in VARIABLES if os.environ.get(name) or os.environ.get(name.lower())]
        text = " ".join(str(error).split()).rstrip(".")
        raise BadConfiguration(
            f"no request can leave with {', '.join(found) or 'this environment'} as it is: {text}"
        ) from error
