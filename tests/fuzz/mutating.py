"""Bytes with something wrong, and values that nobody expects; a seed repeats them."""

import random
from typing import Any, Final

HOSTILE_TEXTS: Final = (
    "",
    " ",
    "\x00",
    "\x7f",
    "\u202e",
    "\u200b",
    "\ud800",
    "\U0010ffff",
    "0",
    "-1",
    str(2**31),
    str(2**63),
    "9" * 400,
    "1e999",
    "null",
    "..",
    "../../etc/passwd",
    "'; DROP TABLE messages; --",
    '"\\',
    "%s{0}$1",
    "0199f3a0-0000-7000-8000-00000000dead",
    "2026-13-45T99:99:99Z",
    "9999-12-31T23:59:59.999999999+23:59",
    "http://[::1",
    "e\u0301" * 60,
    "🦓" * 300,
    "x" * 5001,
)

HOSTILE_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63,
    2**70,
    10**400,
    0.1,
    -0.0,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"": {}},
)

PIECES: Final = (
    b"\r\n",
    b"\x00",
    b"%",
    b" ",
    b"\xff",
    b"\n\n",
    b'"',
    b"{",
    b"\\u0000",
    b"\xed\xa0",
)


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The same with a few of its bytes changed, lost, doubled, put in, or cut off."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        where = dice.randrange(len(changed) + 1)
        match dice.randrange(6):
            case 0 if where < len(changed):
                changed[where] = dice.randrange(256)
            case 1 if where < len(changed):
                changed[where] ^= 1 << dice.randrange(8)
            case 2:
                del changed[where : where + dice.randint(1, 8)]
            case 3:
                changed[where:where] = changed[where : where + dice.randint(1, 40)]
            case 4:
                changed[where:where] = dice.choice(PIECES)
            case _:
                del changed[where + 1 :]
    return bytes(changed)


def hostile_text(dice: random.Random) -> str:
    """A text that somebody may have forgotten."""
    if dice.random() < 0.6:
        return dice.choice(HOSTILE_TEXTS)
    return "".join(chr(dice.choice((dice.randrange(0x80), dice.randrange(0xD800)))) for _ in "xxx")


def hostile_value(dice: random.Random) -> Any:
    """A value that JSON can say; not every JSON may."""
    return dice.choice(HOSTILE_VALUES) if dice.random() < 0.5 else hostile_text(dice)


def changed_value(value: Any, dice: random.Random) -> Any:
    """A value of JSON with one thing in it, at any depth, that is another, missing, or too much."""
    deeper = isinstance(value, dict | list) and value and dice.random() < 0.7
    if isinstance(value, dict):
        if not deeper:
            return {**value, hostile_text(dice): hostile_value(dice)}
        key = dice.choice(list(value))
        if dice.random() < 0.2:
            return {name: inner for name, inner in value.items() if name != key}
        return {**value, key: changed_value(value[key], dice)}
    if isinstance(value, list) and deeper:
        where = dice.randrange(len(value))
        if dice.random() < 0.2:
            return [*value, *value]
        return [*value[:where], changed_value(value[where], dice), *value[where + 1 :]]
    if isinstance(value, str) and dice.random() < 0.5:
        where = dice.randrange(len(value) + 1)
        return value[:where] + hostile_text(dice) + value[where:]
    return hostile_value(dice)
