"""One part of a title for another, however it is said: "six rather than four", "from A to B"."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskchat_offline.lexicon import CHANGE, FIELDS, TASK_NOUNS, word_set
from taskchat_offline.normalise import Token, text_of
from taskchat_offline.trimming import trimmed

CUTS_MAX = 12
"""Ways to cut one clause; each is held against the list."""

_CHANGING = CHANGE | word_set("swap exchange substitute switch replace shift move bring")
_LEADS = word_set(
    "it it's its is that that's says say said should be read reads make made to so please put "
    "the word words write use have must but ,"
)
_ENDS = word_set("in of on for the its task task's title name wording text my that this")


@dataclass(frozen=True, slots=True)
class Replaced:
    """Old words and new ones, and the tokens around them, which may name the task."""

    old: str
    new: str
    around: tuple[Token, ...]


def corrections_in(text: str, tokens: Sequence[Token]) -> list[Replaced]:
    """“I wrote A but it's B”, whose halves are clauses of their own."""
    words = trimmed(tokens, places=False)
    keys = [token.key for token in words]
    found: list[Replaced] = []
    for at, key in enumerate(keys):
        if key in {"spelled", "spelt"} and keys[at - 1] in {"is", "are"} and at > 1:
            end = next((p for p in range(at, len(keys)) if keys[p] in {",", "."}), len(keys))
            found += _cut(text, words, (0, at - 1), (at + 1, end), around=())
        if key in {"but", ","} and (right := _righted(keys, at + 1)):
            opening = max((p for p in range(at) if keys[p] in _WROTE), default=-1)
            if 0 <= opening < at - 1:
                found += _cut(text, words, (opening + 1, at), (right, len(words)), around=())
    return found


def replacements_in(text: str, tokens: Sequence[Token]) -> list[Replaced]:
    """The ways to read a replacement in the clause; which one is meant, the titles tell."""
    words = trimmed(tokens, places=False)
    keys = [token.key for token in words]
    found: list[Replaced] = []
    for at, key in enumerate(keys):
        if len(found) >= CUTS_MAX:
            break
        if 0 < at < len(keys) - 1:
            if keys[at : at + 2] in (["rather", "than"], ["instead", "of"]) and at + 2 < len(keys):
                found += _pairs(text, words, at, at + 2, forward=False)
            elif key == "not" and (keys[at - 1] == "," or "it's" in keys[:2]):
                found += _pairs(text, words, at, at + 1, forward=False)
        if keys[at : at + 2] == ["instead", "of"] and at == 0:
            right = next((p for p in range(3, len(keys)) if keys[p] in _SAYING), 0)
            wrong = next((p for p in range(2, right) if keys[p] in _POINTING), right)
            if right and right + 1 < len(keys):
                found += _cut(text, words, (2, wrong), (right + 1, len(words)), around=())
        if key == "from" and "to" in keys[at + 2 :]:
            to = keys.index("to", at + 2)
            found += _cut(text, words, (at + 1, to), (to + 1, len(words)), around=words[:at])
        elif key in _CHANGING and at < 4:
            for to in range(at + 2, min(at + 2 + CUTS_MAX, len(keys) - 1)):
                if keys[to] in {"to", "for", "with", "by", "into"}:
                    found += _cut(text, words, (at + 1, to), (to + 1, len(words)), around=())
    return found


_SAYING = word_set("be say read put write use")
_POINTING = word_set(", it that it's should must i you please can could put write use")
_WROTE = word_set("wrote put typed says said entered have reads isn't not wasn't")
_RIGHT = (
    ("it's",), ("it", "is"), ("it", "should", "be"), ("it", "should", "say"), ("i", "meant"),
    ("should", "be"), ("it", "ought", "to", "be"), ("that's",), ("i", "mean"), ("it", "must", "be"),
    ("it", "should", "read"), ("it", "was"), ("meant",),
)  # fmt: skip


def _righted(keys: Sequence[str], start: int) -> int:
    """Where the right words begin after “I wrote A but it's B”, or 0."""
    for opening in _RIGHT:
        end = start + len(opening)
        if tuple(keys[start:end]) == opening and end < len(keys):
            return end
    return 0


def _pairs(
    text: str, words: Sequence[Token], end: int, start: int, *, forward: bool
) -> list[Replaced]:
    """“New rather than old”: every stretch right before is a candidate for the new words."""
    while end and words[end - 1].key == ",":
        end -= 1
    first = 0
    for at in range(end - 1, -1, -1):
        if words[at].key in _LEADS and words[at].kind == "word":
            first = at + 1
            break
    old = _ended(words[start:])
    comma = next((at for at, token in enumerate(old) if token.key == "," and at), len(old))
    old = old[:comma]
    new = text_of(text, trimmed(words[first:end], places=False))
    said = text_of(text, old)
    around = (*words[:first], *words[start + len(old) :])
    return [Replaced(said, new, around)] if new and said else []


def _cut(
    text: str,
    words: Sequence[Token],
    old: tuple[int, int],
    new: tuple[int, int],
    *,
    around: Sequence[Token],
) -> list[Replaced]:
    value = _ended(words[new[0] : new[1]])
    said = text_of(text, words[old[0] : old[1]])
    fresh = text_of(text, value)
    rest = words[new[0] + len(value) : new[1]]
    return [Replaced(said, fresh, (*around, *rest))] if said and fresh else []


def _ended(words: Sequence[Token]) -> list[Token]:
    """The words without "in the title of the tent task" behind them."""
    for at in range(1, len(words) - 1):
        if words[at].key not in {"in", "of", "on", "for"} or words[at].kind == "quote":
            continue
        rest = words[at + 1 :]
        named = any(t.key in TASK_NOUNS | {"task's"} or FIELDS.get(t.key) == "title" for t in rest)
        if (named and rest[0].key in _ENDS | {"task"}) or rest[0].kind == "quote":
            return list(words[:at])
    return list(words)
