"""What the assistant says. Every sentence is true of the calls that were made."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from taskchat_offline.history import Step
from taskchat_offline.matching import Task
from taskchat_offline.words import CLASSES, lines_of

NAMES_MAX: Final = 8
"""Titles named in one sentence; more are counted."""

LINES_MAX: Final = 100
"""Tasks listed in one reply."""

_SAID: Final = dict(line.split(": ", 1) for line in lines_of("replies.txt"))

_ABOUT: Final = (("update", "field"), ("delete", "delete"), ("update", "update"), ("add", "add"),
                 ("complete", "complete"), ("list", "show"))  # fmt: skip


def saying(topic: str, title: str = "") -> str:
    """A sentence of the data file, about a title or none."""
    return _SAID[topic].format(named(clipped(title)))


def howto(words: Sequence[str]) -> str:
    """The answer to "how do I ...?", by the words of the question."""
    if set(words) & {"difference", "happens"}:
        return _SAID["how to states"]
    found = (about for about, kind in _ABOUT if set(words) & CLASSES[kind])
    return _SAID.get(f"how to {next(found, '')}", _SAID["help"])


def named(title: str) -> str:
    """A title as replies show it."""
    return f"“{title}”"


def joined(pieces: Sequence[str]) -> str:
    """“a, b and c"; beyond `NAMES_MAX` the rest is counted."""
    more = len(pieces) - NAMES_MAX
    named_last = f"{more} more" if more > 0 else "".join(pieces[-1:])
    shown = pieces[:NAMES_MAX] if more > 0 else pieces[:-1]
    return f"{', '.join(shown)} and {named_last}" if shown else named_last


def line(task: Task) -> str:
    """A task on a line of a list: id, mark, title, description."""
    mark = "x" if task.completed else " "
    note = f" ({task.description})" if task.description else ""
    return f"{task.id}. [{mark}] {task.title}{note}"


def listing(tasks: Sequence[Task], total: int, *, status: str, words: str, counted: bool) -> str:
    """The answer to a request to see tasks."""
    kind = "" if status == "all" else f"{status} "
    if not tasks:
        empty = "Your list is empty: you have no tasks."
        return empty if status == "all" else f"You have no {kind}tasks."
    total = max(total, len(tasks))
    noun = "task" if total == 1 else "tasks"
    opening = f"You have {total} {kind}{noun}:" if counted else f"Your {kind}{noun}:"
    opening = f"Your {kind}tasks about {named(words)}:" if words else opening
    lines = [line(task) for task in tasks[:LINES_MAX]]
    more = [f"... and {total - len(lines)} more."] if total > len(lines) and not words else []
    return "\n".join([opening, *lines, *more])


def which(verb: str, candidates: Sequence[Task]) -> str:
    """Asks which of several tasks is meant."""
    if not candidates:
        return f"Which task should I {verb}? Your list holds none that fits."
    rows = [line(task) for task in candidates[: NAMES_MAX * 2]]
    return "\n".join([f"Which task should I {verb}? I found these:", *rows])


def whether(verb: str, tasks: Sequence[Task]) -> str:
    """Asks whether to do it at all."""
    names = joined([named(task.title) for task in tasks])
    return f"Shall I {f'mark {names} as done' if verb == 'complete' else f'{verb} {names}'}?"


def absent(names: Sequence[str]) -> str:
    """Says that no task fits what was named."""
    placed = ("task ", "number ", "that one")
    words = joined([name if name.startswith(placed) else named(clipped(name)) for name in names])
    return _SAID["absent"].format(words)


def clipped(text: str, chars_max: int = 80) -> str:
    """A text on one line, short enough to be quoted."""
    text = " ".join(text.split())
    return text if len(text) <= chars_max else text[: chars_max - 1].rstrip() + "…"


def state(tasks: Sequence[Task], about: str) -> str:
    """The answer to "is it done?" and "did I add it?"."""
    none = f"no task about {named(clipped(about))}" if about else "no such task"
    sentences = [] if tasks else [f"No, I see {none} on your list."]
    for task in tasks[:NAMES_MAX]:
        status = "done" if task.completed else "still pending"
        note = f" Description: {task.description}." if task.description else ""
        sentences.append(f"{named(task.title)} is on your list as task {task.id}, {status}.{note}")
    return " ".join(sentences)


def outcome(steps: Sequence[Step], known: Sequence[Task]) -> str:
    """What the calls did, in the order made, calls of one kind told together."""
    before = {task.id: task for task in known}
    sentences: list[str] = []
    for kind, group in groupby(steps, lambda step: step.name if step.result else "error"):
        made = list(group)
        if kind == "update_task":
            sentences += [_updated(step, before) for step in made]
        elif kind == "error":
            sentences += [f"That didn't work: {clipped(step.error, 300)}" for step in made]
        elif kind == "complete_task":
            old = [s for s in made if (t := before.get(s.task_id or 0)) is not None and t.completed]
            new = [step for step in made if step not in old]
            verb = "was" if len(old) == 1 else "were"
            sentences += [f"Marked {_titles(new, before)} as done."] if new else []
            sentences += [f"{_titles(old, before)} {verb} already done."] if old else []
        else:
            verb = "Added" if kind == "add_task" else "Deleted"
            sentences.append(f"{verb} {_titles(made, before)}.")
    # What is wrong with several calls alike is told once.
    return " ".join(dict.fromkeys(sentences))


def _titles(steps: Sequence[Step], before: dict[int, Task]) -> str:
    return joined([named(_title(step, before)) for step in steps])


def _updated(step: Step, before: dict[int, Task]) -> str:
    old = before.get(step.task_id or 0)
    title = _title(step, before)
    described = "description" in step.arguments
    if old is not None and "title" in step.arguments and old.title != title:
        renamed = f"Changed {named(old.title)} to {named(title)}"
        return f"{renamed} and set its description." if described else f"{renamed}."
    if described and not step.arguments["description"]:
        return f"Removed the description of {named(title)}."
    if described:
        description = clipped(str(step.arguments["description"]))
        return f"Set the description of {named(title)} to {named(description)}."
    return f"Updated {named(title)}."


def _title(step: Step, before: dict[int, Task]) -> str:
    title = (step.result or {}).get("title") or step.arguments.get("title")
    if isinstance(title, str) and title:
        return title
    task = before.get(step.task_id or 0)
    return task.title if task is not None else f"task {step.task_id}"
