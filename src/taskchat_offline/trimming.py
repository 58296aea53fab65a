"""Words without the courtesies around them."""

import unicodedata
from collections.abc import Sequence

from taskchat_offline.lexicon import LISTS, POLITE, word_set
from taskchat_offline.normalise import Token

_PLACE_WORDS = word_set("from off on in to onto into out of")


_OWNERS = word_set("my the our this that your me")


_LIST_KINDS = word_set("to-do todo task tasks shopping to do todos")


def trimmed(tokens: Sequence[Token], *, places: bool = True) -> list[Token]:
    """The tokens without courtesies at the end, and without places such as "on my list"."""
    rest = list(tokens)
    while rest:
        last = rest[-1]
        if is_punctuation(last) and last.key not in "'\"#%)":
            rest.pop()
        elif len(rest) > 1 and (last.key in POLITE or _ends(rest, "thank", "you")):
            rest = rest[:-2] if last.key == "you" else rest[:-1]
        elif cut := _courtesy(rest) or (_place(rest) if places else 0):
            rest = rest[:-cut]
        else:
            break
    while rest and is_punctuation(rest[0]) and rest[0].key not in "#@(":
        rest.pop(0)
    return rest


def is_punctuation(token: Token) -> bool:
    """A comma or the like; symbols and emoji are part of what people write."""
    return token.kind == "mark" and (
        token.text.isspace() or unicodedata.category(token.text[0])[0] in "PC"
    )


def _ends(tokens: Sequence[Token], *words: str) -> bool:
    return tuple(token.key for token in tokens[-len(words) :]) == words


_COURTESIES = (
    ("for", "me"),
    ("if", "you", "can"),
    ("if", "you", "could"),
    ("if", "possible"),
    ("will", "you"),
    ("would", "you"),
    ("could", "you"),
    ("can", "you"),
    ("right", "now"),
    ("as", "well"),
    ("any", "more"),
    ("any", "longer"),
    ("at", "all"),
    ("if", "you", "would"),
    ("when", "you", "can"),
    ("straight", "away"),
    ("if", "you", "don't", "mind"),
    ("after", "all"),
    ("for", "good"),
    ("as", "a", "task"),
    ("as", "a", "reminder"),
    ("as", "a", "to-do"),
    ("as", "a", "todo"),
    ("as", "a", "new", "task"),
    ("as", "an", "item"),
    ("as", "another", "task"),
    ("thank", "you"),
    ("by", "the", "way"),
)


def _courtesy(tokens: Sequence[Token]) -> int:
    return next(
        (len(c) for c in _COURTESIES if len(tokens) > len(c) and _ends(tokens, *c)),
        0,
    )


def _place(tokens: Sequence[Token]) -> int:
    """How many tokens at the end say "from my to-do list" or "of tasks"."""
    place = len(tokens) - 1
    if _ends(tokens, "of", "tasks") or _ends(tokens, "of", "things"):
        place -= 2
    named = place >= 0 and (tokens[place].key in LISTS or tokens[place].key in
                            {"tasks", "todos", "to-dos", "reminders", "to-do's"})  # fmt: skip
    if not named and _ends(tokens, "to", "do") and place >= 2:
        return 0
    if not named:
        return 0
    owner_needed = tokens[place].key not in LISTS
    place -= 1
    while place >= 0 and tokens[place].key in _LIST_KINDS and tokens[place].key != "to":
        place -= 1
    if place >= 0 and tokens[place].key == "to" and tokens[place + 1].key == "do":
        place -= 1
    owned = place >= 0 and tokens[place].key in _OWNERS
    if owned:
        place -= 1
    if place < 1 or tokens[place].key not in _PLACE_WORDS or (owner_needed and not owned):
        return 0
    if tokens[place].key == "of" and tokens[place - 1].key in {"out", "off"}:
        place -= 1
    return len(tokens) - place if place >= 1 else 0
