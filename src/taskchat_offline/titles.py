"""The titles and the description in the words of a request to add."""

import re
from collections.abc import Sequence

from taskchat_offline.intents import Add
from taskchat_offline.lexicon import FIELDS, ONE_TASK, TASK_VERBS, word_set
from taskchat_offline.normalise import Token, text_of
from taskchat_offline.trimming import trimmed

ADDS_MAX = 40
"""New tasks one request may name."""


_MARKED = word_set("with and plus , ; ( - – — .")


_LEADING = word_set(": saying that says of is as to reading - being = should say")
_ARTICLES = word_set("the a an this its as following short")
_CALLED = word_set("the a an new task to-do todo item reminder entry called named titled : my")
_JUNCTIONS = word_set("go come try be")


_BACKWARD = word_set("it them her him its their they there his then")


_SEPARATELY = re.compile(
    r"[\s,]+(?:each\s+)?(?:as\s+(?:two|three|four|\d+|separate|individual|different)\s*"
    r"(?:separate|different|individual)?\s*(?:tasks|items|to-dos|todos|ones|reminders|things)"
    r"|separately|individually|each\s+as\s+(?:a|its\s+own)\s+(?:separate\s+)?task)$",
    re.IGNORECASE,
)


def titles_of(text: str, tokens: Sequence[Token], *, plural: bool, count: int = 0) -> list[Add]:
    """One new task, or several where the words clearly hold several."""
    words = list(tokens)
    tail = text[words[0].start : words[-1].end] if words else ""
    if separately := _SEPARATELY.search(tail.rstrip(" .!")):
        limit = words[0].start + separately.start()
        words = [token for token in words if token.end <= limit]
        plural = True
    if cut := _next_title(words):
        quoted = max(place for place in range(cut) if words[place].kind == "quote")
        first = titles_of(text, words[: quoted + 1], plural=False)
        return [*first, *titles_of(text, words[cut:], plural=plural)]
    words, description = described(text, words)
    words = trimmed(words)
    if len(words) > 1 and words[-1].kind == "quote" and all(t.key in _CALLED for t in words[:-1]):
        words = words[-1:]
    if len(words) > 2 and FIELDS.get(words[0].key) == "title" and words[1].key in {":", "="}:
        words = words[2:]
    opening = [token.key for token in words[:5]]
    if ":" in opening[1:-1] and all(
        key in _CALLED | {"following", "this", "these"} for key in opening[: opening.index(":")]
    ):
        words = words[opening.index(":") + 1 :]
    opening = [token.key for token in words[:4]]
    if opening[:2] == ["that", "i"] and len(words) > 4:
        # "Add to my list that I have to thank the nurse."
        if opening[2:] in (["have", "to"], ["need", "to"], ["ought", "to"], ["want", "to"]):
            words = words[4:]
        elif opening[2] in {"must", "should"}:
            words = words[3:]
    if words and words[0].key in {":", "-"}:
        words = words[1:]
    pieces = _several(words, plural=plural, count=count)
    titles = [text_of(text, trimmed(_unled(piece))) for piece in pieces]
    titles = [title for title in titles if any(c.isalnum() or ord(c) > 0x2000 for c in title)]
    return [
        Add(title, description if place == len(titles) - 1 else None)
        for place, title in enumerate(titles[:ADDS_MAX])
    ]


def _next_title(tokens: Sequence[Token]) -> int:
    """Where another title follows a description in quotation marks, or 0."""
    for place in range(2, len(tokens) - 2):
        if tokens[place].kind != "quote":
            continue
        introduced = any(
            FIELDS.get(token.key) == "description" for token in tokens[max(place - 3, 0) : place]
        )
        following = place + 1
        while following < len(tokens) and tokens[following].key in _NEXT_JOINTS:
            following += 1
        if introduced and following > place + 1 and following < len(tokens):
            return following
    return 0


_NEXT_JOINTS = word_set("and , then plus also & add")


def _unled(tokens: Sequence[Token]) -> Sequence[Token]:
    """A piece of a list without the "one to" or "to" that opens it."""
    keys = [token.key for token in tokens[:5]]
    for opening in (
        ["another", "one", "to"], ["another", "one", "for"], ["another", "task", "to"],
        ["one", "to"], ["one", "for"], ["another", "to"], ["a", "task", "to"],
        ["remind", "me", "to"],
        ["one", "called"], ["another", "one", "called"], ["another", "called"], ["also", "to"],
        ["then", "to"], ["also"], ["to"], ["then"],
        ["and", "to"],
        ["and"],
    ):  # fmt: skip
        if keys[: len(opening)] == opening and len(tokens) > len(opening):
            return tokens[len(opening) :]
    return tokens


