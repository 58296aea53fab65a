"""Words with their places. A title is always cut from the text as it was typed."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from taskchat_offline.lexicon import IRREGULAR, NOT_SLIPS, SPELLED, SPELLINGS, word_set

TOKENS_MAX = 160
"""Enough for any request people phrase; what follows is kept as one token, so no text is slow."""

QUOTES_MAX = 40
"""Openings of a quotation that are tried; a text of 5,000 apostrophes stays linear."""

QUOTE_CHARS_MAX = 400
"""Twice the longest title; a mark closed later than this was an apostrophe."""

QUOTE_PAIRS = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`", "„": "“", "”": "”"}
"""A quotation's opening mark to its closing one."""

ABBREVIATIONS = word_set("dr mr mrs ms st prof vs etc no dept approx jr sr e.g i.e")
"""Words whose full stop does not end a sentence."""

_TOKEN = re.compile(
    r"[^\W_](?:[^\W_]|['’_\-/@&+.](?=[^\W_])|[:,](?<=\d.)(?=\d))*|\n|[^\w\s]|_", re.UNICODE
)
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a quotation or a mark, and where it stands in the text.

    `key` is what patterns compare: lower case, straight apostrophes, slips corrected.
    """

    text: str
    key: str
    start: int
    end: int
    kind: Literal["word", "quote", "mark", "rest"]


def tokens_of(text: str) -> list[Token]:
    """Tokens in order, `TOKENS_MAX` at most; the last one then holds all that is left."""
    quotes = _quotations(text)
    tokens: list[Token] = []
    place = 0
    while place < len(text):
        found = _TOKEN.search(text, place)
        if found is None:
            break
        start, end = found.span()
        if len(tokens) == TOKENS_MAX:
            tokens.append(Token(text[start:], "", start, len(text), "rest"))
            break
        if start in quotes:
            end = quotes[start]
            inner = text[start + 1 : end - 1].strip()
            tokens.append(Token(inner, "", start, end, "quote"))
        else:
            piece = found.group()
            kind: Literal["word", "mark"] = "word" if piece[0].isalnum() else "mark"
            tokens.append(Token(piece, key_of(piece), start, end, kind))
        place = end
    return _in_context(tokens)


def _in_context(tokens: list[Token]) -> list[Token]:
    """Slips that only their neighbours betray: "al my tasks", "mark it as don"."""
    for place, token in enumerate(tokens):
        before = tokens[place - 1].key if place else ""
        after = tokens[place + 1].key if place + 1 < len(tokens) else ""
        key = token.key
        if key == "al" and after in {"my", "the", "tasks", "to-dos", "todos", "items"}:
            key = "all"
        elif key in {"don", "dun", "dome", "doe", "one's"} and before in {"as", "is", "are"} and (
            after in {"", ".", "!", "please", "now"}
        ):  # fmt: skip
            key = "done"
        elif key == "remember" and after == "me" and place + 2 < len(tokens) and (
            tokens[place + 2].key in {"to", "about", "of", "that"}
        ):  # fmt: skip
            key = "remind"
        elif key == "too" and before in {"task", "reminder", "me", "remember"} and after:
            key = "to"
        if key != token.key:
            tokens[place] = replace(token, key=key)
    return tokens


def _quotations(text: str) -> dict[int, int]:
    spans: dict[int, int] = {}
    place = tried = 0
    while place < len(text) and tried < QUOTES_MAX:
        closing = QUOTE_PAIRS.get(text[place])
        if closing is None or (place and text[place - 1].isalnum()):
            place += 1
            continue
        tried += 1
        end = _closing(text, place, closing)
        if end is None:
            place += 1
        else:
            spans[place] = end + 1
            place = end + 1
    return spans


def _closing(text: str, opening: int, mark: str) -> int | None:
    limit = opening + QUOTE_CHARS_MAX
    end = text.find(mark, opening + 1, limit)
    while end != -1:
        after = text[end + 1] if end + 1 < len(text) else " "
        inside = text[opening + 1 : end]
        if inside.strip() and not inside[0].isspace() and not after.isalnum():
            return end
        end = text.find(mark, end + 1, limit)
    return None


def key_of(word: str) -> str:
    """A word as patterns compare it: folded, with straight apostrophes, slips corrected."""
    low = unicodedata.normalize("NFKC", word).casefold().translate(_APOSTROPHES)
    return corrected(low)


@lru_cache(maxsize=4096)
def corrected(word: str) -> str:
    """The command word that `word` is one slip away from, or `word`."""
    if word in SPELLINGS:
        return SPELLINGS[word]
    if len(word) < 4 or len(word) > 14 or not word.isalpha() or word in SPELLED | NOT_SLIPS:
        return word
    nearby = _shorter(word) | {word}
    best = sorted({target for piece in nearby for target in _SLIPS.get(piece, ())})
    return next((target for target in best if _one_slip(word, target)), word)


def _shorter(word: str) -> set[str]:
    return {word[:place] + word[place + 1 :] for place in range(len(word))}


_SLIPS: dict[str, set[str]] = {}
for _word in SPELLED:
    for _piece in _shorter(_word) | {_word}:
        _SLIPS.setdefault(_piece, set()).add(_word)


def _one_slip(word: str, target: str) -> bool:
    if word in {target + ending for ending in ("d", "s", "r")}:
        return False
    if len(word) != len(target):
        return word[0] == target[0] and (target in _shorter(word) or word in _shorter(target))
    apart = [place for place in range(len(word)) if word[place] != target[place]]
    if len(apart) == 2:
        first, second = apart
        swapped = word[first] == target[second] and word[second] == target[first]
        return second == first + 1 and swapped
    # One wrong letter turns many short words into another real word: "park", "mark".
    return len(apart) == 1 and len(word) >= 5 and word[0] == target[0]


def text_of(text: str, tokens: Sequence[Token]) -> str:
    """The stretch of text that the tokens cover, as typed, without marks around it."""
    if not tokens:
        return ""
    if len(tokens) == 1 and tokens[0].kind == "quote":
        return tokens[0].text
    piece = " ".join(text[tokens[0].start : tokens[-1].end].split())
    return piece.strip(" .,;:!?…-–—")


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """A rough stem under which the forms of an English word meet."""
    if word in IRREGULAR:
        word = IRREGULAR[word]
    for ending in ("'s", "'"):
        word = word.removesuffix(ending)
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("ied") and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ings", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiousl":
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word
