"""The part of a text to show, with what was looked for marked. Nothing here is ever HTML."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from taskchat.search.folding import folded
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
        if max(start, at) <= span.start and span.end <= end:
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
    start, word = 0, ""
    for at, char in enumerate(text):
        # A sign may stand for several words, as a half does, which is written 1/2.
        for number, piece in enumerate(folded(char).split(" ")):
            if number and word:
                found.append((Span(start, max(at, start + 1)), word))
                word = ""
            if piece and not word:
                start = at
            word += piece
    if word:
        found.append((Span(start, len(text)), word))
    return found
