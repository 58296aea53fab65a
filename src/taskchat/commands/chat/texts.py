"""Text of others on a terminal: nothing in it moves the cursor, rings, or renames the window.

Whatever a service sends goes through `shown`: what a model says, what tools answer, titles, errors.
"""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from prompt_toolkit.utils import get_cwidth

SUMMARY_CELLS_MAX: Final = 50
"""Cells for the arguments of a call: with its name and its time they fit on a line of 80."""

TAB: Final = "    "

_KEPT: Final = frozenset("\n\u200c\u200d")
"""Line ends, and the joiners of scripts and of emoji: format characters that only shape letters."""


def shown(text: str) -> str:
    """The text with everything visible: control and format characters become signs.

    Those of Unicode that turn the direction of what follows count: they make a line look like
    another one.
    """
    text = text.replace("\r\n", "\n").expandtabs(len(TAB))
    if text.isprintable():
        return text
    return "".join(sign if sign in _KEPT or sign.isprintable() else _visible(sign) for sign in text)


def on_a_line(text: str, cells_max: int = SUMMARY_CELLS_MAX) -> str:
    """The text on one line, cut where it is longer."""
    line = " ".join(shown(text).split())
    return line if get_cwidth(line) <= cells_max else cut(line, cells_max - 1)[0] + "…"


def cut(line: str, cells: int) -> tuple[str, str]:
    """A line as far as so many cells go, and the rest of it."""
    used = 0
    for place, sign in enumerate(line):
        used += get_cwidth(sign)
        if used > cells:
            return line[:place], line[place:]
    return line, ""


def wrapped(line: str, cells: int) -> tuple[list[str], str]:
    """The lines that are full, broken between words, and what is left for the next."""
    full: list[str] = []
    while get_cwidth(line) > cells:
        fitting, rest = cut(line, cells)
        head, space, tail = fitting.rpartition(" ")
        # Where the rest begins with a space, the last word is whole.
        if space and head.strip() and not rest.startswith(" "):
            fitting, rest = head, tail + rest
        elif not fitting:
            fitting, rest = line[0], line[1:]
        full.append(fitting)
        line = rest.removeprefix(" ")
    return full, line


def summary(fields: Mapping[str, Any]) -> str:
    """Arguments on one line: `title=“Milk” completed=true`."""
    return on_a_line(" ".join(f"{name}={_value(value)}" for name, value in fields.items()))


def _value(value: Any) -> str:
    if isinstance(value, str):
        return f"“{value}”"
    if isinstance(value, list) and len(value) > 1:
        return f"[{len(value)}]"
    return json.dumps(value, ensure_ascii=False)


def _visible(sign: str) -> str:
    number = ord(sign)
    if number < 0x20:
        return chr(0x2400 + number)
    if number == 0x7F:
        return "\u2421"
    # Spaces of other widths, and the separators of lines and paragraphs.
    return " " if unicodedata.category(sign).startswith("Z") else "\ufffd"
