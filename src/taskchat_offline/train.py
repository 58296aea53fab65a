"""Training: `python -m taskchat_offline.train`. The same data give the same bytes anywhere.

Nothing here is floating point, and nothing depends on the order of a set or a hash.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from taskchat_offline.features import Context, Heard
from taskchat_offline.generator import Example, Generator
from taskchat_offline.learned import (
    ACTING,
    LABELS,
    LANE,
    SLOTS,
    TAGS,
    WEIGHTS_FILE,
    Model,
    Row,
    Segment,
    Weights,
    best_cut,
    best_tags,
    parsed,
    save,
    word_features,
)
from taskchat_offline.matching import Task, Titles
from taskchat_offline.references import Memory, reference_of, resolve
from taskchat_offline.rewording import new_title
from taskchat_offline.text import spoken_of, text_of, tokens_of

SEED: Final = 20250
EXAMPLES: Final = 20_000
EPOCHS: Final = 4

COST: Final = 8
"""By how much the right label must win; more when a wrong one would change a task."""

SCALE: Final = 4
"""Weights are averages in quarters."""

SKIPPED: Final = 0.6
"""Share of those read rightly last time that are passed over: most of the time, for no loss."""

NUMBER: Final = {label: number for number, label in enumerate(LABELS)}
TAG_NUMBER: Final = {tag: number for number, tag in enumerate(TAGS)}


@dataclass
class Lesson:
    """A message with the right cut and the right tags of each segment."""

    heard: Heard
    segments: list[Segment]
    tags: Sequence[list[str] | None]


class Average(Weights):
    """Weights while they are learned: what they are, and what they were on average."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self._sums: dict[str, Row] = {}
        self._uses: dict[str, int] = {}

    def add(self, features: Sequence[str], number: int, by: int, now: int) -> None:
        """Change one column of the features' rows, at that time."""
        change = by << (LANE * number)
        for feature in features:
            self.rows[feature] = self.rows.get(feature, 0) + change
            sums = self._sums.get(feature)
            if sums is None:
                sums = self._sums[feature] = [0] * self.width
                self._uses[feature] = 0
            sums[number] += by * now
            self._uses[feature] += 1

    def averaged(self, now: int, uses_min: int) -> Weights:
        """The averages up to now, without what was hardly ever used."""
        found = Weights(self.width)
        for feature, row in self.rows.items():
            if self._uses[feature] >= uses_min:
                pairs = zip(self.unpacked(row), self._sums[feature], strict=True)
                mean = [_rounded((w * now - s) * SCALE, now) for w, s in pairs]
                found.rows[feature] = sum(w << (LANE * n) for n, w in enumerate(mean))
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
        if first < len(tokens):
            starts[first if starts else 0] = label
    ends = [*list(starts)[1:], len(tokens)]
    parts = zip(starts.items(), ends, strict=True)
    segments = [Segment(start, end, label) for (start, label), end in parts]
    heard.cuts = sorted({*heard.cuts, *starts})
    return Lesson(heard, segments, [_tags_in(heard, s, example) for s in segments])


def _tags_in(heard: Heard, segment: Segment, example: Example) -> list[str]:
    tags: list[str] = []
    before = None
    for token in heard.tokens[segment.start : segment.end]:
        spans = (span for span in example.slots if span[0] <= token.start and token.end <= span[1])
        span = next(spans, None)
        tags.append("O" if span is None else f"{'I' if span == before else 'B'}{span[2]}")
        before = span
    return tags


BOOSTS: Final = (0, 60, 200, 600)
"""By how much the labels that make the right calls are helped until they win."""

BARRED: Final = 10**9
"""More than any label scores."""

_BY_TOOL: Final = {"add_task": ("add", "duty"), "complete_task": ("complete", "report"),
                   "delete_task": ("delete",)}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """A turn of a conversation: what was said, to which list, and the calls that came of it."""

    text: str
    tasks: tuple[Task, ...]
    calls: tuple[Mapping[str, Any], ...]
    context: Context


def turns_in(path: Path) -> Iterator[Said]:
    """The turns of a file of conversations, as `taskchat eval` reads them."""
    for line in path.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        tasks = [
            Task(n, task["title"], task.get("description", ""), task.get("completed", False))
            for n, task in enumerate(case.get("tasks", []), 1)
        ]
        context = Context()
        for turn in case["turns"]:
            yield Said(turn["say"], tuple(tasks), tuple(turn["calls"]), context)
            for call in turn["calls"]:
                tasks = _after(tasks, call)
            names = [c["tool"] for c in turn["calls"]]
            changing = [name for name in names if name != "list_tasks"]
            asked = "" if names else "which" if len(tasks) > 1 else "whether"
            context = Context(asked, (changing or names or [""])[-1])


