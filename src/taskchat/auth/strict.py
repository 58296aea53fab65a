"""Tokens that can be read in one way only, whatever is in them."""

import base64
import json
import re
import unicodedata
from typing import Any, Final

import jwt
from jwt.exceptions import InvalidSubjectError

from taskchat.texts import unique_names

TOKEN_BYTES_MAX = 8192
"""Half of what all headers may hold; real tokens are below 2 KiB."""

KEY_ID_CHARS_MAX = 255
"""Published key ids are thumbprints or UUIDs; anything longer is no key id."""

USER_ID_CHARS_MAX = 255
"""The width of every column that holds an owner."""

NESTING_MAX = 32
"""Levels of JSON in a token. The parser's own limit depends on the Python and on the stack."""

LATEST_MOMENT = 253_402_300_799
"""The last second of the year 9999: no date is later. Milliseconds, a common mistake, are."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class _StrictJWT(jwt.PyJWT):
    """PyJWT, with a payload that can be read in one way only."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        """Runs after the signature held and before PyJWT looks at any claim."""
        claims = _strict_object(decoded["payload"])
        for name in ("exp", "iat", "nbf"):
            if name in claims and not _is_moment(claims[name]):
                raise jwt.DecodeError
        if "sub" in claims and not is_user_id(claims["sub"]):
            raise InvalidSubjectError
        return claims


STRICT_JWT: Final = _StrictJWT({"enforce_minimum_key_length": True})


def header_of(token: str) -> dict[str, Any]:
    """The token's header, which is trusted for nothing but to pick one of our keys."""
    if len(token) > TOKEN_BYTES_MAX or not _COMPACT.fullmatch(token):
        raise jwt.DecodeError
    segment = token.partition(".")[0]
    header = _strict_object(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    # We know no critical extension, and a key that the token brings along proves nothing.
    if header.keys() & {"crit", "b64", "jku", "jwk", "x5u", "x5c"}:
        raise jwt.DecodeError
    key_id = header.get("kid")
    if "kid" in header and not (isinstance(key_id, str) and len(key_id) <= KEY_ID_CHARS_MAX):
        raise jwt.DecodeError
    return header


def _strict_object(data: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 without duplicate names, NaN, Infinity or deep nesting."""
    value = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=unique_names,
        parse_constant=_refuse_constant,
    )
    if not isinstance(value, dict) or _is_deeper_than(NESTING_MAX, value):
        raise jwt.DecodeError
    return value


def _refuse_constant(name: str) -> None:
    raise jwt.DecodeError


def _is_deeper_than(levels: int, value: object) -> bool:
    """Level by level, not by recursion: recursion is what a deep value is made to exhaust."""
    level = [value]
    for _ in range(levels):
        lists = [item for item in level if isinstance(item, list)]
        lists += [list(item.values()) for item in level if isinstance(item, dict)]
        level = [child for children in lists for child in children]
    return bool(level)


def _is_moment(value: object) -> bool:
    """Whether it is a JSON number of seconds that a date can hold."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= LATEST_MOMENT
    )


def is_user_id(value: object) -> bool:
    """Whether it fits into one path segment and one column."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= USER_ID_CHARS_MAX
        and "/" not in value
        and not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)
    )
