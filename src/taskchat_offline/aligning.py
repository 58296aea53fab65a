"""Lessons from conversations: what was said and which calls came of it, not which words said so.

A model that has learned from generated sentences finds the reading that makes the right calls;
that reading becomes a lesson. A sentence without such a reading teaches nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from taskchat_offline.features import Context, Heard
from taskchat_offline.learned import (
    ACTING,
    LABELS,
    TAGS,
    Model,
    Row,
    Segment,
    best_cut,
    best_tags,
)
from taskchat_offline.matching import Task, Titles
from taskchat_offline.references import Memory, reference_of, resolve
from taskchat_offline.rewording import new_title
from taskchat_offline.text import spoken_of, text_of, tokens_of

BOOSTS: Final = (0, 60, 200, 600)
"""By how much the right labels are helped until they win."""

_BY_TOOL: Final[Mapping[str, tuple[str, ...]]] = {
    "add_task": ("add", "duty"),
    "complete_task": ("complete", "report"),
    "delete_task": ("delete",),
}


@dataclass(frozen=True)
class Said:
    """A turn: what was said, to which list, and the calls that came of it."""

    text: str
    tasks: tuple[Task, ...]
    calls: tuple[Mapping[str, Any], ...]
    context: Context


@dataclass(frozen=True)
class Reading:
    """A reading that makes the right calls; the tags of a segment are None where none is sure."""

    heard: Heard
    segments: list[Segment]
    tags: list[list[str] | None]


def turns_in(path: Path) -> Iterator[Said]:
    """The turns of a file of conversations, as `taskchat eval` reads them."""
    for line in path.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        tasks = [
            Task(n, task["title"], task.get("description", ""), task.get("completed", False))
            for n, task in enumerate(case.get("tasks", []), 1)
        ]
        newest = len(tasks)
        context = Context()
        for turn in case["turns"]:
            yield Said(turn["say"], tuple(tasks), tuple(turn["calls"]), context)
            for call in turn["calls"]:
                newest += call["tool"] == "add_task"
                tasks = _after(tasks, call, newest)
            changing = [c["tool"] for c in turn["calls"] if c["tool"] != "list_tasks"]
            asked = "" if turn["calls"] else "which" if len(tasks) > 1 else "whether"
            context = Context(
                asked, changing[-1] if changing else "list_tasks" if turn["calls"] else ""
            )


def _after(tasks: list[Task], call: Mapping[str, Any], newest: int) -> list[Task]:
    if call["tool"] == "add_task":
        return [*tasks, Task(newest, call["title"], call.get("description", ""))]
    if call["tool"] == "list_tasks":
        return tasks
    kept: list[Task] = []
    for task in tasks:
        if _same(task.title, call["task"]):
            if call["tool"] == "delete_task":
                continue
            task = replace(
                task,
                title=call.get("title", task.title),
                completed=task.completed or call["tool"] == "complete_task",
            )
        kept.append(task)
    return kept


def _bare(text: str) -> str:
    words = text.casefold().strip().strip("\"'“”‘’").rstrip(".,!?;: ").split()
    return " ".join(words[1:] if words and words[0] in {"a", "an", "the", "my"} else words)


def _same(one: str, other: str) -> bool:
    return _bare(one) == _bare(other)


def aligned(said: Said, model: Model) -> Reading | None:
    """The reading of a turn that makes its calls, or None."""
    heard = Heard(spoken_of(tokens_of(said.text)), Titles(said.tasks), said.context)
    if not heard.tokens:
        return None
    wanted = [_labels_of(call) for call in said.calls]
    answer = {"pick", "yes"} if (said.context.asked or said.context.did) and wanted else set()
    free = {label for label in LABELS if label not in ACTING and not label.startswith("list")}
    allowed = free.union(answer, *wanted)
    for boost in BOOSTS:
        cut = best_cut(
            heard, model.segments.score, model.steps.score,
            allowed=lambda a, b, n: LABELS[n] in allowed,
            costs=lambda a, b, boost=boost: _boosted(wanted, boost),
        )  # fmt: skip
        if not _covers(cut, wanted, heard, said):
            continue
        return Reading(heard, cut, [_tags(heard, segment, said, model) for segment in cut])
    return None


def _labels_of(call: Mapping[str, Any]) -> tuple[str, ...]:
    if call["tool"] == "update_task":
        return ("retitle", "describe") if "description" in call and "title" in call else (
            ("describe",) if "description" in call else ("retitle",))  # fmt: skip
    if call["tool"] == "list_tasks":
        return (f"list {call['status']}",)
    return _BY_TOOL[call["tool"]]


def _boosted(wanted: Sequence[tuple[str, ...]], boost: int) -> Row:
    labels = {label for labels in wanted for label in labels}
    return [boost if label in labels else 0 for label in LABELS]


def _covers(
    cut: Sequence[Segment], wanted: Sequence[tuple[str, ...]], heard: Heard, said: Said
) -> bool:
    """Whether the cut asks for what was called, and for no more."""
    labels = [segment.label for segment in cut]
    answering = {"pick", "yes"} & set(labels)
    if not wanted:
        return not any(label in ACTING for label in labels)
    for call, options in zip(said.calls, wanted, strict=True):
        if not answering and not set(options) & set(labels):
            return False
        if call["tool"] == "add_task" and not answering and not any(
            segment.label in options and _found(heard, segment, said.text, call["title"]) for segment in cut
        ):  # fmt: skip
            return False
    most = {"add": sum("add" in o for o in wanted), "delete": sum("delete" in o for o in wanted)}
    return all(
        labels.count(label) <= max(1, count) for label, count in most.items()
    ) and labels.count("retitle") <= sum("retitle" in o for o in wanted) and (
        labels.count("describe") <= sum("describe" in o for o in wanted) or "add" in labels
    )  # fmt: skip


def _found(heard: Heard, segment: Segment, said: str, text: str) -> tuple[int, int] | None:
    """The fewest tokens of a segment that say the text."""
    best: tuple[int, int] | None = None
    size = len(text.split()) + 2
    for start in range(segment.start, segment.end):
        for end in range(start + 1, min(segment.end, start + 3 * size) + 1):
            told = text_of(said, heard.tokens[start:end])
            if _same(told, text) and (best is None or end - start < best[1] - best[0]):
                best = (start, end)
    return best


def _tags(heard: Heard, segment: Segment, said: Said, model: Model) -> list[str] | None:
    label = segment.label
    if label in {"add", "duty"}:
        return _add_tags(heard, segment, said)
    if label not in {"complete", "report", "delete", "retitle", "describe"}:
        return None
    calls = [c for c in said.calls if label in _labels_of(c)]
    forced: dict[int, str] = {}
    for call in calls:
        for slot, name in (("N", "title"), ("D", "description")):
            if call["tool"] == "update_task" and slot in ("N" if label == "retitle" else "D"):
                place = (
                    _found(heard, segment, said.text, call.get(name, ""))
                    if call.get(name)
                    else None
                )
                if place is not None:
                    forced |= {n: f"{'B' if n == place[0] else 'I'}{slot}" for n in range(*place)}
    tags = best_tags(
        heard, segment, model.words.score, model.tag_steps.score,
        allowed=lambda place, n: (
            TAGS[n] == forced[place] if place in forced
            else not (forced and TAGS[n][1:] in {"N", "D", "F", "P"})
        ),
    )  # fmt: skip
    return tags if tags and _right(heard, segment, said, tags, calls) else None


def _add_tags(heard: Heard, segment: Segment, said: Said) -> list[str] | None:
    tags = ["O"] * (segment.end - segment.start)
    found = False
    for call in said.calls:
        for slot, name in (("T", "title"), ("D", "description")):
            place = _found(heard, segment, said.text, call[name]) if call.get(name) else None
            if call["tool"] == "add_task" and place is not None:
                found = found or slot == "T"
                for n in range(*place):
                    tags[n - segment.start] = f"{'B' if n == place[0] else 'I'}{slot}"
    return tags if found else None


def _right(
    heard: Heard,
    segment: Segment,
    said: Said,
    tags: Sequence[str],
    calls: Sequence[Mapping[str, Any]],
) -> bool:
    """Whether the tagged words name the tasks of the calls, and say what they shall say."""
    spans = {slot: _span(heard, segment, tags, slot) for slot in "RNFP"}
    titles = Titles(said.tasks)
    named = [call["task"] for call in calls]
    if spans["R"]:
        match = resolve(reference_of(said.text, spans["R"]), titles, Memory())
        if not match.tasks or any(
            not any(_same(task.title, name) for name in named) for task in match.tasks
        ):  # fmt: skip
            return False
    if segment.label != "retitle" or not calls:
        return True
    new, former, more = (text_of(said.text, spans[s]) for s in "NFP")
    if not new and not more:
        return False
    old = next((t.title for t in said.tasks if _same(t.title, named[0])), "")
    return bool(old) and _same(
        new_title(old, more or new, former, appended=bool(more)), calls[0].get("title", "")
    )


def _span(heard: Heard, segment: Segment, tags: Sequence[str], slot: str) -> list[Any]:
    return [heard.tokens[segment.start + n] for n, tag in enumerate(tags) if tag[1:] == slot]
