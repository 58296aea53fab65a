"""How alike words and titles are. Knows no tasks, only texts."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from taskchat_offline.lexicon import EVENTS, LIGHT, STOP, SYNONYMS
from taskchat_offline.normalise import stem, tokens_of

ALIKE_MIN = 0.8
"""Likeness of two words from which one is a misspelling of the other."""


WORDS_MAX = 40
"""Words of a reference that are compared."""


_LIGHT_WEIGHT = 0.3


_LIGHT_STEMS = LIGHT | {stem(word) for word in EVENTS}


_GROUPS: dict[str, set[int]] = {}
"""Of each stem, the groups of synonyms that it is in."""

for _number, _group in enumerate(SYNONYMS):
    for _word in _group:
        _GROUPS.setdefault(stem(_word), set()).add(_number)

_NO_GROUP: frozenset[int] = frozenset()


def plain(title: str) -> str:
    """A title without case, punctuation, articles and the word "task" at either end."""
    words = [token.key for token in tokens_of(title) if token.kind == "word"]
    if not words:
        words = [token.text for token in tokens_of(title)]
    while len(words) > 1 and words[0] in {"a", "an", "the", "my", "task"}:
        words = words[1:]
    while len(words) > 1 and words[-1] in {"task", "one"}:
        words = words[:-1]
    return " ".join(words)


def content(text: str) -> list[str]:
    """Stems of the words that tell tasks apart; all words when none does."""
    words: list[str] = []
    for token in tokens_of(text):
        if token.kind == "quote":
            words += [inner.key for inner in tokens_of(token.text) if inner.kind == "word"]
        elif token.kind == "word":
            words.append(token.key)
    words = words[:WORDS_MAX]
    # "Backing up the phone" says no more of "Back up the phone" than the title itself.
    telling = [word for word in words if word not in STOP and stem(word) not in STOP] or words
    return list(dict.fromkeys(stem(word) for word in telling))


def alike(one: str, other: str, *, fuzzy: bool) -> float:
    """1 for the same word, less for a synonym or a misspelling, 0 for another word."""
    if one == other:
        return 1.0
    if _GROUPS.get(one, _NO_GROUP) & _GROUPS.get(other, _NO_GROUP):
        return 0.9
    if not fuzzy or min(len(one), len(other)) < 4 or abs(len(one) - len(other)) > 2:
        return 0.0
    likeness = SequenceMatcher(None, one, other, autojunk=False).ratio()
    return likeness * 0.9 if likeness >= ALIKE_MIN else 0.0


def fit(said: str, title: str, *, fuzzy: bool = True) -> float:
    """The share of the said words that the title holds, light verbs counting less."""
    return share_held(content(said), content(title), fuzzy=fuzzy)


def share_held(said: Sequence[str], words: Sequence[str], *, fuzzy: bool) -> float:
    """The share of the said stems that the title stems hold, light verbs counting less."""
    if not said or not words:
        return 0.0
    weights = {word: _LIGHT_WEIGHT if word in _LIGHT_STEMS else 1.0 for word in said}
    held = sum(
        weight * max(alike(word, other, fuzzy=fuzzy) for other in words)
        for word, weight in weights.items()
    )
    return held / sum(weights.values())
