"""Which tasks a reference names. Never guesses between two that fit alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from taskchat_offline.intents import Reference
from taskchat_offline.likeness import content, fit, plain, share_held

FIT_MIN = 0.6
"""Share of the said words that a title must hold; lower lets one shared word name a task."""


TASKS_FUZZY_MAX = 200
"""Tasks up to which misspelt words are looked for; a longer list is compared by stems only."""


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


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier turns were about: ids, latest first where order matters.

    `focus` are the tasks spoken of last, `shown` the last list the user saw, `newest` the task
    added last in this conversation; `acted` are the tasks that the turn itself changed so far.
    """

    focus: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()
    newest: int | None = None
    acted: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """The tasks named; or those it could be (`unclear`); or the names that fit none."""

    tasks: tuple[Task, ...] = ()
    unclear: tuple[Task, ...] = ()
    missing: tuple[str, ...] = ()
    pointless: bool = field(default=False)


def resolve(
    reference: Reference, tasks: Sequence[Task], memory: Memory, *, prefer_open: bool = False
) -> Match:
    """The tasks that the reference names.

    Args:
        reference: How the user named them.
        tasks: All tasks of the user, in creation order.
        memory: What earlier turns were about.
        prefer_open: Completing: a finished task does not compete with an open one.

    Returns:
        Tasks in the order named; a `Match` with `unclear` or `missing` changes nothing.
    """
    if not tasks and reference.naming not in {"ids", "words"}:
        return Match(pointless=True)
    match reference.naming:
        case "ids":
            return _by_ids(reference, tasks)
        case "places":
            return _by_places(reference, tasks, memory)
        case "every":
            return _group(reference, tasks, memory, prefer_open=prefer_open)
        case "newest":
            return _newest(tasks, memory)
        case "pronoun":
            return _pronoun(reference, tasks, memory, prefer_open=prefer_open)
        case "other":
            named = memory.acted or memory.focus
            others = [task for task in tasks if task.id not in named]
            return Match(tuple(others)) if len(others) == 1 else Match(unclear=tuple(others))
        case "vague":
            return Match(unclear=tuple(tasks))
        case "words":
            return _by_words(reference, tasks, memory, prefer_open=prefer_open)


def _by_ids(reference: Reference, tasks: Sequence[Task]) -> Match:
    known = {task.id: task for task in tasks}
    found = tuple(known[number] for number in reference.numbers if number in known)
    missing = tuple(f"task {number}" for number in reference.numbers if number not in known)
    return Match(found, missing=missing)


def _by_places(reference: Reference, tasks: Sequence[Task], memory: Memory) -> Match:
    known = {task.id: task for task in tasks}
    shown = [known[task_id] for task_id in memory.shown if task_id in known]
    rows = shown if shown and reference.status == "all" else list(tasks)
    rows = with_status(rows, reference.status)
    found: list[Task] = []
    missing: list[str] = []
    for place in reference.numbers:
        index = place - 1 if place > 0 else place
        if place == 0:
            # "The middle one" is a place only in a list that has one.
            index = len(rows) // 2 if len(rows) % 2 else len(rows)
        if -len(rows) <= index < len(rows):
            found.append(rows[index])
        else:
            missing.append(f"number {place}" if place > 0 else "that one")
    return Match(tuple(found), missing=tuple(missing))


def _group(
    reference: Reference, tasks: Sequence[Task], memory: Memory, *, prefer_open: bool
) -> Match:
    rows = with_status(tasks, reference.status)
    if reference.words:
        rows = fitting(reference.words, rows)
        if not rows:
            return Match(missing=(reference.words,))
    if reference.excluded is not None:
        spared = resolve(reference.excluded, tasks, memory)
        if spared.unclear or spared.missing:
            return spared
        rows = [task for task in rows if task not in spared.tasks]
    if prefer_open and reference.plural:
        rows = [task for task in rows if not task.completed]
    if not rows:
        return Match(pointless=True)
    if not reference.plural and len(rows) > 1:
        return Match(unclear=tuple(rows))
    return Match(tuple(rows))


def _newest(tasks: Sequence[Task], memory: Memory) -> Match:
    chosen = [task for task in tasks if task.id == memory.newest] or list(tasks[-1:])
    return Match(tuple(chosen)) if chosen else Match(pointless=True)


