"""Words with their places. A title is always cut from the text as it was typed."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from taskchat_offline.words import CLASSES, CLASSES_OF, corrected, kind_of

TOKENS_MAX: Final = 300
"""Enough for any request people phrase; what follows is kept as one token, so no text is slow."""

REPAIR_BACK_MAX, REPAIR_WORDS_MAX = 8, 4
"""Words back to which a speaker returns to correct himself, and words that may replace one."""

# A mark closed later than 400 characters on was an apostrophe; the longest title has half of that.
_QUOTATION: Final = re.compile(
    r"""(?<!\w)(?:["“„”]([^"“”]{1,400})["”]|['‘](?!\s)(.{1,400}?)['’]|`([^`]{1,400})`"""
    r"""|«([^»]{1,400})»)(?!\w)"""
)
_TOKEN: Final = re.compile(
    r"[^\W_](?:[^\W_]|['’_\-/@&+.](?=[^\W_])|[:,](?<=\d.)(?=\d))*|->|=>|\n|[^\w\s]|_", re.UNICODE
)
_APOSTROPHES: Final = str.maketrans({"’": "'", "‘": "'", "ʼ": "'"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a quotation or a mark, and where it stands in the text.

    `key` is what is compared: lower case, straight apostrophes, slips corrected. `kind` is "word",
    "quote", "mark", or "rest".
    """

    text: str
    key: str
    start: int
    end: int
    kind: str


def tokens_of(text: str) -> list[Token]:
    """Tokens in order, `TOKENS_MAX` at most; the last one then holds all that is left."""
    quotes = {q.start(): q for q in _QUOTATION.finditer(text) if q[0][1:-1].strip()}
    tokens: list[Token] = []
    place = 0
    while found := _TOKEN.search(text, place):
        start, place = found.span()
        if len(tokens) == TOKENS_MAX:
            tokens.append(Token(text[start:], "", start, len(text), "rest"))
            break
        if start in quotes:
            place = quotes[start].end()
            tokens.append(Token(text[start + 1 : place - 1].strip(), "", start, place, "quote"))
            continue
        piece = found.group()
        low = unicodedata.normalize("NFKC", piece).casefold().translate(_APOSTROPHES)
        word = piece[0].isalnum()
        key, kind = (corrected(low), "word") if word else (low, "mark")
        tokens.append(Token(piece, key, start, place, kind))
    return tokens


def spoken_of(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without what a speaker takes back: fillers, repeats and false starts."""
    told = [t for t in tokens if t.kind != "word" or t.key not in CLASSES["filler"]]
    return _said_once(_repaired(_said_once(told)))


def _said_once(tokens: Sequence[Token]) -> list[Token]:
    """Cuts "I've" out of "I've I've", and "full stop", with which whoever dictates says a mark."""
    kept: list[Token] = []
    for token in tokens:
        kept.append(token)
        if [t.key for t in kept[-2:]] == ["full", "stop"]:
            del kept[-2:]
        for size in (3, 2, 1):
            before, again = kept[-2 * size : -size], kept[-size:]
            if len(before) == size and [t.key for t in before] == [t.key for t in again] and all(
                t.kind == "word" and not t.key.isdecimal() for t in before
            ):  # fmt: skip
                del kept[-size:]
                break
    return kept


_CUES: Final = tuple(tuple(cue.split("_")) for cue in ("no", *sorted(CLASSES["takeback"])))


def _repaired(tokens: list[Token]) -> list[Token]:
    """Cuts "from June no sorry" out of "from June no sorry from Jane"."""
    place = 1
    while place < len(tokens):
        keys = [token.key for token in tokens[place : place + 6]]
        size = max((_cue_size(keys, cue) for cue in _CUES), default=0)
        start = _taken_back(tokens, place, place + size) if size else None
        if start is not None:
            tokens = tokens[:start] + tokens[place + size :]
        place = (place if start is None else start) + 1
    return tokens


def _taken_back(tokens: Sequence[Token], cue: int, after: int) -> int | None:
    """Where that begins whose place the tokens behind a cue take, if they do."""
    now = [token.key for token in tokens[after : after + REPAIR_WORDS_MAX]]
    if not now or tokens[after].kind != "word":
        return None
    back = [token.key for token in tokens[max(0, cue - REPAIR_BACK_MAX) : cue]]
    merely = [t.key for t in tokens[cue:after] if t.kind == "word"] == ["no"]
    if now[0] in back and (not merely or now[0] in _RETURNS):
        return cue - 1 - back[::-1].index(now[0])
    # "On Thursday no wait Friday", "copper no wait brass couplings": the word before the cue.
    unknown = not (back[-1] in CLASSES_OF or now[0] in CLASSES_OF or merely)
    brief = len(now) < REPAIR_WORDS_MAX or bool({",", ".", "so", "and"} & set(now))
    alike = kind_of(back[-1]) == kind_of(now[0])
    return cue - 1 if alike and (kind_of(now[0]) or (unknown and brief)) else None


_RETURNS: Final = CLASSES["ordinal"] | CLASSES["number"] | {"the", "number", "at", "on", "for"}
"""Words that a speaker returns to after a mere "no"."""


def _cue_size(keys: Sequence[str], cue: Sequence[str]) -> int:
    """How many tokens a cue takes, commas around and within it included; 0 if it isn't there."""
    size = 0
    for word in ("", *cue, ""):
        while keys[size : size + 1] and keys[size] in {",", "…", "-", "–"}:
            size += 1
        if word:
            if keys[size : size + 1] != [word]:
                return 0
            size += 1
    return size


def text_of(text: str, tokens: Sequence[Token]) -> str:
    """The stretch of text that the tokens cover, as typed, without marks around it.

    What was cut out between two tokens (a filler, a false start) is left out here too.
    """
    if not tokens:
        return ""
    if len(tokens) == 1 and tokens[0].kind == "quote":
        return tokens[0].text
    said = text[tokens[0].start : tokens[0].end]
    for before, token in pairwise(tokens):
        gap = text[before.end : token.start]
        said += (" " if gap.strip() else gap) + text[token.start : token.end]
    return " ".join(said.split()).strip(" .,;:!?…-–—").lstrip(")]> ")


def ends_sentence(tokens: Sequence[Token], place: int) -> bool:
    """Whether the mark there ends a sentence; the full stop of "Dr." doesn't."""
    token = tokens[place]
    if token.key in {"!", "?", "\n", ";", "…"}:
        return True
    return token.key == "." and not (place and tokens[place - 1].key in CLASSES["abbreviated"])
