"""The part of a text to show, with what was looked for marked. Nothing here is ever HTML."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from taskchat.search.schemas import ExcerptPart

EXCERPT_CHARS_MAX: Final = 240
"""Characters of the text in one excerpt; about three lines."""

LEAD_CHARS: Final = 60
"""Characters before the first word that is shown for its match."""

CUT: Final = "…"
"""Stands where the text goes on."""


@dataclass(frozen=True, slots=True)
class Span:
    """A word's place in a text."""

    start: int
    end: int


def excerpt_of(said: str, words: Collection[str]) -> list[ExcerptPart]:
    """An excerpt around the words that were looked for; the text's beginning if it has none.

    Args:
        said: The whole text.
        words: Words of it, as `search_fold_1` writes them.

    Returns:
        Parts in order; joined, they are the excerpt.
    """
    text = " ".join(said.split())
    spans = [span for span, word in _words(text) if word in words]
    start = _start(text, spans)
    end = min(len(text), start + EXCERPT_CHARS_MAX)
    if end < len(text):
        # At the end of a word, unless it is one that is all there is.
        end = max(text.rfind(" ", start + EXCERPT_CHARS_MAX // 2, end), 0) or end
    parts: list[ExcerptPart] = []
    at = start
    for span in spans:
        if start <= span.start and span.end <= end:
            _add(parts, text[at : span.start], match=False)
            _add(parts, text[span.start : span.end], match=True)
            at = span.end
    _add(parts, text[at:end], match=False)
    if start:
        parts.insert(0, ExcerptPart(text=CUT, match=False))
    if end < len(text):
        parts.append(ExcerptPart(text=CUT, match=False))
    return parts


def _add(parts: list[ExcerptPart], text: str, *, match: bool) -> None:
    if text:
        parts.append(ExcerptPart(text=text, match=match))


def _start(text: str, spans: Sequence[Span]) -> int:
    """Where the excerpt begins: shortly before the place that has the most matches."""
    if not spans or spans[-1].end <= EXCERPT_CHARS_MAX:
        return 0
    window = EXCERPT_CHARS_MAX - LEAD_CHARS
    best = max(
        spans,
        key=lambda first: (
            sum(first.start <= span.start and span.end <= first.start + window for span in spans),
            -first.start,
        ),
    )
    earliest = best.start - LEAD_CHARS
    if earliest <= 0:
        return 0
    # A word begins behind a space; a very long one is cut.
    space = text.find(" ", earliest, best.start)
    return best.start if space < 0 else space + 1


def _words(text: str) -> Sequence[tuple[Span, str]]:
    """The words of a text with their places, folded as the database does it."""
    found: list[tuple[Span, str]] = []
    start, folded = 0, ""
    for at, char in enumerate(text):
        letters = _folded(char)
        alone = _is_ideograph(char)
        if folded and (letters is None or alone):
            found.append((Span(start, at), folded))
            folded = ""
        if letters is None:
            continue
        if alone:
            found.append((Span(at, at + 1), letters))
            continue
        if not folded:
            start = at
        folded += letters
    if folded:
        found.append((Span(start, len(text)), folded))
    return found


def _folded(char: str) -> str | None:
    """The letters of a character without their marks; None if it parts words."""
    letters = "".join(
        one for one in unicodedata.normalize("NFKD", char.lower()) if not unicodedata.combining(one)
    )
    if not letters:
        # A mark belongs to the letter before it.
        return ""
    return letters if letters.isalnum() else None


def _is_ideograph(char: str) -> bool:
    """Whether it is of a script that is written without spaces, in which a sign is a word."""
    return "\u3041" <= char <= "\u30ff" or "\u3400" <= char <= "\u9fff"
