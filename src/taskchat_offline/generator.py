"""Marked sentences, and others made from them: what the models are trained on.

`⟦duty⟧we're out of milk, ⟦add⟧so put ⟨T buy milk⟩ on the list`: a label before each part, and a
letter before what fills a slot.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

from taskchat_offline.matching import Task
from taskchat_offline.words import verb_form

_T = TypeVar("_T")

_MARKS: Final = re.compile(r"⟦([^⟧]*)⟧|⟨([A-Z]) |⟩")
_ENDED: Final = re.compile(r"[,.!?;:…]+(?=\s|$)")
_SENTENCE: Final = re.compile(r"[.!?…]\W*$")
_ASIDES: Final = frozenset({"chat", "hold", "hello", "thanks", "bye"})
TASKS_MAX: Final = 9
"""Tasks on a made list."""


@dataclass
class Part:
    """A labelled part of a message: pieces of text with the slots that they fill, or none."""

    label: str
    pieces: list[tuple[str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The part as it is said."""
        return "".join(text for text, _ in self.pieces)


@dataclass
class Example:
    """A message with its right reading, the list at that time, and what came before."""

    parts: list[Part]
    tasks: list[Task]
    asked: str = ""
    did: str = ""

    @property
    def text(self) -> str:
        """The whole message."""
        return "".join(part.text for part in self.parts)

    @property
    def starts(self) -> list[tuple[int, str]]:
        """Of each part, where it begins, and its label."""
        found, place = [], 0
        for part in self.parts:
            found.append((place, part.label))
            place += len(part.text)
        return found

    @property
    def slots(self) -> list[tuple[int, int, str]]:
        """What fills slots: from, to, and the slot."""
        found, place = [], 0
        for text, slot in (piece for part in self.parts for piece in part.pieces):
            if slot:
                found.append((place, place + len(text), slot))
            place += len(text)
        return found


def parts_of(marked: str) -> list[Part]:
    """The parts of a marked message."""
    parts: list[Part] = []
    slot, last = "", 0
    for mark in [*_MARKS.finditer(marked), None]:
        text = marked[last : mark.start() if mark else len(marked)]
        if text and parts:
            parts[-1].pieces.append((text, slot))
        if mark:
            slot, last = mark[2] or "", mark.end()
            if mark[1]:
                parts.append(Part(mark[1]))
    return parts


def examples_in(path: Path) -> Iterator[Example]:
    """The examples of a file."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tasks = [
            Task(n, title, "".join(note), completed=done)
            for n, (title, done, *note) in enumerate(row["tasks"], 1)
        ]
        yield Example(parts_of(row["marked"]), tasks, row.get("asked", ""), row.get("did", ""))


class Generator:
    """Makes examples out of examples; the same seed makes the same ones, on any machine."""

    def __init__(self, examples: Sequence[Example], seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._examples = examples
        parts = [part for example in examples for part in example.parts]
        told = sorted({text for p in parts for text, slot in p.pieces if slot == "T"})
        # "Remind me to" wants a deed, "I need" may want a thing: like takes the place of like.
        alike = {deed: [t for t in told if _is_deed(t) == deed] for deed in (True, False)}
        self._titles = {deed: titles or told for deed, titles in alike.items()}
        ends = [e.parts[n] for e in examples if len(e.parts) > 1 for n in (0, -1)]
        self._asides = [p for p in ends if p.label in _ASIDES and len(p.text.split()) > 2]

    def _pick(self, options: Sequence[_T]) -> _T:
        return options[int(self._random.random() * len(options))]

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def example(self) -> Example:
        """One more example."""
        made = self._pick(self._examples)
        if self._chance(0.15):
            made = self._joined(made, self._pick(self._examples))
        if self._chance(0.5):
            made = replace(made, parts=[self._retold(part) for part in made.parts])
        if self._asides and self._chance(0.35):
            made = self._with_aside(made)
        if self._chance(0.3):
            made = replace(made, tasks=self._longer(made.tasks))
        if self._chance(0.25):
            made = replace(made, parts=[self._dictated(part) for part in made.parts])
        elif self._chance(0.15):
            made = replace(made, parts=[self._mistyped(part) for part in made.parts])
        return made

    def _joined(self, one: Example, other: Example) -> Example:
        """Two messages as one, about a list that has the tasks of both."""
        if one.asked or other.asked or other.did or len(one.tasks) + len(other.tasks) > TASKS_MAX:
            return one
        titles = {task.title for task in one.tasks}
        if any(task.title in titles for task in other.tasks):
            return one
        tasks = [replace(task, id=n) for n, task in enumerate([*one.tasks, *other.tasks], 1)]
        join = self._pick((" and ", ", ", ". ", " also ", ", then ", " ", "; ", " plus "))
        return replace(one, parts=_glued(one.parts, join, other.parts), tasks=tasks)

    def _with_aside(self, example: Example) -> Example:
        """What somebody else said beside a request, before or behind this one."""
        aside = self._pick(self._asides)
        if self._chance(0.5):
            join = " " if _SENTENCE.search(aside.text) else self._pick((". ", ", ", " - ", " so "))
            return replace(example, parts=_glued([aside], join, example.parts))
        ended = _SENTENCE.search(example.text)
        join = " " if ended else self._pick((". ", ", ", " - ", "! ", " cause "))
        return replace(example, parts=_glued(example.parts, join, [aside]))

    def _retold(self, part: Part) -> Part:
        """The part with another new task in it."""
        pieces = [
            (self._pick(self._titles[_is_deed(text)]), slot) if slot == "T" else (text, slot)
            for text, slot in part.pieces
        ]
        return Part(part.label, pieces)

    def _longer(self, tasks: Sequence[Task]) -> list[Task]:
        """The list with tasks of another one behind it."""
        titles = {task.title for task in tasks}
        more = [task for task in self._pick(self._examples).tasks if task.title not in titles]
        rows = [*tasks, *more][: max(len(tasks), TASKS_MAX)]
        return [replace(task, id=n) for n, task in enumerate(rows, 1)]

    def _dictated(self, part: Part) -> Part:
        """The part as a machine hears it: without marks and capitals."""
        return Part(part.label, [(_ENDED.sub("", text).lower(), s) for text, s in part.pieces])

    def _mistyped(self, part: Part) -> Part:
        """The part with two letters of a word exchanged, outside of slots."""
        pieces: list[tuple[str, str]] = []
        for text, slot in part.pieces:
            words = [m for m in re.finditer(r"[a-z]{4,}", text) if not slot]
            if words:
                word = self._pick(words)
                at = word.start() + 1 + int(self._random.random() * (len(word[0]) - 2))
                text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
            pieces.append((text, slot))
        return Part(part.label, pieces)


def _is_deed(title: str) -> bool:
    return verb_form(title.split()[0].lower()) == "v"


def _glued(one: Sequence[Part], join: str, other: Sequence[Part]) -> list[Part]:
    """The parts in a row; marks of the join end the part before, its words begin the next."""
    mark = join[: len(join) - len(join.lstrip(".,;!-"))]
    last, first = one[-1], other[0]
    return [
        *one[:-1],
        Part(last.label, [*last.pieces, (mark, "")]),
        Part(first.label, [(join[len(mark) :], ""), *first.pieces]),
        *other[1:],
    ]
