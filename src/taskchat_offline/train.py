"""Training: `python -m taskchat_offline.train`. The same data give the same bytes anywhere.

Nothing here is floating point, and nothing depends on the order of a set or a hash.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taskchat_offline import learned
from taskchat_offline.features import Context, Heard
from taskchat_offline.generator import Example, Generator
from taskchat_offline.matching import Task, Titles
from taskchat_offline.text import spoken_of, tokens_of

Pair = tuple[learned.Weights, learned.Weights]

DATA: Final = Path(__file__).parent / "data"
SEED: Final = 20250
EXAMPLES: Final = 8_000
EPOCHS: Final = 3

WRITTEN: Final = 3
"""How often what was written and labelled by hand is read in a round."""

COST: Final = 12
"""By how much the right label must win; more when a wrong one would change a task."""

SUM_LANE: Final = 64
"""Bits of a sum over all times; a lane as wide as a weight's could run over."""

SCALE: Final = 4
"""Weights are averages in quarters."""

MARGIN_MIN: Final = 0
"""Chosen on conversations that nothing was trained on: `make offline-curve`."""

SKIPPED: Final = 0.6
"""Share of those read rightly last time that are passed over: most of the time, for no loss."""

NUMBER: Final = {label: number for number, label in enumerate(learned.LABELS)}
TAG_NUMBER: Final = {tag: number for number, tag in enumerate(learned.TAGS)}


@dataclass
class Lesson:
    """A message with the right cut and the right tags of each segment."""

    heard: Heard
    segments: list[learned.Segment]
    tags: Sequence[list[str] | None]


class Average(learned.Weights):
    """Weights while they are learned, and, packed likewise, what was added to them at what time."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self._sums: dict[str, int] = {}

    def add(self, features: Sequence[str], number: int, by: int, now: int) -> None:
        """Change one column of the features' rows, at that time."""
        self.table = None
        change = by << (learned.LANE * number)
        # The last lane counts how often the row was changed.
        later = ((by * now) << (SUM_LANE * number)) + (1 << (SUM_LANE * self.width))
        rows, sums = self.rows, self._sums
        for feature in features:
            rows[feature] = rows.get(feature, 0) + change
            sums[feature] = sums.get(feature, 0) + later

    def averaged(self, now: int, uses_min: int) -> learned.Weights:
        """The averages up to now, without what was hardly ever used."""
        found = learned.Weights(self.width)
        for feature, row in self.rows.items():
            *sums, uses = learned.unpacked(self._sums[feature], self.width + 1, SUM_LANE)
            if uses >= uses_min:
                pairs = zip(learned.unpacked(row, self.width), sums, strict=True)
                mean = [_rounded((w * now - s) * SCALE, now) for w, s in pairs]
                found.rows[feature] = sum(w << (learned.LANE * n) for n, w in enumerate(mean) if w)
        return found


def _rounded(number: int, by: int) -> int:
    """Rounded to the nearest, away from zero when halfway; whole numbers only."""
    return (2 * abs(number) + by) // (2 * by) * (1 if number >= 0 else -1)


def lesson_of(example: Example) -> Lesson:
    """What a generated message teaches."""
    tokens = spoken_of(tokens_of(example.text))
    heard = Heard(tokens, Titles(example.tasks), Context(example.asked, example.did))
    starts: dict[int, str] = {}
    for begin, _, label in example.units:
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
    sure = [not label.endswith("?") for label in starts.values()]
    segments = [learned.Segment(start, end, label.rstrip("?")) for (start, label), end in parts]
    heard.cuts = sorted({*heard.cuts, *starts})
    tags = [_tags_in(heard, s, example) if n else None for n, s in zip(sure, segments, strict=True)]
    return Lesson(heard, segments, tags)


def _tags_in(heard: Heard, segment: learned.Segment, example: Example) -> list[str]:
    tags: list[str] = []
    before = None
    for token in heard.tokens[segment.start : segment.end]:
        spans = (span for span in example.slots if span[0] <= token.start < span[1])
        span = next(spans, None)
        tags.append("O" if span is None else f"{'I' if span == before else 'B'}{span[2]}")
        before = span
    return tags


