"""Two linear models with whole-number weights: where a message is cut, and what each word is.

Both are averaged structured perceptrons (Collins 2002). The first cuts a message into labelled
segments, scored as wholes (a semi-Markov model, Sarawagi and Cohen 2004); the second finds the
words of one segment that fill the slots of its label, likewise. Whole numbers: training gives the
same bytes anywhere.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import repeat
from operator import add, itemgetter
from pathlib import Path
from struct import Struct
from typing import Final

from taskchat_offline.features import SEGMENT_CUTS_MAX, SEGMENT_TOKENS_MAX, Heard

LABELS: Final = (
    "add", "duty", "complete", "report", "delete", "retitle", "describe",
    "list all", "list pending", "list completed", "ask", "hold", "calloff", "offer", "chat",
    "hello", "thanks", "bye", "help", "howto", "yes", "no", "pick", "undo", "reopen",
)  # fmt: skip
"""What a segment can be. Those of `ACTING` may change tasks."""

ACTING: Final = frozenset(
    {"add", "duty", "complete", "report", "delete", "retitle", "describe", "pick", "yes"}
)

IS_ACTING: Final = tuple(label in ACTING for label in LABELS)

SLOTS: Final[Mapping[str, str]] = {
    "add": "TD", "duty": "T", "offer": "T", "complete": "R", "report": "R", "delete": "R",
    "retitle": "RNFP", "describe": "RD", "ask": "R", "pick": "R", "undo": "R", "reopen": "R",
    "list all": "W", "list pending": "W", "list completed": "W",
}  # fmt: skip
"""Of each label, the slots that its words may fill: (T)itle, (D)escription, (R)eference,
(N)ew title, (F)ormer part of a title, a(P)pended words, (W)ords to look for."""

SLOT_NUMBER: Final = {slot: number for number, slot in enumerate("TDRNFPW")}
TAG_NUMBER: Final = {tag: number for number, tag in enumerate(["", *SLOT_NUMBER])}
"""The columns of a word: that it fills nothing, or a slot."""

MARGIN_MIN: Final = 100
"""Chosen on conversations that nothing was trained on: `make offline-curve`."""

SPAN_TOKENS_MAX: Final = 40
"""Words that fill one slot."""

WEIGHTS_FILE: Final = "weights.tsv"

Row = list[int]


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a message: the tokens from `start` to before `end`.

    `margin` is how much better the label scored than the best one that asks for nothing (or, if it
    asks for nothing, than the best one that may change tasks); `lead` how much better than any
    other, kinds of adding being one.
    """

    start: int
    end: int
    label: str
    margin: int = 0
    lead: int = 0


LANE: Final = 32
"""Bits of a weight in a packed row, which is one whole number: adding rows is one addition."""


class Weights:
    """Packed rows of weights by feature; a feature not seen in training weighs nothing.

    A stored row is text until it is asked for: most of them never are.
    """

    def __init__(self, width: int, stored: dict[str, str] | None = None) -> None:
        self.width = width
        self.rows: dict[str, int] = {}
        self._stored = {} if stored is None else stored

    def score(self, features: Sequence[str]) -> Row:
        """The sum of the features' rows."""
        if self._stored:
            for feature in features:
                # Not those that are unknown: there is no end of what people say.
                if feature in self._stored:
                    self.rows[feature] = packed(self._stored.pop(feature))
        return unpacked(sum(map(self.rows.get, features, repeat(0))), self.width)


@cache
def _lanes(width: int, bits: int) -> tuple[int, Struct, int]:
    """What makes every lane of a row positive, how lanes are read, and what was added to each."""
    half = 1 << (bits - 1)
    lanes = Struct(f"<{width}{'I' if bits == 32 else 'Q'}")
    return sum(half << (bits * number) for number in range(width)), lanes, half


def unpacked(row: int, width: int, bits: int = LANE) -> Row:
    """The numbers in a packed row."""
    raised, lanes, half = _lanes(width, bits)
    return [n - half for n in lanes.unpack((row + raised).to_bytes(lanes.size, "little"))]


def packed(told: str) -> int:
    """A row from how it is stored: "d12h-4" are the columns that aren't 0, by letter."""
    row = 0
    for column, weight in _STORED.findall(told):
        row += int(weight) << (LANE * (ord(column) - ord("a")))
    return row


_STORED: Final = re.compile(r"([a-z])(-?\d+)")


class Model:
    """Both models: labels by a segment's features and after one another; slots by words and spans.

    A segment whose margin is below `margin_min` changes nothing unasked.
    """

    def __init__(self) -> None:
        self.segments = Weights(len(LABELS))
        self.steps = Weights(len(LABELS))
        self.words = Weights(len(TAG_NUMBER))
        self.spans = Weights(len(SLOT_NUMBER))
        self.margin_min = MARGIN_MIN


