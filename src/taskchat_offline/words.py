"""The words the model knows, read from its data files. What they mean is learned, not said here."""

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final


def lines_of(name: str) -> list[str]:
    """The lines of a data file, without comments and empty ones."""
    text = files("taskchat_offline").joinpath("data", name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("# ")]


def numbers_of(name: str) -> dict[str, int]:
    """A data file of words and their numbers."""
    return {word: int(number) for word, number in map(str.split, lines_of(name))}


CLASSES: Final = {
    name: frozenset(words.split())
    for name, _, words in (line.partition(": ") for line in lines_of("words.txt"))
}
"""Of each class, its words."""

HIDDEN: Final = CLASSES["hidden"]
"""Classes for matching and spelling; the model's features see the others."""


def _classes_of() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, words in CLASSES.items():
        if name not in HIDDEN:
            for word in words:
                found.setdefault(word, []).append(name)
    return {word: tuple(sorted(names)) for word, names in found.items()}


CLASSES_OF: Final = _classes_of()
"""Of each known word, its classes, sorted."""

_CLOCK: Final = re.compile(r"\d{1,2}([:.]\d{2})?(am|pm)|\d{1,2}[:.]\d{2}")
_COUNTED: Final = numbers_of("numbers.txt")

NUMBER: Final = "9"
"""The kind of every number, in digits or as a word."""


def kind_of(word: str) -> str:
    """What a word is besides itself: a day, a month, a time, a number; nothing for most words."""
    if _CLOCK.fullmatch(word):
        return "clock"
    known = {"weekday", "month", "clock"} & {*CLASSES_OF.get(word, ())}
    shape = NUMBER if word in _COUNTED else re.sub(r"\d+", NUMBER, word)
    return min(known, default=shape if shape != word else "")


VERBS: Final = {base: tuple(forms) for base, *forms in map(str.split, lines_of("verbs.txt"))}
"""What people do with a task, to its past form, its participle, its gerund, other past forms."""


def _forms() -> dict[str, str]:
    regular = [(form, verb) for verb, forms in VERBS.items() for form in forms]
    rows = (line.split() for line in lines_of("forms.txt"))
    other = [(form, base) for base, *forms in rows for form in forms]
    return dict(reversed([*other, *regular]))


FORMS: Final = _forms()
"""Forms and other spellings of words, to the word."""

STOP: Final = CLASSES["stop"]
"""Words that never tell two tasks apart."""

_SLIPS_KNOWN: Final = dict(line.split() for line in lines_of("slips.txt"))
_SPELLED: Final = CLASSES["spelled"]
_REAL: Final = CLASSES["noslip"] | frozenset(VERBS) | frozenset(CLASSES_OF) | frozenset(FORMS)

_PAST: Final = frozenset(form for forms in VERBS.values() for form in (*forms[:2], *forms[3:]))
_GERUNDS: Final = frozenset(forms[2] for forms in VERBS.values())


def verb_form(key: str) -> str:
    """`v` for a deed's verb, `p` for its past form, `g` for its form in -ing, else nothing."""
    if key in VERBS:
        return "v"
    if key in _PAST or (len(key) > 4 and key.endswith("ed")):
        return "p"
    return "g" if key in _GERUNDS or (len(key) > 5 and key.endswith("ing")) else ""


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A rough stem under which the forms of an English word meet."""
    word = FORMS.get(word, word)
    for ending in ("'s", "'"):
        word = word.removesuffix(ending)
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ings", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiousl":
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


@lru_cache(maxsize=8192)
def corrected(word: str) -> str:
    """The command word that `word` is one slip away from, or `word`."""
    if word in _SLIPS_KNOWN:
        return _SLIPS_KNOWN[word]
    if not 4 <= len(word) <= 14 or not word.isalpha() or word in _SPELLED or word in _REAL:
        return word
    near = sorted({t for piece in cuts_of(word) for t in _pieces().get(piece, ())})
    return next((target for target in near if _one_slip(word, target)), word)


@cache
def _pieces() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in sorted(_SPELLED):
        for piece in cuts_of(word):
            found.setdefault(piece, []).append(word)
    return found


def cuts_of(word: str) -> set[str]:
    """The word, and the word without each of its letters: two that share one are a slip apart."""
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def _one_slip(word: str, target: str) -> bool:
    if word in {target + ending for ending in "dsr"} or (
        word[0] != target[0] and word[1] != target[0]
    ):
        return False
    if len(word) != len(target):
        return word[0] == target[0]
    # One wrong letter turns many short words into another real word: "park", "mark".
    return sorted(word) == sorted(target) or (len(word) >= 5 and word[0] == target[0])
