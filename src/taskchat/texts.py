"""Which texts are taken. Postgres refuses two kinds, people can't see a third; an id has one form.

Nothing is changed on the way: marks of direction, joiners and variation selectors are part of
what a person wrote.
"""

import re
import unicodedata
from typing import Any, Final
from uuid import UUID

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn"})
"""Controls, formats (zero-width and direction marks), spaces, and marks with nothing to mark."""

_BLANK: Final = re.compile(
    "[\u115f\u1160\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U0001d159\U000e0000-\U000e0fff]"
)
"""Blank to the eye whatever their category: Hangul fillers, the empty Braille cell, the notehead
that isn't there, and what Unicode reserves for more of their kind."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def is_storable(value: str) -> bool:
    """Whether Postgres can keep it: no NUL, no lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def is_visible(value: str) -> bool:
    """Whether a person would see anything at all."""
    return any(
        unicodedata.category(char) not in _INVISIBLE and not _BLANK.match(char) for char in value
    )


def scrubbed(value: str) -> str:
    """The same text with what can't be stored replaced by U+FFFD; for what models write."""
    if is_storable(value):
        return value
    return "".join(
        "\ufffd" if char == "\x00" or "\ud800" <= char <= "\udfff" else char for char in value
    )


def title_of(value: str, *, chars_max: int) -> str:
    """The title as it is kept: one line, trimmed.

    Raises:
        ValueError: empty, too long, or not storable; the message goes on from the title's name.
    """
    if not is_storable(value):
        raise ValueError("must not contain NUL or unpaired surrogates")
    title = " ".join(value.split())
    if not is_visible(title):
        raise ValueError("must not be empty")
    if len(title) > chars_max:
        raise ValueError(f"must have at most {chars_max} characters")
    return title


def uuid_of(value: str) -> UUID | None:
    """The UUID in a text of hex digits and hyphens; None if it is not one.

    `UUID()` itself takes braces, `urn:uuid:`, hyphens anywhere, and digits of other scripts.
    """
    return UUID(value) if _UUID.fullmatch(value) else None


class DuplicateName(ValueError):
    """A JSON object has a name twice; parsers disagree on which of the two counts."""


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, from the pairs with which `json` calls its hook.

    Raises:
        DuplicateName: it has a name twice.
    """
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise DuplicateName
    return unique
