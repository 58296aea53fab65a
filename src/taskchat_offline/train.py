"""Training: `python -m taskchat_offline.train`. The same data give the same bytes anywhere.

Nothing here is floating point, and nothing depends on the order of a set or a hash.
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taskchat_offline import learned
from taskchat_offline.features import Context, Heard
from taskchat_offline.generator import Example, Generator, examples_in
from taskchat_offline.matching import Titles
from taskchat_offline.text import spoken_of, tokens_of

Pair = tuple[learned.Weights, learned.Weights]

DATA: Final = Path(__file__).parent / "data"
SEED: Final = 20250
EXAMPLES: Final = 20_000
EPOCHS: Final = 5

COST: Final = 40
"""By how much the right label must win; more when a wrong one would change a task."""

SPAN_COST: Final = 20
"""The same for each word of what fills a slot."""

SUM_LANE: Final = 64
"""Bits of a sum over all times; a lane as wide as a weight's could run over."""

SCALE: Final = 4
"""Weights are averages in quarters."""

WEIGHT_MIN: Final = 8
"""Smaller ones are left out: they are three in four, and change next to nothing."""

SKIPPED: Final = 0.6
"""Share of those read rightly last time that are passed over: most of the time, for no loss."""

NUMBER: Final = {label: number for number, label in enumerate(learned.LABELS)}


@dataclass
class Lesson:
    """A message with the right cut, and what fills the slots of each segment."""

    heard: Heard
    segments: list[learned.Segment]
    filled: list[list[learned.Span]]


class Average(learned.Weights):
    """Weights while they are learned, and, packed likewise, what was added to them at what time."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self._sums: dict[str, int] = {}

    def add(self, features: Sequence[str], number: int, by: int, now: int) -> None:
        """Change one column of the features' rows, at that time."""
        change = by << (learned.LANE * number)
        # The last lane counts how often the row was changed.
        later = ((by * now) << (SUM_LANE * number)) + (1 << (SUM_LANE * self.width))
        for feature in features:
            self.rows[feature] = self.rows.get(feature, 0) + change
            self._sums[feature] = self._sums.get(feature, 0) + later

    def averaged(self, now: int, uses_min: int) -> learned.Weights:
        """The averages up to now, without what was hardly ever used."""
        found = learned.Weights(self.width)
        for feature, row in self.rows.items():
            *sums, uses = learned.unpacked(self._sums[feature], self.width + 1, SUM_LANE)
            if uses >= uses_min:
                pairs = zip(learned.unpacked(row, self.width), sums, strict=True)
                mean = [_rounded((w * now - s) * SCALE, now) for w, s in pairs]
                kept = [(n, w) for n, w in enumerate(mean) if abs(w) >= WEIGHT_MIN]
                found.rows[feature] = sum(w << (learned.LANE * n) for n, w in kept)
        return found


def _rounded(number: int, by: int) -> int:
    """Rounded to the nearest, away from zero when halfway; whole numbers only."""
    return (2 * abs(number) + by) // (2 * by) * (1 if number >= 0 else -1)


def lesson_of(example: Example) -> Lesson:
    """What an example teaches."""
    tokens = spoken_of(tokens_of(example.text))
    heard = Heard(tokens, Titles(example.tasks), Context(example.asked, example.did))
    starts: dict[int, str] = {}
    for begin, label in example.starts:
        first = next((n for n, token in enumerate(tokens) if token.start >= begin), len(tokens))
        # A mark belongs to the part before it.
        while first < len(tokens) and tokens[first].kind == "mark" and (
            tokens[first].key not in {"+", "#", "&"}
        ):  # fmt: skip
            first += 1
        if first < len(tokens) or not starts:
            starts[first if starts else 0] = label
    ends = [*list(starts)[1:], len(tokens)]
    parts = zip(starts.items(), ends, strict=True)
    segments = [learned.Segment(start, end, label) for (start, label), end in parts]
    heard.cuts = sorted({*heard.cuts, *starts})
    return Lesson(heard, segments, [_filled(heard, segment, example) for segment in segments])


def _filled(heard: Heard, segment: learned.Segment, example: Example) -> list[learned.Span]:
    found: list[learned.Span] = []
    places = range(segment.start, segment.end)
    for begin, end, slot in sorted(example.slots):
        inside = [place for place in places if begin <= heard.tokens[place].start < end]
        if inside and slot in learned.SLOTS.get(segment.label, ""):
            found.append(learned.Span(inside[0], inside[-1] + 1, slot))
    return found


def _rounds(count: int, epochs: int, seed: int, look: Callable[[int, int], bool]) -> int:
    """Look at every lesson in every round, but mostly not at those that were right last time.

    `look` learns from a lesson, by number and time, and tells whether it was right already. The
    time at the end is returned.
    """
    chance = random.Random(seed)  # noqa: S311
    order = list(range(count))
    right = [False] * count
    now = 0
    for epoch in range(epochs):
        # Not `shuffle`, whose use of chance is not promised to stay.
        for place in range(count - 1, 0, -1):
            other = int(chance.random() * (place + 1))
            order[place], order[other] = order[other], order[place]
        for number in order:
            now += 1
            if not right[number] or chance.random() >= SKIPPED:
                right[number] = look(number, now)
        sys.stderr.write(f"round {epoch + 1}: {right.count(False)} of {count} were wrong\n")
    return now


