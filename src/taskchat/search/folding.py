"""A text as words are compared in it: what the database's `search_fold_1` makes of it."""

import re
import unicodedata
from typing import Final

LETTERS: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i"}
    | {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters of which NFKD makes nothing, and how those without them write them."""

LEFT_OUT: Final = re.compile(
    r"[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    r"\u064b-\u065f\u0670\u06d6-\u06dc\u093c\u094d\u09bc\u09cd\u0a3c\u0a4d\u0abc\u0acd\u0b3c\u0b4d"
    r"\u0bcd\u0c4d\u0cbc\u0ccd\u0d4d\u0dca\u0e38-\u0e3a\u0e47-\u0e4e\u3099\u309a"
    r"\u00ad\u061c\u180b-\u180f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]+"
)
"""Accents, points of vowels, and what is never seen."""

ALONE: Final = re.compile(r"([\u2e80-\u2fdf\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff])")
"""Signs of scripts that are written without spaces: each is a word."""

PARTS: Final = re.compile(
    r"[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u055a-\u055f\u0589\u05be\u05c0"
    r"\u05c3\u05f3\u05f4\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0e4f\u0e5a\u0e5b\u2000-\u2bff"
    r"\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u3030\u303d\u30fb\ud7ff\ufe10-\ufe6f\uff00-\uff20"
    r"\U0001f000-\U0001faff]+"
)
"""What parts words."""


def folded(said: str) -> str:
    """A text in small letters, without accents; words are apart by one space."""
    letters = unicodedata.normalize("NFKD", said).lower().translate(LETTERS)
    return PARTS.sub(" ", ALONE.sub(r" \1 ", LEFT_OUT.sub("", letters)))
