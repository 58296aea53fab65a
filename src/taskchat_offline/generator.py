"""Labelled sentences, made from the templates: what the models are trained on."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, TypeVar

from taskchat_offline.matching import Task
from taskchat_offline.words import CLASSES, VERBS, lines_of, numbers_of

_T = TypeVar("_T")

ORDINALS: Final = list(numbers_of("places.txt"))[:7]
NUMBERS: Final = list(numbers_of("numbers.txt"))[:7]
PAST, PARTICIPLE, GERUND = range(3)
SMALL: Final = CLASSES["small"]
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

    def in_form(self, number: int) -> str:
        """The whole with another form of its verb: its past, its participle, its gerund."""
        verb, _, rest = self.verb.partition(" ")
        forms = (VERBS[verb][number], rest, self.particle, self.what, self.rest)
        return " ".join(part for part in forms if part)


@dataclass
class Example:
    """A message with its right reading: parts and filled slots, as from, to and name."""

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
    for line in lines_of(name, empty=True):
        if line.startswith("= "):
            section = line[2:]
            found[section] = []
        elif section:
            found[section].append(line)
    return found


@cache
def templates() -> dict[str, list[str]]:
    """Of each label, its templates."""
    found: dict[str, list[str]] = {}
    for label, lines in _sections("templates.txt").items():
        for line in lines:
            text, _, status = line.partition(" ## ")
            if text:
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


_SEVERAL: Final = ("add", "add", "complete", "report", "delete", "retitle", "describe", "list all",
                   "list pending", "list completed")  # fmt: skip


class Generator:
    """Makes examples; the same seed makes the same ones, on any machine."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._by_verb: dict[str, list[Deed]] = {}
        for deed in deeds():
            self._by_verb.setdefault(deed.verb or deed.what, []).append(deed)
        self._verbs = sorted(self._by_verb)
        self._mixing = _sections("mixing.txt")
        self._labels = [name.replace("_", " ") for name in self._weighted("labels")]
        self._plans = self._weighted("plans")
        self._times, self._notes = lines_of("times.txt"), lines_of("notes.txt")
        self._list: list[Deed] = []
        self._target = self.deed()
        self._pending = ""

    def _weighted(self, section: str) -> list[str]:
        rows = (line.partition(" ") for line in self._mixing[section])
        return [text for weight, _, text in rows for _ in range(int(weight))]

    def _pick(self, options: Sequence[_T]) -> _T:
        return options[int(self._random.random() * len(options))]

    def _mixed(self, section: str) -> str:
        return self._pick(self._mixing[section])

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _cased(self, title: str, share: float) -> str:
        return title[0].upper() + title[1:] if self._chance(share) else title

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
        self._pending = ""
        self._list = [self.deed() for _ in range(int(self._random.random() * 8))]
        if self._list and self._chance(0.15):
            # Tasks that share a word: "Call Anna", "Meet Anna for coffee".
            alike = self._pick(self._list)
            self._list.append(self._pick(self._by_verb[alike.verb or alike.what]))
        self._compose(example)
        # Now and then the list is not known when the message is read.
        for number, deed in enumerate(self._list if self._chance(0.85) else [], 1):
            title = self._cased(deed.title, 0.85)
            example.tasks.append(Task(number, title, completed=self._chance(0.2)))
        self._roughen(example)
        return example

    def _compose(self, example: Example) -> None:
        label = self._pick(self._labels)
        if label in {"pick", "yes", "no"} or self._chance(0.25):
            dids = ("", "complete_task", "delete_task", "add_task", "list_tasks")
            example.did = self._pick(dids)
            kinds = {"pick": ("which", "which", ""), "yes": ("whether", ""), "no": ("whether", "")}
            example.asked = self._pick(kinds.get(label, ("", "", "", "which", "whether")))
        for part in self._pick(self._plans).split():
            if part.startswith("~"):
                self._join(example, part[1:])
                continue
            names, _, said = part.strip("+-").partition("/")
            name = self._pick(names.split("|"))
            if said:
                self._put(example, self._mixed(name), said)
                continue
            name = {"*": label, "&": self._pick(_SEVERAL)}.get(name, name)
            before = self._mixed("openers") if part[0] == "+" and self._chance(0.3) else ""
            after = self._mixed("closers") if part[-1] == "-" and self._chance(0.25) else ""
            comma = ("," if self._chance(0.3) else "", "," if self._chance(0.3) else "")
            lead = f"{before} {comma[0]} " if before else ""
            trail = f" {comma[1]} {after}" if after else ""
            text = self._chosen(self._template(name))
            if text.split()[0] in CLASSES["imperative"] and self._chance(0.2):
                # Any order can be made politely.
                text = f"{self._chosen(self._mixed('wrappers'))} {text}"
            self._put(example, f"{lead}{text}{trail}", name)

    def _join(self, example: Example, section: str) -> None:
        """Marks end the part before, words begin the next one, as "and" does."""
        join = self._mixed(section)
        mark = join[:1] if join[:1] in set(".,;!") else ""
        example.text += mark
        self._pending = join[len(mark) :].strip(" .")

    def _put(self, example: Example, template: str, label: str) -> None:
        start = len(example.text)
        example.put(self._pending)
        self._pending = ""
        self._fill(example, template, label)
        example.units.append((start, len(example.text), label))

    def _template(self, label: str) -> str:
        """A template of the label, and in `_target` a task that can fill it."""
        while True:
            text = self._pick(templates()[label])
            needs = set(re.findall(r"\{(R|W|F|P|N|O|K|inf|past|pp|ger|obj)\}", text))
            if not needs:
                return text
            if not self._list:
                self._list.append(self.deed("verb"))
            self._target = self._pick(self._list)
            prefix = self._target.what.split()[0] in SMALL - {"the", "a", "an", "my"}
            if (needs & {"inf", "past", "ger", "pp"} and not self._target.verb) or (
                needs & {"obj", "pp"} and prefix
            ):
                self._list.append(self.deed("verb"))
                continue
            return text

    def _fill(self, example: Example, template: str, label: str) -> None:
        text = self._chosen(template)
        former, new = self._fragment() if "{F}" in text else ("", "")
        for piece in re.split(r"(\{\w+\})", text):
            if not piece.startswith("{"):
                for word in piece.split(" "):
                    example.put("\n" if word == "\\n" else word)
                continue
            example.put(*self._filled(piece[1:-1], label, example.text, former, new))

    def _chosen(self, text: str) -> str:
        """The text with its choices made, the innermost first."""
        while "[" in text:
            text = re.sub(r"\[([^\[\]]*)\]", lambda m: self._pick(m[1].split("|")), text, count=1)
        return text

    def _filled(self, slot: str, label: str, before: str, former: str, new: str) -> tuple[str, str]:
        """What fills a place in a template, and the slot that it is."""
        offered = "T" if label == "offer" else ""
        if slot == "xpast" and self._chance(0.4):
            return self._mixed("others"), ""
        if slot.startswith("x"):
            return self._form(self.deed("verb"), slot[1:]), offered
        several = label in {"complete", "report", "delete"} and self._chance(0.08)
        ways: dict[str, Callable[[], tuple[str, str]]] = {
            "T": lambda: (self._quoted(self._new_title(before)), "T"),
            "D": lambda: (self._quoted(self._pick(self._notes)), "D"),
            "R": lambda: (self._named("references_two" if several else "references"), "R"),
            "F": lambda: (former, "F"),
            "N": lambda: (self._quoted(new or self._renamed()), "N"),
            "P": lambda: (self._quoted(self._pick(self._times)), "P"),
            "W": lambda: (self._noun(self._target), "W"),
            "K": lambda: (self._named("references_number"), "R"),
            "O": lambda: (self._named("references_place"), "R"),
            "who": lambda: (self._mixed("people"), ""),
            "when": lambda: (self._pick(self._times), offered),
        }
        held = label in {"complete", "report", "delete", "ask", "pick"}
        return ways[slot]() if slot in ways else (
            self._form(self._target, slot), "R" if held else ""
        )  # fmt: skip

    def _form(self, deed: Deed, slot: str) -> str:
        """A deed as its title, its past, its gerund, its participle or its object."""
        if slot == "inf":
            return deed.title
        if slot == "past":
            return self._shortened(deed.in_form(PAST))
        if slot == "ger":
            return self._shortened(deed.in_form(GERUND))
        if slot == "pp":
            rest = deed.rest if self._chance(0.4) else ""
            return Deed(deed.verb, deed.particle, "", rest).in_form(PARTICIPLE)
        first, _, rest = deed.what.partition(" ")
        if first in {"a", "an"} and self._chance(0.7):
            return f"the {rest}"
        if first == "the" and self._chance(0.15):
            return rest
        bare = first not in {"the", "a", "an", "my"} and deed.what.islower()
        return f"the {deed.what}" if bare and self._chance(0.7) else deed.what

    def _shortened(self, phrase: str) -> str:
        """Now and then without articles, as the hurried write: "bought milk"."""
        if self._chance(0.12):
            return " ".join(w for w in phrase.split() if w not in {"the", "a", "my"})
        return phrase.replace(" a ", " the ") if self._chance(0.3) else phrase

    def _new_title(self, before: str) -> str:
        """A title that can follow the words before it: "to" wants a deed, "of" a thing."""
        last = before.lower().rstrip(" :,-").rpartition(" ")[2]
        kind = "verb" if last in CLASSES["beforedeed"] else ""
        kind = "noun" if last in CLASSES["beforething"] else kind
        deed = self.deed(kind)
        title = deed.title
        for share, more in ((0.22, self._pick(self._times)), (0.04, "with " + self._mixed("names")),
                            (0.04, "for " + self._mixed("names")),
                            (0.05, "and " + self.deed("noun").title),
                            # A title may hold any word, also those that give orders.
                            (0.12, self._mixed("tails"))):  # fmt: skip
            if self._chance(share) and last not in {"of", "on"}:
                title += " " + more
        return self._cased(title, 0.15)

    def _quoted(self, text: str) -> str:
        marks = self._pick(("''", '""', "“”", "‘’"))
        return marks[0] + text + marks[1] if self._chance(0.13) else text

    def _renamed(self) -> str:
        """A new title for the target: another one, or its own with a change."""
        title, kind = self._target.title, self._random.random()
        if kind < 0.3:
            return self.deed().title
        if kind < 0.55:
            return f"{title} {self._pick(self._times)}"
        if kind < 0.7:
            return f"{title} and {self.deed('noun').title}"
        former, new = self._fragment()
        return self._cased(title.replace(former, new, 1), 0.5)

    def _fragment(self) -> tuple[str, str]:
        """A part of the target's title, and what is put in its place."""
        words = [word for word in self._target.title.split() if word not in SMALL]
        word = self._pick(words[1:] or words)
        if word.isdecimal():
            return word, str(int(word) + 1 + int(self._random.random() * 9))
        if word in self._mixing["days"]:
            return word, self._mixed("days")
        if word[0].isupper():
            return word, self._mixed("names")
        return word, self._pick(self.deed("noun").what.split())

    def _noun(self, deed: Deed) -> str:
        """A word or two by which people speak of a task."""
        words = [w for w in f"{deed.what} {deed.rest}".split() if w not in SMALL] or [deed.what]
        if self._chance(0.1) and deed.verb:
            return VERBS[deed.verb.split()[0]][GERUND]
        return " ".join(words[:2]) if self._chance(0.25) else self._pick(words)

    def _named(self, section: str) -> str:
        """A way to name the target: the places of its list are numbers, words and ordinals."""
        count = max(1, len(self._list))
        number, other = (int(self._random.random() * count) for _ in range(2))
        mate = self._list[other] if self._list else self._target
        parts = {"title": self._cased(self._target.title, 0.25), "noun": self._noun(self._target),
                 "obj": self._form(self._target, "obj"), "n": str(number + 1), "m": str(other + 1),
                 "word": NUMBERS[min(number, 6)], "place": ORDINALS[min(number, 6)],
                 "other": self._noun(mate), "othertitle": mate.title}  # fmt: skip
        return re.sub(r"\{(\w+)\}", lambda m: parts[m[1]], self._mixed(section))

    def _roughen(self, example: Example) -> None:
        """Casing and marks as people type, and as speech is written down."""
        kind = self._random.random()
        if kind < 0.35 and len(example.text.lower()) == len(example.text):
            example.text = example.text.lower()
        elif kind < 0.55:
            example.text = self._cased(example.text, 1)
        if kind < 0.34:
            self._without(example, self._pick(("", "", "'’", ",.!?;", ",.!?;'")))
        if self._chance(0.25) and example.text[-1].isalnum():
            example.text += self._pick((".", ".", "!", "?"))
            start, _, label = example.units[-1]
            example.units[-1] = (start, len(example.text), label)

    @staticmethod
    def _without(example: Example, marks: str) -> None:
        kept = [sign not in marks or sign == "\n" for sign in example.text]
        moved = [0]
        for keep in kept:
            moved.append(moved[-1] + keep)
        example.text = "".join(sign for sign, keep in zip(example.text, kept, strict=True) if keep)
        example.units = [(moved[a], moved[b], label) for a, b, label in example.units]
        example.slots = [(moved[a], moved[b], slot) for a, b, slot in example.slots]
