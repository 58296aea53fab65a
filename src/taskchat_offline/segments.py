"""A message cut where another order, report or reason begins, for the weighing of evidence."""

from collections.abc import Iterator, Sequence

from taskchat_offline.frames import unframed
from taskchat_offline.lexicon import CHANGE, FIELDS, FILLERS, word_set
from taskchat_offline.normalise import Token
from taskchat_offline.signs import VERBS, base_of

_ENDS = frozenset([".", "!", "?", ";", "\n", "…"])
_JOINTS = word_set(", and so but then also & plus - – — ;")
_WEAK = word_set(
    "get gets got getting have has had having see sees want wants need needs like likes keep list "
    "lists call calls show shows report reports make made call change changes note notes record "
    "turn log type track schedule switch lose losing lost seen seeing kept record records"
)
"""Verbs and nouns that also open a second half of a title: "and get milk", "and call Al"."""

_SPEAKERS = word_set("i i've i'm we we've you it it's that that's they're this")


def segments_of(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The segments in order; no word is lost but the joints between them."""
    segment: list[Token] = []
    for at, token in enumerate(tokens):
        if token.kind == "mark" and token.key in _ENDS:
            if segment:
                yield segment
            segment = []
        elif token.kind != "quote" and token.key in _JOINTS and segment and _opens(tokens, at):
            yield segment
            segment = []
        elif segment or token.kind == "quote" or token.key not in _JOINTS | FILLERS:
            segment.append(token)
    if segment:
        yield segment


def _rewords(keys: Sequence[str]) -> bool:
    """“So that it says ...” goes on with an edit."""
    keys = keys[1:] if keys[0] == "that" else keys
    return keys[:1] in (["it"], ["they"]) and bool(
        {"says", "say", "reads", "read"} & set(keys[1:2])
    )


def _opens(tokens: Sequence[Token], at: int) -> bool:
    """Whether the words after the joint at `at` are an order or a report of their own."""
    rest = tokens[at:]
    paused = rest[0].key in {",", "-", "–", "—", ";", "so", "but"}
    while rest and rest[0].kind != "quote" and rest[0].key in _JOINTS | FILLERS:
        paused = paused or rest[0].key in {",", "so", "but"}
        rest = rest[1:]
    if len(rest) < 2 or rest[0].kind == "quote":
        return False
    if [t.key for t in rest[:3]] and _rewords([t.key for t in rest[:3]]):
        return False
    if any(t.key in FIELDS and t.kind == "word" for t in rest[:3]) and rest[0].key in {
        "the", "its", "new", "title", "description", "a", "name", "note", "with", "notes"
    }:  # fmt: skip
        return False
    order = unframed(rest, VERBS)
    opening = rest[order].key
    # "I've waxed the skis and called Ida" goes on reporting; an order is no past form.
    told = not order and opening.endswith("ed") and opening != base_of(opening)
    sure = order or rest[1].key in _SPEAKERS or opening not in _WEAK
    if sure and not told and opening in VERBS | CHANGE | {"describe", "annotate", "give"}:
        return True
    return paused and opening in _SPEAKERS and len(rest) > 1