def examples_in(path: Path) -> Iterator[Example]:
    """Labelled messages of a file; `scripts/offline_labels.py` writes them."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tasks = [Task(n, title, completed=done) for n, (title, done) in enumerate(row["tasks"], 1)]
        units, slots = ([(a, b, name) for a, b, name in row[kind]] for kind in ("units", "slots"))
        yield Example(row["text"], units, slots, tasks, row["asked"], row["did"])


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


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
        _tell(f"round {epoch + 1}: {right.count(False)} of {count} were wrong")
    return now


def learn_cutting(lessons: Sequence[Lesson], epochs: int) -> Pair:
    """Weights that cut messages and label the parts."""
    rows, steps = Average(len(learned.LABELS)), Average(len(learned.LABELS))

    def look(number: int, now: int) -> bool:
        lesson = lessons[number]
        truth = _truth(lesson)
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


def _truth(lesson: Lesson) -> dict[int, learned.Segment]:
    return {place: s for s in lesson.segments for place in range(s.start, s.end)}


_IS_ACTING: Final = [label in learned.ACTING for label in learned.LABELS]


def _costs(truth: dict[int, learned.Segment], start: int, end: int) -> learned.Row:
    """How wrong each label is for a stretch: most where it changes what should stay."""
    segment = truth[start]
    whole = segment.start == start and segment.end == end
    acting = any(truth[place].label in learned.ACTING for place in range(start, end))
    right = NUMBER[segment.label]
    return [
        0 if whole and n == right else COST * (3 if _IS_ACTING[n] and not acting else 1)
        for n in range(len(learned.LABELS))
    ]


def learn_tagging(lessons: Sequence[Lesson], epochs: int) -> Pair:
    """Weights that tag the words of a segment."""
    rows, steps = Average(len(learned.TAGS)), Average(len(learned.TAGS))
    pairs = [
        (lesson.heard, segment, tags)
        for lesson in lessons
        for segment, tags in zip(lesson.segments, lesson.tags, strict=True)
        if tags and segment.label in learned.SLOTS
    ]

    def look(number: int, now: int) -> bool:
        heard, segment, right = pairs[number]
        guess = learned.best_tags(heard, segment, rows, steps)
        kind = segment.label.split()[0]
        before = ("^", "^")
        for offset, (good, bad) in enumerate(zip(right, guess, strict=True)):
            if good != bad:
                place = segment.start + offset
                features = heard.token(place, segment.start, segment.end, kind)
                rows.add(features, TAG_NUMBER[good], 1, now)
                rows.add(features, TAG_NUMBER[bad], -1, now)
            if (before[0], good) != (before[1], bad):
                steps.add([f"{kind} after={before[0]}"], TAG_NUMBER[good], 1, now)
                steps.add([f"{kind} after={before[1]}"], TAG_NUMBER[bad], -1, now)
            before = (good, bad)
        return guess == right

    now = _rounds(len(pairs), epochs, SEED + 1, look)
    return rows.averaged(now, 3), steps.averaged(now, 1)


def trained(lessons: Sequence[Lesson], epochs: int) -> learned.Model:
    """A model that has learned from the lessons."""
    model = learned.Model()
    model.segments, model.steps = learn_cutting(lessons, epochs)
    model.words, model.tag_steps = learn_tagging(lessons, epochs)
    return model


def main() -> None:
    """Train, and write the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=DATA / learned.WEIGHTS_FILE)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    generator = Generator(SEED)
    made = [lesson_of(generator.example()) for _ in range(given.examples)]
    read = [lesson_of(example) for example in examples_in(DATA / "labelled.jsonl")]
    written = [lesson_of(example) for example in examples_in(DATA / "written.jsonl")] * WRITTEN
    lessons = [*made, *read[: given.examples], *written[: given.examples]]
    model = trained(lessons, given.epochs)
    model.margin_min = MARGIN_MIN
    learned.save(model, given.out)


if __name__ == "__main__":
    main()