def _several(tokens: list[Token], *, plural: bool, count: int) -> list[list[Token]]:
    quotes = [token for token in tokens if token.kind == "quote"]
    joints = {",", "and", "&", "plus", ";", "also", "then", "a", "task", "one", "to", "called",
              "another", "named"}  # fmt: skip
    if len(quotes) > 1 and all(t.kind == "quote" or t.key in joints for t in tokens):
        return [[token] for token in quotes]
    by_mark = _cut(tokens, {";", "\n"})
    if len(by_mark) > 1:
        return by_mark
    by_comma = _cut(tokens, {","})
    by_all = _cut(tokens, {",", "and", "&", "plus"})
    if plural:
        by_dash = _cut(tokens, {"-", "–", "—"})
        if len(by_dash) > 1 and count in {0, len(by_dash)}:
            return by_dash
        if count and len(by_all) != count:
            if len(by_comma) == count:
                return by_comma
            by_verb = _cut_at_verbs(tokens)
            if len(by_verb) == count:
                return by_verb
        return by_all
    again = [
        piece
        for piece in by_all
        if piece[0].key in {"to", "another", "one"}
        or (piece[0].key == "also" and piece[1:2] and piece[1].key in TASK_VERBS | {"to"})
        or (piece[0].key == "a" and piece[1:2] and piece[1].key in ONE_TASK)
    ]
    if len(by_all) > 1 and len(again) >= len(by_all) - 1:
        return by_all
    if len(by_all) > 1 and all(_is_deed(piece) for piece in by_all):
        light = by_all[0][0].key in _JUNCTIONS
        backward = any(t.key in _BACKWARD for piece in by_all[1:] for t in piece)
        if not light and not backward:
            return by_all
    return [tokens]


def _is_deed(tokens: Sequence[Token]) -> bool:
    return len(tokens) >= 2 and tokens[0].key in TASK_VERBS


def _cut(tokens: Sequence[Token], joints: set[str]) -> list[list[Token]]:
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind != "quote" and token.key in joints:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return [piece for piece in pieces if piece]


def _cut_at_verbs(tokens: Sequence[Token]) -> list[list[Token]]:
    pieces: list[list[Token]] = [[]]
    for place, token in enumerate(tokens):
        following = tokens[place + 1].key if place + 1 < len(tokens) else ""
        if token.key in {"and", ",", "&"} and following in TASK_VERBS | {"and"}:
            pieces.append([])
        elif token.key != "and" or pieces[-1]:
            pieces[-1].append(token)
    return [piece for piece in pieces if piece]


def described(text: str, tokens: list[Token]) -> tuple[list[Token], str | None]:
    """Splits "X with the note: Y" into the tokens of X and the text of Y."""
    for place, token in enumerate(tokens):
        if place == 0 or FIELDS.get(token.key) != "description" or token.kind == "quote":
            continue
        start = place
        while start > 0 and tokens[start - 1].key in _ARTICLES:
            start -= 1
        if start > 0 and tokens[start - 1].key in {
            "set",
            "include",
            "has",
            "having",
            "give",
            "add",
        }:
            start -= 1
        marked = start > 0 and tokens[start - 1].key in _MARKED
        value = place + 1
        colon = False
        while value < len(tokens) and tokens[value].key in _LEADING:
            colon = colon or tokens[value].key in {":", "saying", "reading", "says"}
            value += 1
        if not (marked or colon) or value >= len(tokens):
            continue
        if not colon and tokens[start - 1].key not in {"with", "and", ","}:
            continue
        end = start
        while end > 0 and tokens[end - 1].key in _MARKED:
            end -= 1
        if end:
            return tokens[:end], text_of(text, trimmed(_unclosed(tokens[value:])))
    return tokens, None


def _unclosed(tokens: list[Token]) -> list[Token]:
    """The tokens without a closing bracket that opened before them."""
    if tokens[-1].key == ")" and all(token.key != "(" for token in tokens):
        return tokens[:-1]
    return tokens
