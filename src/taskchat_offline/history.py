"""The conversation as turns. Tool outputs are data: nothing in them is ever read as a request."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from taskchat_offline.matching import Task
from taskchat_offline.references import Memory

TURNS_BACK_MAX = 3
"""A list shown longer ago no longer gives "the second one" its meaning."""

SAID: Final = "User: "
BEFORE: Final = "Summary of what came before: "

LINE_CHARS_MAX: Final = 90
DIGEST_CHARS_MAX: Final = 1200
"""The newest are kept where there is more: what was said last is asked about first."""

CHANGING = frozenset({"add_task", "complete_task", "delete_task", "update_task"})
"""The tools that change tasks."""


@dataclass(slots=True)
class Step:
    """One tool call and what came of it; `error` is the tool's sentence when it failed."""

    call_id: str
    name: str
    arguments: dict[str, object]
    result: dict[str, object] | None = None
    error: str = ""

    @property
    def task_id(self) -> int | None:
        """The task that the call was about."""
        for source in (self.result or {}, self.arguments):
            value = source.get("task_id")
            if isinstance(value, int):
                return value
        return None


@dataclass(slots=True)
class Turn:
    """What the user said, the calls that followed, and the reply (empty while it runs)."""

    said: str
    steps: list[Step] = field(default_factory=list)
    reply: str = ""


def turns_of(items: str | Sequence[object]) -> list[Turn]:
    """The turns in a model's input, oldest first; what comes before the first one is left out."""
    if isinstance(items, str):
        return [Turn(items)]
    turns: list[Turn] = []
    for item in items:
        if not isinstance(item, Mapping):
            continue
        kind = item.get("type")
        if kind in {None, "message"} and item.get("role") == "user":
            turns.append(Turn(_text(item.get("content"))))
        elif not turns:
            continue
        elif kind in {None, "message"} and item.get("role") == "assistant":
            turns[-1].reply = _text(item.get("content"))
        elif kind == "function_call":
            turns[-1].steps.append(
                Step(str(item.get("call_id")), str(item.get("name")), _json(item.get("arguments")))
            )
        elif kind == "function_call_output":
            _record(turns[-1].steps, str(item.get("call_id")), item.get("output"))
    return turns


def _record(steps: Sequence[Step], call_id: str, output: object) -> None:
    step = next((step for step in steps if step.call_id == call_id), None)
    if step is None:
        return
    text = _text(output)
    result = _json(text)
    if {"task_id", "tasks"} & set(result):
        step.result = result
    else:
        step.error = text.strip() or "The tool gave no answer."


def _text(content: object) -> str:
    if isinstance(content, str):
        # The SDK hands on an MCP result as the JSON text of {"type": "text", "text": ...}.
        if content.startswith(('{"type":', "[{")):
            parsed = _parsed(content)
            if isinstance(parsed, Mapping) and "text" in parsed:
                return _text(parsed["text"])
            if isinstance(parsed, list) and parsed and isinstance(parsed[0], Mapping):
                return _text(parsed)
        return content
    if isinstance(content, Mapping):
        return _text(content["text"]) if "text" in content else json.dumps(dict(content))
    if isinstance(content, Sequence):
        return "".join(_text(part) for part in content)
    return ""


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _json(text: object) -> dict[str, object]:
    parsed = _parsed(text) if isinstance(text, str) else text
    return dict(parsed) if isinstance(parsed, Mapping) else {}


def tasks_of(step: Step) -> list[Task]:
    """The tasks in the answer of a `list_tasks` call."""
    rows = (step.result or {}).get("tasks")
    tasks: list[Task] = []
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and isinstance(row.get("id"), int):
            tasks.append(
                Task(
                    id=int(row["id"]),
                    title=str(row.get("title", "")),
                    description=str(row.get("description") or ""),
                    completed=bool(row.get("completed")),
                )
            )
    return tasks


def memory_of(earlier: Sequence[Turn]) -> Memory:
    """What "it", "the second one" and "the one I just added" mean after these turns."""
    focus: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()
    newest: int | None = None
    for back, turn in enumerate(reversed(earlier)):
        added = [s.task_id for s in turn.steps if s.name == "add_task" and s.result is not None]
        if newest is None:
            newest = next((task_id for task_id in reversed(added) if task_id is not None), None)
        lines = _lines_shown(turn.reply)
        focus = focus or _changed(turn) or lines
        if not shown and back < TURNS_BACK_MAX:
            shown = lines
        if newest is not None and focus and shown:
            break
    return Memory(focus, shown, newest)


def _changed(turn: Turn) -> tuple[int, ...]:
    ids = [step.task_id for step in turn.steps if step.name in CHANGING and step.result is not None]
    return tuple(dict.fromkeys(task_id for task_id in ids if task_id is not None))


def _lines_shown(reply: str) -> tuple[int, ...]:
    """The ids of a list in a reply, whose lines are like "3. [ ] Buy milk"."""
    ids: list[int] = []
    for line in reply.splitlines():
        number, mark, _ = line.strip().partition(". [")
        if mark and number.isdecimal() and len(number) < 10:
            ids.append(int(number))
    return tuple(ids)


def digest(text: str) -> str:
    """What a person said, in order, one line a message.

    Args:
        text: A conversation with a speaker in front of each line, and perhaps an older digest.
    """
    lines: list[str] = []
    older = False
    for line in text.splitlines():
        if line.startswith(BEFORE):
            older = True
            lines.append(line.removeprefix(BEFORE))
        elif line.startswith(SAID):
            older = False
            said = " ".join(line.removeprefix(SAID).split())
            clipped = said if len(said) <= LINE_CHARS_MAX else f"{said[: LINE_CHARS_MAX - 1]}…"
            lines.append(f"- They said: {clipped}")
        elif older and line.strip():
            lines.append(line)
    while len(lines) > 1 and sum(len(line) + 1 for line in lines) > DIGEST_CHARS_MAX:
        del lines[0]
    return "\n".join(lines) or "- Nothing was said."
