"""Tokens of links: 256 random bits. Who has one may read; nothing else is asked of them."""

import hashlib
import re
import secrets
from typing import Final

TOKEN_BYTES: Final = 32
"""Nobody guesses one of these, so that its hash needs neither salt nor slowness."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def new_token() -> tuple[str, bytes]:
    """A token, 43 characters that need no escape in an address; and its hash."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return token, _hash(token)


def hash_of(token: str) -> bytes | None:
    """What is kept of a token: 32 bytes; None if no token looks like this."""
    if not _TOKEN.fullmatch(token):
        return None
    return _hash(token)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
