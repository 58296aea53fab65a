"""What text may be kept. Postgres refuses two kinds, and a person can't see a third."""

import unicodedata
from typing import Final

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn"})
"""Controls, formats (zero-width and direction marks), spaces, and marks with nothing to mark."""

_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
"""Hangul fillers, the empty Braille cell and their like: letters by category, blank to the eye."""


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
        char not in _BLANK_LETTERS and unicodedata.category(char) not in _INVISIBLE
        for char in value
    )


def scrubbed(value: str) -> str:
    """The same text with what can't be stored replaced by U+FFFD; for what models write."""
    if is_storable(value):
        return value
    return "".join(
        "\ufffd" if char == "\x00" or "\ud800" <= char <= "\udfff" else char for char in value
    )
