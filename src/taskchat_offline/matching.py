"""How alike words and titles are, and which tasks some words name. Knows no sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from taskchat_offline.text import tokens_of
from taskchat_offline.words import CLASSES, STOP, cuts_of, lines_of, stem

WORDS_MAX: Final = 40
"""Words of a reference that are compared."""

FIT_MIN: Final = 0.6
"""Share of the said words that a title must hold; lower lets one shared word name a task."""

LIGHT: Final = CLASSES["light"] | {stem(word) for word in CLASSES["light"]}
_LIGHT_WEIGHT: Final = 0.3
_NOTE_WEIGHT: Final = 0.65
"""A description names a task if no title does."""


def _groups() -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for number, line in enumerate(lines_of("synonyms.txt")):
        for word in line.split():
            found.setdefault(stem(word), set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}


_GROUPS: Final = _groups()


def plain(title: str) -> str:
    """A title without case, punctuation, articles and the word "task" at either end."""
    tokens = tokens_of(title)
    words = [token.key for token in tokens if token.kind == "word"] or [t.text for t in tokens]
    while len(words) > 1 and words[0] in {"a", "an", "the", "my", "task"}:
        words = words[1:]
    while len(words) > 1 and words[-1] in {"task", "one"}:
        words = words[:-1]
    return " ".join(words)


def content(text: str) -> list[str]:
    """Stems of the words that tell tasks apart; all words when none does."""
    words: list[str] = []
    for token in tokens_of(text):
        if token.kind == "quote":
            words += [inner.key for inner in tokens_of(token.text) if inner.kind == "word"]
        elif token.kind == "word":
            words.append(token.key)
    words = words[:WORDS_MAX]
    telling = [word for word in words if word not in STOP and stem(word) not in STOP] or words
    return list(dict.fromkeys(stem(word) for word in telling))


def alike(one: str, other: str) -> float:
    """1 for the same word, less for a synonym or a misspelling, 0 for another word."""
    if one == other:
        return 1.0
    if _GROUPS.get(one, frozenset()) & _GROUPS.get(other, frozenset()):
        return 0.9
    if min(len(one), len(other)) < 4 or abs(len(one) - len(other)) > 1 or one[0] != other[0]:
        return 0.0
    return 0.75 if cuts_of(one) & cuts_of(other) else 0.0


@dataclass(frozen=True)
class Task:
    """A task as `list_tasks` shows it."""

    id: int
    title: str
    description: str = ""
    completed: bool = False

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Stems of the title's telling words."""
        return tuple(content(self.title))

    @cached_property
    def plain(self) -> str:
        """The title as titles are compared."""
        return plain(self.title)


class Titles:
    """The words of all tasks, looked up by a said word; a look-up costs the same for any list."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)
        # Of each word, the tasks that hold it, and how much it counts there.
        self._places: dict[str, list[tuple[int, float]]] = {}
        self._near: dict[str, set[str]] = {}
        for place, task in enumerate(self.tasks):
            noted = content(task.description) if task.description else ()
            weights = {**dict.fromkeys(noted, _NOTE_WEIGHT), **dict.fromkeys(task.words, 1.0)}
            for word, weight in weights.items():
                self._places.setdefault(word, []).append((place, weight))
        for word in self._places:
            for piece in _pieces(word):
                self._near.setdefault(piece, set()).add(word)
        self.holding = cache(self._holding)

    def _holding(self, word: str) -> dict[int, float]:
        """Places of the tasks that hold a stem, with how much that says."""
        near = {other for piece in _pieces(word) for other in self._near.get(piece, ())}
        likeness = [
            (alike(word, other) * weight, place)
            for other in near
            for place, weight in self._places[other]
        ]
        return {place: like for like, place in sorted(likeness) if like}

    def fits(self, said: Sequence[str]) -> dict[int, float]:
        """Of each task that shares a word, the share of the said stems that its title holds."""
        found: dict[int, float] = {}
        for word, weight in _weights(said).items():
            for place, likeness in self.holding(word).items():
                found[place] = found.get(place, 0.0) + weight * likeness
        return found


def _pieces(word: str) -> set[str]:
    """What words have in common that are alike: a group, or what is left without a letter."""
    return {*(cuts_of(word) if len(word) > 3 else {word}), *map(str, _GROUPS.get(word, ()))}


def _weights(said: Sequence[str]) -> dict[str, float]:
    weights = {word: _LIGHT_WEIGHT if word in LIGHT else 1.0 for word in said}
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


def share_held(said: Sequence[str], words: Sequence[str]) -> float:
    """The share of the said stems that the title stems hold, light verbs counting less."""
    return sum(
        weight * max((alike(word, other) for other in words), default=0.0)
        for word, weight in _weights(said).items()
    )


def fit(said: str, title: str) -> float:
    """The share of the said words that the title holds."""
    return share_held(content(said), content(title))


def best_fits(said: str, titles: Titles, *, fit_min: float = FIT_MIN) -> list[Task]:
    """The tasks that fit best, when they fit at all; several when they fit alike."""
    words = content(said)
    scored = titles.fits(words)
    top = max(scored.values(), default=0.0)
    if top < fit_min:
        return []
    best = [titles.tasks[place] for place, score in sorted(scored.items()) if score >= top - 0.01]
    if len(best) > 1:
        # The title that says little else fits better than one that says much.
        held = [share_held(task.words, words) for task in best]
        same = [t for t, share in zip(best, held, strict=True) if share >= 0.99]
        best = same if len(same) == 1 else best
    return best


def fitting(said: str, tasks: Sequence[Task]) -> list[Task]:
    """Every task whose title or description holds the said words."""
    words = content(said)
    return [t for t in tasks if share_held(words, content(f"{t.title} {t.description}")) >= FIT_MIN]


def with_status(tasks: Sequence[Task], status: str) -> list[Task]:
    """The tasks in that state; "all" is every state."""
    return [task for task in tasks if status == "all" or task.completed == (status == "completed")]


def told_done(said: str, titles: Titles) -> list[Task]:
    """The tasks that a statement in the past ("I paid the rent") reports as done.

    Most of the title must be in it, and most of it in the title: "I bought a car" is no news
    about "Wash the car".
    """
    words = content(said)
    found: list[tuple[float, Task]] = []
    for place, held in sorted(titles.fits(words).items()):
        task = titles.tasks[place]
        covered = share_held(task.words, words)
        if covered >= 0.99 or (covered >= 0.5 and held >= 0.5 and covered + held >= 1.2):
            found.append((covered + held, task))
    top = max((score for score, _ in found), default=0.0)
    return [task for score, task in found if score >= top - 0.05]