def _after(tasks: list[Task], call: Mapping[str, Any]) -> list[Task]:
    if call["tool"] == "add_task":
        number = max((task.id for task in tasks), default=0) + 1
        return [*tasks, Task(number, call["title"], call.get("description", ""))]
    meant = [task for task in tasks if _same(task.title, call.get("task", ""))]
    if call["tool"] == "delete_task":
        return [task for task in tasks if task not in meant]
    done = call["tool"] == "complete_task"
    return [
        replace(task, title=call.get("title", task.title), completed=task.completed or done)
        if task in meant else task
        for task in tasks
    ]  # fmt: skip


def _same(one: str, other: str) -> bool:
    """Whether two titles are the same without their dress."""
    bare = []
    for text in (one, other):
        words = text.casefold().strip().strip("\"'“”‘’").rstrip(".,!?;: ").split()
        bare.append(words[1:] if words and words[0] in {"a", "an", "the", "my"} else words)
    return bare[0] == bare[1]


def _labels_of(call: Mapping[str, Any]) -> tuple[str, ...]:
    if call["tool"] == "update_task":
        fields = (("title", "retitle"), ("description", "describe"))
        return tuple(label for name, label in fields if name in call)
    listed = f"list {call.get('status')}"
    return (listed,) if call["tool"] == "list_tasks" else _BY_TOOL[call["tool"]]


def lesson_from(said: Said, model: Model) -> Lesson | None:
    """The reading of a turn that makes its calls, found by a model that knows the generated ones.

    Which words said what is not known. A turn without such a reading teaches nothing.
    """
    heard = Heard(spoken_of(tokens_of(said.text)), Titles(said.tasks), said.context)
    wanted = [_labels_of(call) for call in said.calls]
    helped = {label for labels in wanted for label in labels}
    answer = {"pick", "yes"} if (said.context.asked or said.context.did) and wanted else set()
    idle = {label for label in LABELS if label not in ACTING and not label.startswith("list")}
    never = {label for label in LABELS if label not in idle | helped | answer}
    for boost in BOOSTS if heard.tokens else ():
        extra = [boost if n in helped else -BARRED if n in never else 0 for n in LABELS]
        cut = best_cut(
            heard,
            model.segments.score,
            model.steps.score,
            costs=lambda a, b, extra=extra: extra,
        )
        if _covers(cut, wanted, heard, said):
            return Lesson(heard, cut, [_known_tags(heard, segment, said, model) for segment in cut])
    return None


def _covers(
    cut: Sequence[Segment], wanted: Sequence[tuple[str, ...]], heard: Heard, said: Said
) -> bool:
    """Whether the cut asks for what was called, and for no more."""
    labels = [segment.label for segment in cut]
    if not wanted or {"pick", "yes"} & set(labels):
        return bool(wanted) or not any(label in ACTING for label in labels)
    for call, options in zip(said.calls, wanted, strict=True):
        found = [segment for segment in cut if segment.label in options]
        if call["tool"] == "add_task":
            found = [s for s in found if _place(heard, s, said.text, call["title"])]
        if not found:
            return False
    most = {label: sum(label in options for options in wanted) for label in LABELS}
    if "add" in labels:
        most["describe"] = len(labels)
    return all(
        labels.count(label) <= max(most[label], label in {"add", "delete"})
        for label in ("add", "delete", "retitle", "describe")
    )


def _place(heard: Heard, segment: Segment, said: str, text: str) -> range | None:
    """The fewest tokens of a segment that say the text."""
    best: range | None = None
    size = 3 * (len(text.split()) + 2)
    for start in range(segment.start, segment.end):
        for end in range(start + 1, min(segment.end, start + size) + 1):
            if (best is None or end - start < len(best)) and _same(
                text_of(said, heard.tokens[start:end]), text
            ):
                best = range(start, end)
    return best


def _known_tags(heard: Heard, segment: Segment, said: Said, model: Model) -> list[str] | None:
    """The tags of a segment that fit its calls; None where none is sure."""
    label = segment.label
    kinds = {"add": "TD", "duty": "T", "retitle": "N", "describe": "D"}
    calls = [call for call in said.calls if label in _labels_of(call)]
    forced: dict[int, str] = {}
    for call in calls:
        for slot in kinds.get(label, ""):
            words = call.get("description" if slot == "D" else "title")
            place = _place(heard, segment, said.text, words) if words else None
            for n in place or ():
                forced[n] = f"{'B' if place and n == place[0] else 'I'}{slot}"
    adding = label in {"add", "duty"}
    if label not in SLOTS or not calls or (adding and not forced):
        return None
    tags = best_tags(
        heard, segment, model.words.score, model.tag_steps.score,
        allowed=lambda place, n: (
            TAGS[n] == forced[place] if place in forced
            else not (forced and TAGS[n][1:] in {"T", "D", "N", "F", "P"})
        ),
    )  # fmt: skip
    return tags if tags and (adding or _right(heard, segment, said, tags, calls)) else None