def learn_cutting(examples: Sequence[Example], epochs: int) -> Pair:
    """Weights that cut messages and label the parts."""
    lessons = [lesson for lesson in map(lesson_of, examples) if lesson.heard.tokens]
    rows, steps = Average(len(learned.LABELS)), Average(len(learned.LABELS))

    def look(number: int, now: int) -> bool:
        lesson = lessons[number]
        truth = {place: s for s in lesson.segments for place in range(s.start, s.end)}
        guess = learned.best_cut(lesson.heard, rows, steps, lambda a, b: _costs(truth, a, b))
        told = [(s.start, s.end, s.label) for s in guess]
        right = [(s.start, s.end, s.label) for s in lesson.segments]
        if told == right:
            return True
        for way, other, by in ((right, told, 1), (told, right, -1)):
            before = "^"
            for start, end, label in way:
                if (start, end, label) not in other:
                    rows.add(lesson.heard.segment(start, end), NUMBER[label], by, now)
                steps.add([f"after={before}"], NUMBER[label], by, now)
                before = label
            steps.add(["before=$"], NUMBER[before], by, now)
        return False

    now = _rounds(len(lessons), epochs, SEED, look)
    return rows.averaged(now, 3), steps.averaged(now, 1)


def _costs(truth: dict[int, learned.Segment], start: int, end: int) -> learned.Row:
    """How wrong each label is for a stretch: most where it changes what should stay."""
    segment = truth[start]
    whole = segment.start == start and segment.end == end
    acting = any(truth[place].label in learned.ACTING for place in range(start, end))
    right = NUMBER[segment.label]
    return [
        0 if whole and n == right else COST * (3 if learned.IS_ACTING[n] and not acting else 1)
        for n in range(len(learned.LABELS))
    ]


def learn_filling(examples: Sequence[Example], epochs: int) -> Pair:
    """Weights that find what fills the slots of a segment."""
    words, spans = Average(len(learned.TAG_NUMBER)), Average(len(learned.SLOT_NUMBER))
    parts = [
        (lesson.heard, segment, filled)
        for lesson in map(lesson_of, examples)
        for segment, filled in zip(lesson.segments, lesson.filled, strict=True)
        if segment.label in learned.SLOTS
    ]

    def look(number: int, now: int) -> bool:
        heard, segment, right = parts[number]
        wanted = [learned.TAG_NUMBER[tag] for tag in _tags_of(segment, right)]

        def costs(place: int) -> learned.Row:
            row = [SPAN_COST] * len(learned.TAG_NUMBER)
            row[wanted[place - segment.start]] = 0
            return row

        guess = learned.best_spans(heard, segment, words, spans, costs)
        if guess == right:
            return True
        kind = segment.label.split()[0]
        tagged = [_tags_of(segment, way) for way in (right, guess)]
        for place, good, bad in zip(range(segment.start, segment.end), *tagged, strict=True):
            if good != bad:
                features = heard.token(place, segment.start, segment.end, kind)
                words.add(features, learned.TAG_NUMBER[good], 1, now)
                words.add(features, learned.TAG_NUMBER[bad], -1, now)
        for way, other, by in ((right, guess, 1), (guess, right, -1)):
            last = "^"
            for span in way:
                column = learned.SLOT_NUMBER[span.slot]
                if span not in other:
                    place = (span.start, span.end, segment.start, segment.end)
                    spans.add(heard.span(*place, kind), column, by, now)
                spans.add([f"{kind} after={last}"], column, by, now)
                last = span.slot
        return False

    now = _rounds(len(parts), epochs, SEED + 1, look)
    return words.averaged(now, 3), spans.averaged(now, 3)


def _tags_of(segment: learned.Segment, spans: Sequence[learned.Span]) -> list[str]:
    slots = {place: span.slot for span in spans for place in range(span.start, span.end)}
    return [slots.get(place, "") for place in range(segment.start, segment.end)]


def trained(examples: Sequence[Example], epochs: int) -> learned.Model:
    """A model that has learned from the examples; each half of it on a core of its own."""
    model = learned.Model()
    with ProcessPoolExecutor(2) as cores:
        halves = [cores.submit(half, examples, epochs) for half in (learn_cutting, learn_filling)]
        (model.segments, model.steps), (model.words, model.spans) = (h.result() for h in halves)
    return model


def main() -> None:
    """Train, and write the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--marked", type=Path, default=DATA / "marked")
    parser.add_argument("--out", type=Path, default=DATA / learned.WEIGHTS_FILE)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    written = [e for path in sorted(given.marked.iterdir()) for e in examples_in(path)]
    generator = Generator(written, SEED)
    examples = [*written, *(generator.example() for _ in range(given.examples))]
    learned.save(trained(examples, given.epochs), given.out)


if __name__ == "__main__":
    main()
