"""What the assistant says. Every sentence is true of the calls that were made."""

from collections.abc import Sequence
from typing import Final

from taskchat_offline.history import Step
from taskchat_offline.matching import Task
from taskchat_offline.words import CLASSES, lines_of

NAMES_MAX = 8
"""Titles named in one sentence; more are counted."""

LINES_MAX = 100
"""Tasks listed in one reply."""

_SAID: Final = dict(line.split(": ", 1) for line in lines_of("replies.txt"))

HELP: Final = _SAID["help"]
"""The answer to "what can you do?"."""

SEE_LIST: Final = "Say “show my tasks” to see what is on it."
"""What to do when a task was not found."""

_ABOUT: Final = (("update", "field"), ("delete", "delete"), ("update", "update"), ("add", "add"),
                 ("complete", "complete"), ("list", "show"))  # fmt: skip


def saying(topic: str) -> str:
    """The answer when nothing is to be done."""
    return _SAID[topic]


def howto(words: Sequence[str]) -> str:
    """The answer to "how do I ...?", by the words of the question."""
    if set(words) & {"difference", "happens"}:
        return _SAID["how to states"]
    found = (about for about, kind in _ABOUT if set(words) & CLASSES[kind])
    return _SAID.get(f"how to {next(found, '')}", HELP)


def named(title: str) -> str:
    """A title as replies show it."""
    return f"“{title}”"


def joined(pieces: Sequence[str], last: str = "and") -> str:
    """“a, b and c"; beyond `NAMES_MAX` the rest is counted."""
    if len(pieces) > NAMES_MAX:
        shown = ", ".join(pieces[:NAMES_MAX])
        return f"{shown} and {len(pieces) - NAMES_MAX} more"
    if len(pieces) < 2:
        return "".join(pieces)
    return f"{', '.join(pieces[:-1])} {last} {pieces[-1]}"


def line(task: Task) -> str:
    """A task on a line of a list: id, mark, title, description."""
    mark = "x" if task.completed else " "
    note = f" ({task.description})" if task.description else ""
    return f"{task.id}. [{mark}] {task.title}{note}"


def listing(tasks: Sequence[Task], total: int, *, status: str, words: str, counted: bool) -> str:
    """The answer to a request to see tasks."""
    kind = {"all": "", "pending": "pending ", "completed": "completed "}[status]
    if not tasks:
        if words:
            return f"I found no {kind}task about {named(words)}."
        if status == "all":
            return "Your list is empty: you have no tasks."
        return f"You have no {kind}tasks."
    total = max(total, len(tasks))
    noun = "task" if total == 1 else "tasks"
    opening = f"You have {total} {kind}{noun}:" if counted else f"Your {kind}{noun}:"
    if words:
        opening = f"Your {kind}tasks about {named(words)}:"
    lines = [line(task) for task in tasks[:LINES_MAX]]
    if total > len(lines) and not words:
        lines.append(f"... and {total - len(lines)} more.")
    return "\n".join([opening, *lines])


def which(verb: str, candidates: Sequence[Task]) -> str:
    """Asks which of several tasks is meant."""
    if not candidates:
        return f"Which task should I {verb}? Your list holds none that fits."
    rows = [line(task) for task in candidates[: NAMES_MAX * 2]]
    return "\n".join([f"Which task should I {verb}? I found these:", *rows])


def whether(verb: str, tasks: Sequence[Task]) -> str:
    """Asks whether to do it at all."""
    names = joined([named(task.title) for task in tasks])
    return f"Shall I mark {names} as done?" if verb == "complete" else f"Shall I delete {names}?"


def absent(names: Sequence[str]) -> str:
    """Says that no task fits what was named."""
    words = joined([name if name.startswith(_PLACED) else named(clipped(name)) for name in names])
    return f"I couldn't find {words} on your list, so I changed nothing there. {SEE_LIST}"


_PLACED = ("task ", "number ", "that one")


def clipped(text: str) -> str:
    """A text short enough to be quoted in a sentence."""
    return text if len(text) <= 80 else text[:79].rstrip() + "…"


def state(tasks: Sequence[Task]) -> str:
    """The answer to "is it done?" and "did I add it?"."""
    sentences = []
    for task in tasks[:NAMES_MAX]:
        status = "done" if task.completed else "still pending"
        note = f" Description: {task.description}." if task.description else ""
        sentences.append(f"{named(task.title)} is on your list as task {task.id}, {status}.{note}")
    return " ".join(sentences)


def outcome(steps: Sequence[Step], known: Sequence[Task]) -> str:
    """What the calls did, in the order made, calls of one kind told together."""
    sentences: list[str] = []
    before = {task.id: task for task in known}
    groups: list[tuple[str, list[Step]]] = []
    for step in steps:
        kind = "error" if step.result is None else step.name
        if (
            groups
            and groups[-1][0] == kind
            and kind in {"add_task", "complete_task", "delete_task"}
        ):
            groups[-1][1].append(step)
        else:
            groups.append((kind, [step]))
    for kind, group in groups:
        titles = joined([named(_title(step, before)) for step in group])
        if kind == "add_task":
            sentences.append(f"Added {titles}.")
        elif kind == "delete_task":
            sentences.append(f"Deleted {titles}.")
        elif kind == "complete_task":
            sentences.append(_completed(group, before))
        elif kind == "update_task":
            sentences.append(_updated(group[0], before))
        else:
            sentences.append(f"That didn't work: {clipped_error(group[0].error)}")
    # What is wrong with several calls alike is told once.
    return " ".join(dict.fromkeys(sentences))


def _completed(steps: Sequence[Step], before: dict[int, Task]) -> str:
    old = [s for s in steps if (task := before.get(s.task_id or 0)) is not None and task.completed]
    new = [step for step in steps if step not in old]
    sentences = []
    if new:
        sentences.append(f"Marked {joined([named(_title(s, before)) for s in new])} as done.")
    if old:
        verb = "was" if len(old) == 1 else "were"
        sentences.append(f"{joined([named(_title(s, before)) for s in old])} {verb} already done.")
    return " ".join(sentences)


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


def clipped_error(error: str) -> str:
    """A tool's sentence, short enough for a reply."""
    text = " ".join(error.split())
    return text if len(text) <= 300 else text[:299].rstrip() + "…"


def _title(step: Step, before: dict[int, Task]) -> str:
    title = (step.result or {}).get("title") or step.arguments.get("title")
    if isinstance(title, str) and title:
        return title
    task = before.get(step.task_id or 0)
    return task.title if task is not None else f"task {step.task_id}"