def _pronoun(
    reference: Reference, tasks: Sequence[Task], memory: Memory, *, prefer_open: bool
) -> Match:
    known = {task.id: task for task in tasks}
    focus = tuple(known[task_id] for task_id in memory.focus if task_id in known)
    if reference.context:
        told = best_fits(reference.context, tasks, fit_min=0.01)
        if prefer_open and len(told) > 1:
            told = [task for task in told if not task.completed] or told
        shared = [task for task in told if task in focus]
        if len(told) == 1:
            return Match(tuple(told))
        if len(shared) == 1:
            return Match(tuple(shared))
        if told:
            return Match(unclear=tuple(told))
    if reference.numbers and len(focus) != reference.numbers[0] and len(tasks) == 2:
        focus = tuple(tasks)
    if reference.plural and reference.words == "all" and not focus:
        return Match(tuple(task for task in tasks if not (prefer_open and task.completed)))
    if reference.plural:
        return Match(focus) if focus else Match(unclear=tuple(tasks))
    if len(focus) > 1 and prefer_open:
        focus = tuple(task for task in focus if not task.completed) or focus
    if len(focus) == 1:
        return Match(focus)
    if not focus and len(tasks) == 1:
        return Match(tuple(tasks))
    return Match(unclear=focus or tuple(tasks))


def _by_words(
    reference: Reference, tasks: Sequence[Task], memory: Memory, *, prefer_open: bool
) -> Match:
    wanted = plain(reference.words)
    same = [task for task in tasks if task.plain == wanted]
    found = same or best_fits(reference.words, tasks, fit_min=FIT_MIN)
    if prefer_open and len(found) > 1:
        found = [task for task in found if not task.completed] or found
    if len(found) == 1 and (same or not reference.parts):
        return Match((found[0],))
    if len(reference.parts) == 1:
        return resolve(reference.parts[0], tasks, memory, prefer_open=prefer_open)
    if reference.parts:
        several = _by_parts(reference, tasks, memory, prefer_open=prefer_open)
        if not several.missing and not several.unclear:
            return several
        if len(found) == 1 and fit(reference.words, found[0].title) >= 0.99:
            return Match((found[0],))
        if several.tasks or several.unclear:
            return several
    if not found:
        # All of a title was said, and more: "buy a tent, we own one by now".
        said = content(reference.words)
        found = [
            task
            for task in tasks
            if len(task.words) > 1 and share_held(task.words, said, fuzzy=False) >= 0.99
        ]
        found = found if len(found) == 1 else []
    if len(found) == 1:
        return Match((found[0],))
    return Match(unclear=tuple(found)) if found else Match(missing=(reference.words,))


def _by_parts(
    reference: Reference, tasks: Sequence[Task], memory: Memory, *, prefer_open: bool
) -> Match:
    found: list[Task] = []
    unclear: tuple[Task, ...] = ()
    missing: list[str] = []
    for part in reference.parts:
        piece = resolve(part, tasks, memory, prefer_open=prefer_open)
        found += [task for task in piece.tasks if task not in found]
        unclear = unclear or piece.unclear
        missing += piece.missing
    return Match(tuple(found), unclear, tuple(missing))


def holding(words: str, tasks: Sequence[Task], memory: Memory) -> Match:
    """The task whose title holds these very words; the one spoken of last among several."""
    wanted = f" {plain(words)} "
    found = [task for task in tasks if wanted in f" {task.plain} "]
    if len(found) > 1:
        found = [task for task in found if task.id in memory.focus] or found
    if len(found) == 1:
        return Match((found[0],))
    return Match(unclear=tuple(found)) if found else Match(missing=(words,))


def with_status(tasks: Sequence[Task], status: str) -> list[Task]:
    """The tasks in that state; "all" is every state."""
    return [task for task in tasks if status == "all" or task.completed == (status == "completed")]


def best_fits(said: str, tasks: Sequence[Task], *, fit_min: float) -> list[Task]:
    """The tasks that fit best, when they fit at all; several when they fit alike."""
    words = content(said)
    fuzzy = len(tasks) <= TASKS_FUZZY_MAX
    scored = [(share_held(words, task.words, fuzzy=fuzzy), task) for task in tasks]
    top = max((score for score, _ in scored), default=0.0)
    if top < fit_min:
        return []
    best = [task for score, task in scored if score >= top - 0.01]
    same = [task for task in best if set(task.words) == set(words)]
    return same if len(same) == 1 else best


def fitting(said: str, tasks: Sequence[Task]) -> list[Task]:
    """Every task whose title or description holds the said words."""
    words = content(said)
    fuzzy = len(tasks) <= TASKS_FUZZY_MAX
    return [
        task
        for task in tasks
        if share_held(words, content(f"{task.title} {task.description}"), fuzzy=fuzzy) >= FIT_MIN
    ]