def _right(
    heard: Heard,
    segment: Segment,
    said: Said,
    tags: Sequence[str],
    calls: Sequence[Mapping[str, Any]],
) -> bool:
    """Whether the tagged words name the tasks of the calls, and say what they shall say."""
    spans = {
        slot: [heard.tokens[segment.start + n] for n, tag in enumerate(tags) if tag[1:] == slot]
        for slot in "RNFP"
    }
    named = [call.get("task", "") for call in calls]
    if spans["R"]:
        match = resolve(reference_of(said.text, spans["R"]), Titles(said.tasks), Memory())
        if not match.tasks or not all(
            any(_same(task.title, name) for name in named) for task in match.tasks
        ):
            return False
    if segment.label != "retitle":
        return True
    new, former, more = (text_of(said.text, spans[slot]) for slot in "NFP")
    old = next((task.title for task in said.tasks if _same(task.title, named[0])), "")
    made = new_title(old, more or new, former, appended=bool(more)) if new or more else ""
    return bool(old) and _same(made, calls[0].get("title", ""))


def lessons_in(path: Path, model: Model) -> list[Lesson]:
    """What a file of conversations teaches."""
    said = list(turns_in(path))
    found = [lesson for turn in said if (lesson := lesson_from(turn, model)) is not None]
    _tell(f"{path.name}: {len(found)} of {len(said)} turns are lessons")
    return found


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _rounds(count: int, epochs: int, seed: int, look: Callable[[int, int], bool]) -> int:
    """Look at every lesson in every round, but mostly not at those that were right last time.

    Args:
        count: How many lessons there are.
        epochs: How many rounds.
        seed: Of their order.
        look: Learns from the lesson with that number, at that time; whether it was right already.

    Returns:
        The time at the end.
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


def learn_cutting(lessons: Sequence[Lesson], epochs: int) -> tuple[Weights, Weights]:
    """Weights that cut messages and label the parts."""
    rows, steps = Average(len(LABELS)), Average(len(LABELS))

    def look(number: int, now: int) -> bool:
        lesson = lessons[number]
        truth = _truth(lesson)
        guess = best_cut(
            lesson.heard, rows.score, steps.score, costs=lambda a, b: _costs(truth, a, b)
        )
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


def _truth(lesson: Lesson) -> dict[int, Segment]:
    return {place: s for s in lesson.segments for place in range(s.start, s.end)}


_IS_ACTING: Final = [label in ACTING for label in LABELS]


def _costs(truth: dict[int, Segment], start: int, end: int) -> Row:
    """How wrong each label is for a stretch: most where it changes what should stay."""
    segment = truth[start]
    whole = segment.start == start and segment.end == end
    acting = any(truth[place].label in ACTING for place in range(start, end))
    right = NUMBER[segment.label]
    return [
        0 if whole and n == right else COST * (3 if _IS_ACTING[n] and not acting else 1)
        for n in range(len(LABELS))
    ]


def learn_tagging(lessons: Sequence[Lesson], epochs: int) -> tuple[Weights, Weights]:
    """Weights that tag the words of a segment."""
    rows, steps = Average(len(TAGS)), Average(len(TAGS))
    pairs = [
        (lesson.heard, segment, tags)
        for lesson in lessons
        for segment, tags in zip(lesson.segments, lesson.tags, strict=True)
        if tags and segment.label in SLOTS
    ]

    def look(number: int, now: int) -> bool:
        heard, segment, right = pairs[number]
        guess = best_tags(heard, segment, rows.score, steps.score)
        kind = segment.label.split()[0]
        before = ("^", "^")
        for offset, (good, bad) in enumerate(zip(right, guess, strict=True)):
            if good != bad:
                features = word_features(heard, segment, segment.start + offset)
                rows.add(features, TAG_NUMBER[good], 1, now)
                rows.add(features, TAG_NUMBER[bad], -1, now)
            if (before[0], good) != (before[1], bad):
                steps.add([f"{kind} after={before[0]}"], TAG_NUMBER[good], 1, now)
                steps.add([f"{kind} after={before[1]}"], TAG_NUMBER[bad], -1, now)
            before = (good, bad)
        return guess == right

    now = _rounds(len(pairs), epochs, SEED + 1, look)
    return rows.averaged(now, 3), steps.averaged(now, 1)


def trained(lessons: Sequence[Lesson], epochs: int) -> Model:
    """A model that has learned from the lessons."""
    model = Model()
    model.segments, model.steps = learn_cutting(lessons, epochs)
    model.words, model.tag_steps = learn_tagging(lessons, epochs)
    return model


def main() -> None:
    """Train, and write the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / WEIGHTS_FILE)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--first", type=Path)
    parser.add_argument("--cases", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    generator = Generator(SEED)
    lessons = [lesson_of(generator.example()) for _ in range(given.examples)]
    first = (
        parsed(given.first.read_text())
        if given.first
        else trained(lessons[: given.examples // 2], 3)
    )
    for path in given.cases:
        lessons += lessons_in(path, first)
    save(trained(lessons, given.epochs), given.out)


if __name__ == "__main__":
    main()
