"""Secrets of webhooks, as the Standard Webhooks specification writes them."""

import base64
from typing import Final

PREFIX: Final = "whsec_"
BYTES_MIN: Final = 24
BYTES_MAX: Final = 64
"""Shorter and longer ones the specification does not allow."""


def read_secret(shown: str) -> bytes:
    """The secret in what is shown of it.

    Raises:
        ValueError: it is none.
    """
    problem = "must be whsec_ and the base64 of 24 to 64 bytes"
    if not shown.startswith(PREFIX) or not shown.isascii():
        raise ValueError(problem)
    try:
        secret = base64.b64decode(shown.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise ValueError(problem) from error
    if not BYTES_MIN <= len(secret) <= BYTES_MAX:
        raise ValueError(problem)
    return secret