def best_cut(
    heard: Heard,
    weights: Weights,
    steps: Weights,
    costs: Callable[[int, int], Row] | None = None,
) -> list[Segment]:
    """The cut with the highest score; `costs` are added to the scores of a stretch's labels."""
    cuts = [*heard.cuts, len(heard.tokens)]
    # Of each label, what it scores after each; at the beginning; at the end.
    follow = list(zip(*(steps.score([f"after={label}"]) for label in LABELS), strict=True))
    start, end = steps.score(["after=^"]), steps.score(["before=$"])
    # Of each cut, the best total that ends there, by label, and where and as what it began.
    best = [[_NEVER] * len(LABELS) for _ in cuts]
    back: list[list[tuple[int, int]]] = [[(-1, -1)] * len(LABELS) for _ in cuts]
    entry: dict[int, tuple[Row, Row]] = {0: (start, [-1] * len(LABELS))}
    rows: dict[tuple[int, int], Row] = {}
    until = range(1, len(cuts))
    spans = [(n, end) for end in until for n in range(max(0, end - SEGMENT_CUTS_MAX), end)]
    for first, last in spans:
        if cuts[last] - cuts[first] > SEGMENT_TOKENS_MAX and first < last - 1:
            continue
        if first not in entry:
            entry[first] = _entered(best[first], follow)
        totals, came = entry[first]
        row = weights.score(heard.segment(cuts[first], cuts[last]))
        rows[first, last] = row
        if costs is not None:
            row = list(map(add, row, costs(cuts[first], cuts[last])))
        into, behind = best[last], back[last]
        for number, total in enumerate(map(add, totals, row)):
            if total > into[number]:
                into[number], behind[number] = total, (first, came[number])
    ends = list(map(add, best[-1], end))
    number, last = ends.index(max(ends)), len(cuts) - 1
    found: list[Segment] = []
    while last > 0:
        first, earlier = back[last][number]
        found.append(_segment(cuts[first], cuts[last], rows[first, last], number))
        last, number = first, earlier
    return found[::-1]


_NEVER: Final = -(10**12)
"""Less than any sum of weights."""


def _entered(ending: Row, follow: Sequence[Sequence[int]]) -> tuple[Row, Row]:
    """The best total with which each label can follow, and the label before it."""
    totals: Row = []
    came: Row = []
    for column in follow:
        options = list(map(add, ending, column))
        top = max(options)
        totals.append(top)
        came.append(options.index(top))
    return totals, came


def _segment(start: int, end: int, row: Row, number: int) -> Segment:
    others = [s for n, s in enumerate(row) if IS_ACTING[n] != IS_ACTING[number]]
    same = {0, 1, number} if number < 2 else {number}
    lead = row[number] - max(score for n, score in enumerate(row) if n not in same)
    return Segment(start, end, LABELS[number], row[number] - max(others), lead)


@dataclass(frozen=True, slots=True)
class Span:
    """Words that fill a slot: the tokens from `start` to before `end`."""

    start: int
    end: int
    slot: str


def best_spans(
    heard: Heard,
    segment: Segment,
    words: Weights,
    spans: Weights,
    costs: Callable[[int], Row] | None = None,
) -> list[Span]:
    """The way to fill the label's slots that scores highest.

    A span scores as a whole, besides what its words score one by one; `costs` are added to the
    scores of a word's tags.
    """
    slots = SLOTS.get(segment.label, "")
    if not slots or segment.end - segment.start > SEGMENT_TOKENS_MAX:
        return []
    kind = segment.label.split()[0]
    start, end = segment.start, segment.end
    size = end - start
    rows = [words.score(heard.token(place, start, end, kind)) for place in range(start, end)]
    if costs is not None:
        rows = [list(map(add, row, costs(start + place))) for place, row in enumerate(rows)]
    follow = {last: spans.score([f"{kind} after={last}"]) for last in f"^{slots}"}
    # Of each place, and the slot filled last, the best way there: its total, where its last step
    # began, the slot filled last by then, and whether the step filled one.
    best: list[dict[str, tuple[int, int, str, bool]]] = [{} for _ in range(size + 1)]
    best[0]["^"] = (0, 0, "^", False)
    for first in range(size):
        for last, (total, *_) in best[first].items():
            way = (total + rows[first][0], first, last, False)
            best[first + 1][last] = max(best[first + 1].get(last, way), way, key=_TOTAL)
        inside = dict.fromkeys(slots, 0)
        for until in range(first + 1, min(size, first + SPAN_TOKENS_MAX) + 1):
            row = spans.score(heard.span(start + first, start + until, start, end, kind))
            for slot in slots:
                inside[slot] += rows[until - 1][TAG_NUMBER[slot]]
                number = SLOT_NUMBER[slot]
                worth = inside[slot] + row[number]
                for last, (total, *_) in best[first].items():
                    more = total + worth + follow[last][number]
                    way = (more, first, last, True)
                    best[until][slot] = max(best[until].get(slot, way), way, key=_TOTAL)
    found: list[Span] = []
    place, last = size, max(best[size], key=lambda slot: (best[size][slot][0], slot))
    while place:
        _, first, before, filled = best[place][last]
        if filled:
            found.append(Span(start + first, start + place, last))
        place, last = first, before
    return found[::-1]


_TOTAL: Final = itemgetter(0)
_PARTS: Final = ("segments", "steps", "words", "spans")


def save(model: Model, path: Path) -> None:
    """Write a model: one line a feature, sorted, so that a change shows as one."""
    lines: list[str] = []
    for name in _PARTS:
        weights: Weights = getattr(model, name)
        lines.append(name)
        for feature in sorted(weights.rows):
            row = enumerate(unpacked(weights.rows[feature], weights.width))
            told = "".join(f"{chr(ord('a') + n)}{weight}" for n, weight in row if weight)
            lines += [f"{feature}\t{told}"] if told else []
    path.write_bytes(("\n".join(lines) + "\n").encode())


@cache
def load() -> Model:
    """The model that is in the package."""
    text = files("taskchat_offline").joinpath("data", WEIGHTS_FILE).read_text(encoding="utf-8")
    model = Model()
    stored: dict[str, str] = {}
    # Not `splitlines`: a feature may hold any other character that ends a line.
    for line in text.split("\n")[:-1]:
        feature, tab, told = line.partition("\t")
        if tab:
            stored[feature] = told
        else:
            stored = {}
            setattr(model, feature, Weights(getattr(model, feature).width, stored))
    return model
