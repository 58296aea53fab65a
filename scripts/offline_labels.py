"""Label conversations for the training of the offline model: which words ask for which call.

    python scripts/offline_labels.py OUT FILE ...

The files say what was said and which calls came of it (`taskchat eval` reads them), not which
words said so. The model finds the reading that makes those calls; what it finds none for is left
out. The result is data: `src/taskchat_offline/data/labelled.jsonl`.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from taskchat_offline.features import Context, Heard
from taskchat_offline.learned import (
    ACTING,
    LABELS,
    SLOTS,
    TAGS,
    Model,
    Segment,
    best_cut,
    best_tags,
    load,
)
from taskchat_offline.matching import Task, Titles
from taskchat_offline.plan import next_step
from taskchat_offline.references import Memory, reference_of, resolve
from taskchat_offline.rewording import new_title
from taskchat_offline.text import spoken_of, text_of, tokens_of

TOOLS: Final = frozenset({"add_task", "list_tasks", "complete_task", "delete_task", "update_task"})

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


@dataclass(frozen=True)
class Reading:
    """A reading of a turn; the tags of a segment are None where none are sure."""

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


def _asks_only(said: Said) -> bool:
    """Whether a free reading changes nothing: it may be an order that no task fits."""
    tasks = [{"id": t.id, "title": t.title, "completed": t.completed} for t in said.tasks]
    look = {"type": "function_call", "call_id": "1", "name": "list_tasks", "arguments": "{}"}
    output = {
        "type": "function_call_output",
        "call_id": "1",
        "output": json.dumps({"tasks": tasks}),
    }
    items = [{"role": "user", "content": said.text}, look, output]
    return not next_step(items, TOOLS).calls


def _labels_of(call: Mapping[str, Any]) -> tuple[str, ...]:
    if call["tool"] == "update_task":
        fields = (("title", "retitle"), ("description", "describe"))
        return tuple(label for name, label in fields if name in call)
    listed = f"list {call.get('status')}"
    return (listed,) if call["tool"] == "list_tasks" else _BY_TOOL[call["tool"]]


def reading_of(said: Said, model: Model) -> Reading | None:
    """The reading of a turn that makes its calls, found by a model that knows the generated ones.

    Which words said what is not known. A turn without such a reading teaches nothing.
    """
    heard = Heard(spoken_of(tokens_of(said.text)), Titles(said.tasks), said.context)
    if heard.tokens and not said.calls and _asks_only(said):
        cut = best_cut(heard, model.segments, model.steps)
        return Reading(heard, cut, [None] * len(cut))
    wanted = [_labels_of(call) for call in said.calls]
    helped = {label for labels in wanted for label in labels}
    answer = {"pick", "yes"} if (said.context.asked or said.context.did) and wanted else set()
    idle = {label for label in LABELS if label not in ACTING and not label.startswith("list")}
    never = {label for label in LABELS if label not in idle | helped | answer}
    for boost in BOOSTS if heard.tokens else ():
        extra = [boost if n in helped else -BARRED if n in never else 0 for n in LABELS]
        cut = best_cut(heard, model.segments, model.steps, partial(_always, extra))
        if _covers(cut, wanted, heard, said):
            doing = [part for part in cut if part.label in ACTING]
            tags = [_known_tags(heard, s, said, model, alone=len(doing) == 1) for s in cut]
            return Reading(heard, cut, tags)
    return None


def _always(row: list[int], start: int, end: int) -> list[int]:
    return row


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


def _known_tags(
    heard: Heard, segment: Segment, said: Said, model: Model, *, alone: bool
) -> list[str] | None:
    """The tags of a segment that fit its calls; None where none is sure."""
    label = segment.label
    if label.startswith("list"):
        return ["O"] * (segment.end - segment.start)
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
        heard, segment, model.words, model.tag_steps,
        allowed=lambda place, n: (
            TAGS[n] == forced[place] if place in forced
            else not (forced and TAGS[n][1:] in {"T", "D", "N", "F", "P"})
        ),
    )  # fmt: skip
    return (
        tags
        if tags and (adding or _right(heard, segment, said, tags, calls, alone=alone))
        else None
    )


def _right(
    heard: Heard,
    segment: Segment,
    said: Said,
    tags: Sequence[str],
    calls: Sequence[Mapping[str, Any]],
    alone: bool,
) -> bool:
    """Whether the tagged words name the tasks of the calls, and say what they shall say."""
    spans = {
        slot: [heard.tokens[segment.start + n] for n, tag in enumerate(tags) if tag[1:] == slot]
        for slot in "RNFP"
    }
    named = [call.get("task", "") for call in calls]
    if spans["R"]:
        match = resolve(reference_of(said.text, spans["R"]), Titles(said.tasks), Memory())
        found = [task.title for task in match.tasks]
        if not found or not all(any(_same(one, name) for name in named) for one in found):
            return False
        if alone and len(found) != len(named):
            return False
    elif segment.label != "report" and any(
        heard.named[place] or heard.symbols[place] == "#" or "ordinal" in heard.classes[place]
        for place in range(segment.start, segment.end)
        if tags[place - segment.start] == "O"
    ):
        # Something was named, and it was not found.
        return False
    if segment.label != "retitle":
        return True
    new, former, more = (text_of(said.text, spans[slot]) for slot in "NFP")
    old = next((task.title for task in said.tasks if _same(task.title, named[0])), "")
    made = new_title(old, more or new, former, appended=bool(more)) if new or more else ""
    return bool(old) and _same(made, calls[0].get("title", ""))


def labelled(said: Said, model: Model) -> dict[str, Any] | None:
    """A turn as training reads it; parts without sure tags have a ? behind their label."""
    reading = reading_of(said, model)
    if reading is None:
        return None
    units: list[list[Any]] = []
    slots: list[list[Any]] = []
    tokens = reading.heard.tokens
    for segment, tags in zip(reading.segments, reading.tags, strict=True):
        part = tokens[segment.start : segment.end]
        mark = "" if tags is not None or segment.label not in SLOTS else "?"
        units.append([part[0].start, part[-1].end, segment.label + mark])
        for token, tag in zip(part, tags or (), strict=False):
            if tag[0] == "B":
                slots.append([token.start, token.end, tag[1]])
            elif tag[0] == "I":
                slots[-1][1] = token.end
    return {
        "text": said.text, "units": units, "slots": slots,
        "tasks": [[task.title, task.completed] for task in said.tasks],
        "asked": said.context.asked, "did": said.context.did,
    }  # fmt: skip


def main() -> None:
    """Label what the files hold."""
    out, *names = sys.argv[1:]
    lines: list[str] = []
    for name in names:
        found = [labelled(said, load()) for said in turns_in(Path(name))]
        lines += [json.dumps(row, ensure_ascii=False) for row in found if row is not None]
        print(f"{name}: {sum(row is not None for row in found)} of {len(found)} turns")
    Path(out).write_text("\n".join(dict.fromkeys(lines)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
