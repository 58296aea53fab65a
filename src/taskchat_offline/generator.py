"""Labelled sentences, made from the templates: what the models are trained on."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, TypeVar

from taskchat_offline.matching import Task
from taskchat_offline.words import gerund_of, lines_of, participle_of, past_of

_T = TypeVar("_T")

ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven")
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NAMES: Final = ("Anna", "Omar", "Philip", "Carla", "Jonas", "Priya", "Marta", "Kofi", "Lena", "Tom",
                "Bea", "Sven", "Maya", "Harold", "Joan", "Ravi", "Nina", "Theo")  # fmt: skip
SMALL: Final = frozenset("the a an my to for of in on at with and from about by up off out".split())


_ENDING: Final = re.compile(r"'(s|ve|d|m|ll|re)$")


@dataclass(frozen=True)
class Deed:
    """A task in parts: the verb (perhaps none), what is done to what, and the rest."""

    verb: str
    particle: str
    what: str
    rest: str

    @property
    def title(self) -> str:
        """The whole."""
        return " ".join(p for p in (self.verb, self.particle, self.what, self.rest) if p)

    def with_verb(self, form: Callable[[str], str]) -> str:
        """The whole with another form of its verb."""
        verb = form(self.verb.split()[0]) + self.verb[len(self.verb.split()[0]) :]
        return " ".join(p for p in (verb, self.particle, self.what, self.rest) if p)


@dataclass
class Example:
    """A message with its right reading.

    Attributes:
        text: What is said.
        units: From, to and label of each part.
        slots: From, to and slot of each stretch that fills one.
        tasks: The list at that time.
        asked: What the assistant had asked.
        did: What the last turn did.
    """

    text: str = ""
    units: list[tuple[int, int, str]] = field(default_factory=list)
    slots: list[tuple[int, int, str]] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    asked: str = ""
    did: str = ""

    def put(self, text: str, slot: str = "") -> None:
        """Append a piece, with a blank where people write one."""
        if not text:
            return
        glued = text[0] in ",.?!;:)" and text[:2] not in {":)", ":("}
        if self.text and not glued and self.text[-1] not in "(\n" and not _ENDING.match(text):
            self.text += " "
        start = len(self.text)
        self.text += text
        if slot:
            self.slots.append((start, len(self.text), slot))


@cache
def _sections(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    section = ""
    for line in lines_of(name):
        if line.startswith("= "):
            section = line[2:]
            found[section] = []
        else:
            found[section].append(line)
    return found


@cache
def templates() -> dict[str, list[str]]:
    """Of each label, its templates."""
    found: dict[str, list[str]] = {}
    for label, lines in _sections("templates.txt").items():
        for line in lines:
            text, _, status = line.partition(" ## ")
            found.setdefault(f"list {status}" if label == "list" else label, []).append(text)
    return found


@cache
def deeds() -> tuple[Deed, ...]:
    """All tasks that the title file spells out."""
    found: list[Deed] = []
    for line in lines_of("titles.txt"):
        verbs, _, tail = line.partition("~")
        parts = [part.strip().split("|") for part in tail.split("~")]
        for verb in verbs.strip().split("|"):
            for first in parts[0]:
                if len(parts) == 1:
                    found.append(Deed(verb, "", first, ""))
                elif first in {"up", "off", "out", "down", "in", "on", "back"}:
                    rests = parts[2] if len(parts) > 2 else [""]
                    found += [Deed(verb, first, w, r) for w in parts[1] for r in rests]
                else:
                    found += [Deed(verb, "", first, rest) for rest in parts[1]]
    return tuple(found)


class Generator:
    """Makes examples; the same seed makes the same ones, on any machine."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._by_verb: dict[str, list[Deed]] = {}
        for deed in deeds():
            self._by_verb.setdefault(deed.verb or deed.what, []).append(deed)
        self._verbs = sorted(self._by_verb)
        self._times = lines_of("times.txt")
        self._notes = lines_of("notes.txt")
        self._mixing = _sections("mixing.txt")
        self._target: Deed | None = None
        self._list: list[Deed] = []

    def _pick(self, options: Sequence[_T]) -> _T:
        return options[int(self._random.random() * len(options))]

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def deed(self, kind: str = "") -> Deed:
        """A task; `kind` is "verb", "noun" or either."""
        while True:
            deed = self._pick(self._by_verb[self._pick(self._verbs)])
            if not kind or bool(deed.verb) == (kind == "verb"):
                return deed
            if kind == "noun" and deed.verb in {"buy", "get", "order"}:
                return Deed("", "", deed.what, "")

    def example(self) -> Example:
        """One message."""
        example = Example()
        self._list = [self.deed() for _ in range(int(self._random.random() * 8))]
        if self._list and self._chance(0.15):
            # Tasks that share a word: "Call Anna", "Meet Anna for coffee".
            alike = self._pick(self._list)
            self._list.append(self._pick(self._by_verb[alike.verb or alike.what]))
        example.tasks = [
            Task(number, self._cased(deed.title), completed=self._chance(0.2))
            for number, deed in enumerate(self._list, 1)
        ]
        self._compose(example)
        self._roughen(example)
        return example

    def _cased(self, title: str) -> str:
        return title[0].upper() + title[1:] if self._chance(0.85) else title

    def _compose(self, example: Example) -> None:
        kind = self._random.random()
        if kind < 0.10:
            self._aside(example)
        label = self._label()
        if label in {"pick", "yes", "no"}:
            example.asked = self._pick(
                ("which", "which", "which", "") if label == "pick" else ("whether", "whether", "")
            )
            example.did = self._pick(("", "complete_task", "delete_task", "add_task", "list_tasks"))
        elif self._chance(0.25):
            example.did = self._pick(("complete_task", "delete_task", "add_task", "list_tasks"))
            example.asked = self._pick(("", "", "", "which", "whether"))
        if kind > 0.55:
            self._single(example, label, opener=self._chance(0.3), closer=self._chance(0.3))
        elif kind > 0.40:
            self._single(example, label, opener=self._chance(0.2), closer=False)
            self._after(example, label)
        elif kind > 0.28:
            self._several(example)
        elif kind > 0.20:
            self._report_and_order(example)
        else:
            self._single(example, label, opener=self._chance(0.3), closer=self._chance(0.2))
        if self._chance(0.08):
            self._join(example)
            self._unit(example, self._pick(("thanks", "chat", "bye", "thanks")))

    def _label(self) -> str:
        table = (
            ("add", 20), ("duty", 6), ("complete", 10), ("report", 10), ("delete", 11),
            ("retitle", 12), ("describe", 8), ("list all", 4), ("list pending", 6),
            ("list completed", 5), ("ask", 4), ("hold", 16), ("offer", 2), ("chat", 5),
            ("hello", 1), ("thanks", 2), ("bye", 1), ("help", 1), ("howto", 3), ("yes", 2),
            ("no", 2), ("pick", 5), ("undo", 1), ("reopen", 1),
        )  # fmt: skip
        point = self._random.random() * sum(weight for _, weight in table)
        for label, weight in table:
            point -= weight
            if point < 0:
                return label
        return "chat"

    def _aside(self, example: Example) -> None:
        for _ in range(1 + self._chance(0.3)):
            self._unit(example, self._pick(("chat", "chat", "hello", "hello", "hold", "thanks")))
            self._join(example, (".", ".", "!", "!", ",", "", " and", " so", ". Anyway", ". So"))

    def _after(self, example: Example, label: str) -> None:
        kind = self._random.random()
        if label in {"delete"} and kind < 0.7:
            self._put_reason(example, "reasons_delete")
        elif label in {"complete", "report"} and kind < 0.6:
            self._put_reason(example, "reasons_done")
        elif label in {"add", "duty"} and kind < 0.4:
            self._put_reason(example, "reasons")
        elif label == "duty" or (label == "add" and kind < 0.5 and not self._chance(0.5)):
            self._join(example, (",", ".", ",", ";", " so", "", " -"))
            self._mix(example, "add_that", "add")
        elif label in {"add", "delete", "complete", "retitle"} and kind > 0.85:
            self._join(example, (",", ".", ",", "", " -", "..."))
            self._mix(example, "calloff", "calloff")
        else:
            self._join(example, (".", "!", ",", " -", ""))
            self._unit(example, self._pick(("thanks", "chat", "hold", "bye", "chat")))

    def _put_reason(self, example: Example, section: str) -> None:
        self._join(example, (",", ".", " -", " because", " cos", " as", ",", "", ";"))
        self._mix(example, section, "chat")

    def _several(self, example: Example) -> None:
        labels = ("add", "add", "complete", "report", "delete", "retitle", "describe",
                  "list all", "list pending", "list completed")  # fmt: skip
        first = self._pick(labels)
        for number in range(2 + self._chance(0.25)):
            if number:
                self._join(example, self._mixing["joins"])
            label = first if self._chance(0.35) else self._pick(labels)
            self._single(example, label, opener=not number and self._chance(0.15), closer=False)

    def _report_and_order(self, example: Example) -> None:
        kind = self._random.random()
        if kind < 0.6:
            self._single(example, "report", opener=self._chance(0.3), closer=False)
            self._join(example, (",", ".", " so", ",", "", " and", " -", "!", ";"))
            self._mix(example, "tick_it", "complete")
        elif kind < 0.75:
            self._unit(example, "report")
            self._join(example, (" and", ", and"))
            self._unit(example, "report")
            self._join(example, (",", ".", " so", ""))
            self._mix(example, "tick_both", "complete")
        else:
            self._mix(example, "reasons_delete", "chat")
            self._join(example, (",", ".", " so", " and", ""))
            self._single(example, "delete", opener=False, closer=False)
            if self._chance(0.3):
                self._join(example, (",", ".", ""))
                self._mix(example, "delete_it", "delete")

    def _join(self, example: Example, joins: Sequence[str] = (".", "!", ",", "\n", "")) -> None:
        mark = self._pick(joins)
        if not mark.strip():
            if mark:
                example.text += mark.rstrip(" ")
        elif mark[0] == " ":
            # The word begins the next part, as "and" does.
            self._pending = mark.strip()
            return
        else:
            head = mark.strip()
            example.text += head[0] if head[0] in ".,;!" else ""
            rest = head[1:].strip() if head[0] in ".,;!" else head
            self._pending = "" if set(rest) <= {"."} else rest
            return
        self._pending = mark.strip()

    _pending = ""

    def _begin(self, example: Example) -> int:
        start = len(example.text)
        if self._pending:
            example.put(self._pending)
            self._pending = ""
        return start

    def _mix(self, example: Example, section: str, label: str) -> None:
        start = self._begin(example)
        self._fill(example, self._pick(self._mixing[section]))
        example.units.append((start, len(example.text), label))

    def _single(self, example: Example, label: str, *, opener: bool, closer: bool) -> None:
        start = self._begin(example)
        if opener:
            example.put(self._pick(self._mixing["openers"]))
            if self._chance(0.3):
                example.text += ","
        self._fill(example, self._template(label), label)
        if closer:
            if self._chance(0.3):
                example.text += ","
            example.put(self._pick(self._mixing["closers"]))
        example.units.append((start, len(example.text), label))

    def _unit(self, example: Example, label: str) -> None:
        self._single(example, label, opener=False, closer=False)

    def _template(self, label: str) -> str:
        options = templates()[label]
        while True:
            text = self._pick(options)
            needs = re.findall(r"\{(R|W|F|P|N|O|K|inf|past|pp|ger|obj)\}", text)
            if needs and not self._list:
                if label in {"offer", "hold", "chat", "undo"}:
                    label = "chat"
                    options = templates()[label]
                    continue
                self._list.append(self.deed("verb"))
                continue
            if needs:
                self._target = self._pick(self._list)
                verbal = {"inf", "past", "ger"} & set(needs)
                passive = {"obj", "pp"} & set(needs)
                if (verbal or "pp" in needs) and not self._target.verb:
                    if not any(deed.verb for deed in self._list):
                        self._list.append(self.deed("verb"))
                    continue
                if passive and (self._target.what.split()[0] in SMALL - {"the", "a", "an", "my"}):
                    if self._chance(0.2):
                        self._list.append(self.deed("verb"))
                    continue
            return text

    def _fill(self, example: Example, template: str, label: str = "") -> None:
        text = template
        while "[" in text:
            # The innermost choice first.
            text = re.sub(r"\[([^\[\]]*)\]", lambda m: self._pick(m[1].split("|")), text, count=1)
        former, new = self._fragment() if "{F}" in text else ("", "")
        fresh = self.deed("verb")
        for piece in re.split(r"(\{\w+\})", text):
            if not piece.startswith("{"):
                for word in piece.split(" "):
                    example.put("\n" if word == "\\n" else word)
                continue
            slot = piece[1:-1]
            if slot == "T":
                example.put(self._quoted(self._new_title(example.text)), "T")
            elif slot == "D":
                example.put(self._quoted(self._pick(self._notes)), "D")
            elif slot == "R":
                self._put_reference(example, label)
            elif slot == "F":
                example.put(former, "F")
            elif slot == "N":
                example.put(self._quoted(new or self._renamed()), "N")
            elif slot == "P":
                example.put(self._quoted(self._pick(self._times)), "P")
            elif slot == "W":
                example.put(self._noun(self._pick(self._list)), "W")
            elif slot == "K":
                number = int(self._random.random() * len(self._list)) + 1
                example.put(self._pick((str(number), NUMBERS[min(number, 7) - 1])), "R")
            elif slot == "O":
                number = int(self._random.random() * min(len(self._list), 7))
                example.put(self._pick((ORDINALS[number], ORDINALS[number], "last")), "R")
            elif slot == "who":
                example.put(self._pick(self._mixing["people"]))
            elif slot == "when":
                example.put(self._pick(self._times), "T" if label == "offer" else "")
            elif slot.startswith("x"):
                outside = label == "hold" and slot == "xpast" and self._chance(0.4)
                told = self._pick(self._mixing["others"]) if outside else self._form(fresh, slot[1:])
                example.put(told, "T" if label == "offer" else "")
            elif self._target is not None:
                told = self._form(self._target, slot)
                held = label in {"complete", "report", "delete", "ask", "pick"}
                example.put(told, "R" if held else "")

    def _form(self, deed: Deed, slot: str) -> str:
        if slot == "inf":
            return deed.title
        if slot == "past":
            return self._shortened(deed.with_verb(past_of))
        if slot == "ger":
            return self._shortened(deed.with_verb(gerund_of))
        if slot == "pp":
            tail = f" {deed.particle}" if deed.particle else ""
            rest = f" {deed.rest}" if deed.rest and self._chance(0.4) else ""
            return participle_of(deed.verb.split()[0]) + deed.verb[len(deed.verb.split()[0]) :] + tail + rest
        what = deed.what
        if what.split()[0] in {"a", "an"} and self._chance(0.7):
            what = "the " + what.split(" ", 1)[1]
        elif what.split()[0] not in {"the", "a", "an", "my"} and what.islower() and self._chance(0.7):
            what = "the " + what
        return what.split(" ", 1)[1] if what.startswith("the ") and self._chance(0.15) else what

    def _shortened(self, phrase: str) -> str:
        """Now and then without articles, as the hurried write: "bought milk"."""
        if self._chance(0.12):
            return " ".join(w for w in phrase.split() if w not in {"the", "a", "my"})
        return phrase.replace(" a ", " the ") if self._chance(0.3) else phrase

    def _new_title(self, before: str) -> str:
        words = before.lower().rstrip(" :,-").split()
        last = words[-1] if words else ""
        kind = ""
        if last in {"to", "gotta", "must", "should", "let's", "better", "i'll", "please"}:
            kind = "verb"
        elif last in {"of", "on", "with", "about", "need", "more", "for", "there's"}:
            kind = "noun"
        elif last in {"me"} and self._chance(0.8):
            kind = "noun"
        deed = self.deed(kind)
        title = deed.title
        if last not in {"of", "on"}:
            if self._chance(0.22):
                title += f" {self._pick(self._times)}"
            if self._chance(0.05) and deed.verb:
                title += f" {self._pick(('and', '&'))} {self.deed('noun').title}"
            if self._chance(0.04):
                title += f" with {self._pick(NAMES)}"
            if self._chance(0.04):
                title += f" for {self._pick(NAMES)}"
        return title[0].upper() + title[1:] if self._chance(0.15) else title

    def _quoted(self, text: str) -> str:
        if not self._chance(0.13):
            return text
        marks = self._pick(("''", '""', "“”", "‘’", '""', "''"))
        return marks[0] + text + marks[1]

    def _renamed(self) -> str:
        """A new title for the target: another one, or its own with a change."""
        target = self._target or self.deed()
        kind = self._random.random()
        if kind < 0.3:
            return self.deed().title
        if kind < 0.55:
            return f"{target.title} {self._pick(self._times)}"
        if kind < 0.7:
            return f"{target.title} and {self.deed('noun').title}"
        words = target.title.split()
        places = [n for n, word in enumerate(words) if word not in SMALL]
        place = self._pick(places)
        new = self._pick(self.deed("noun").title.split())
        words[place] = self._pick(NAMES) if words[place][0].isupper() else new
        title = " ".join(words)
        return title[0].upper() + title[1:] if self._chance(0.5) else title

    def _fragment(self) -> tuple[str, str]:
        """A part of the target's title, and what is put in its place."""
        target = self._target or self.deed()
        words = [word for word in target.title.split()[1:] if word not in SMALL]
        word = self._pick(words or target.title.split())
        if word.isdecimal():
            return word, str(int(word) + 1 + int(self._random.random() * 9))
        if word in DAYS:
            return word, self._pick(DAYS)
        if word[0].isupper():
            return word, self._pick(NAMES)
        return word, self._pick(self.deed("noun").what.split())

    def _noun(self, deed: Deed) -> str:
        """A word or two by which people speak of a task."""
        words = deed.what.split() + deed.rest.split()
        words = [w for w in words if w not in SMALL] or words
        if self._chance(0.1) and deed.verb:
            return gerund_of(deed.verb.split()[0])
        if len(words) > 1 and self._chance(0.4):
            return " ".join(words[:2])
        return self._pick(words)

    def _put_reference(self, example: Example, label: str) -> None:
        target = self._target if self._target is not None and self._chance(0.97) else self.deed()
        kind = self._random.random()
        bare = label in {"pick"}
        if kind < 0.24:
            example.put(self._quoted(self._maybe_cased(target.title)), "R")
        elif kind < 0.50:
            unit = self._pick(("task", "task", "one", "one", "thing", "item", "entry", "reminder", "todo"))
            noun = self._noun(target)
            noun = f"'{noun}'" if self._chance(0.05) else noun
            start = self._pick(("the", "the", "the", "the", "my", "that", ""))
            example.put(f"{start} {noun} {unit}".strip(), "R")
        elif kind < 0.60:
            example.put(self._form(target, "obj"), "R")
        elif kind < 0.65:
            example.put(self._noun(target), "R")
        elif kind < 0.78:
            self._put_number(example)
        elif kind < 0.86:
            number = int(self._random.random() * min(7, max(1, len(self._list))))
            word = self._pick((ORDINALS[number], ORDINALS[number], "last", "last", "top", "newest"))
            unit = self._pick((" one", " one", " task", " task", " item", " on the list", " of those", ""))
            example.put(f"the {word}{unit}", "R")
        elif kind < 0.92:
            lead = self._pick(("the task about", "the one about", "the task with", "the one with",
                               "the task for", "my task about", "the task", "the entry", "the one called",
                               "the task called", "the task named", "the task of"))  # fmt: skip
            example.put(f"{lead} {self._form(target, 'obj')}", "R")
        elif len(self._list) > 1 and label not in {"retitle", "describe", "ask"} and not bare:
            other = self._pick(self._list)
            form = self._pick((self._noun, lambda d: self._form(d, "obj"), lambda d: d.title))
            example.put(f"{form(target)} and {form(other)}", "R")
        else:
            example.put(self._maybe_cased(target.title), "R")

    def _put_number(self, example: Example) -> None:
        number = int(self._random.random() * max(1, len(self._list))) + 1
        word = NUMBERS[min(number, 7) - 1]
        example.put(
            self._pick((f"task {number}", f"task {number}", f"number {number}", f"#{number}",
                        f"{number}", f"item {number}", f"number {word}", f"task {word}",
                        f"no {number}", f"task number {number}", f"the task {number}",
                        f"tasks {number} and {number + 1}")), "R")  # fmt: skip

    def _maybe_cased(self, title: str) -> str:
        return self._cased(title) if self._chance(0.3) else title

    def _roughen(self, example: Example) -> None:
        """Casing, marks and slips as people type and as speech is written down."""
        self._pending = ""
        kind = self._random.random()
        if kind < 0.35:
            self._mapped(example, str.lower)
        elif kind < 0.55 and example.text:
            example.text = example.text[0].upper() + example.text[1:]
        if kind < 0.22:
            self._without(example, "'’" if self._chance(0.5) else "")
        if 0.22 < kind < 0.34:
            self._without(example, ",.!?;'" if self._chance(0.4) else ",.!?;")
        if self._chance(0.25) and example.text and example.text[-1].isalnum() and example.units:
            example.text += self._pick((".", ".", "!", "?"))
            start, _, label = example.units[-1]
            example.units[-1] = (start, len(example.text), label)

    @staticmethod
    def _mapped(example: Example, change: Callable[[str], str]) -> None:
        changed = change(example.text)
        if len(changed) == len(example.text):
            example.text = changed

    @staticmethod
    def _without(example: Example, marks: str) -> None:
        kept = [n for n, sign in enumerate(example.text) if sign not in marks or sign == "\n"]
        moved = [0] * (len(example.text) + 1)
        count = 0
        wanted = set(kept)
        for number in range(len(example.text) + 1):
            moved[number] = count
            count += number in wanted
        example.text = "".join(example.text[n] for n in kept)
        example.units = [(moved[a], moved[b], label) for a, b, label in example.units]
        example.slots = [(moved[a], moved[b], slot) for a, b, slot in example.slots]
