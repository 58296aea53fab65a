"""The conversation as turns. Tool outputs are data: nothing in them is ever read as a request."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taskchat_offline.matching import Task
from taskchat_offline.references import Memory

TURNS_BACK_MAX = 3
"""A list shown, or a question asked, longer ago no longer gives words their meaning."""

CHANGING = frozenset({"add_task", "complete_task", "delete_task", "update_task"})
"""The tools that change tasks."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call to make."""

    name: str
    arguments: dict[str, object]


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
        value = (self.result or {}).get("task_id", self.arguments.get("task_id"))
        return value if isinstance(value, int) else None


@dataclass(slots=True)
class Turn:
    """What the user said, the calls that followed, and the reply (empty while it runs)."""

    said: str
    steps: list[Step] = field(default_factory=list)
    reply: str = ""

    @property
    def looks(self) -> list[Step]:
        """The looks at the list."""
        return [step for step in self.steps if step.name == "list_tasks"]

    @property
    def changes(self) -> list[Step]:
        """The calls that change tasks."""
        return [step for step in self.steps if step.name in CHANGING]


def turns_of(items: str | Sequence[object]) -> list[Turn]:
    """The turns in a model's input, oldest first; what comes before the first one is left out."""
    if isinstance(items, str):
        return [Turn(items)]
    turns: list[Turn] = []
    for item in items:
        kind = item.get("type", "message") if isinstance(item, Mapping) else ""
        if not isinstance(item, Mapping) or not (turns or item.get("role") == "user"):
            continue
        if kind in {None, "message"} and item.get("role") == "user":
            turns.append(Turn(_text(item.get("content"))))
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
    text = _text(output)
    result = _json(text)
    for step in steps:
        if step.call_id == call_id:
            known = bool({"task_id", "tasks"} & set(result))
            step.result = result if known else None
            step.error = "" if known else text.strip() or "The tool gave no answer."
            return


def _text(content: object) -> str:
    # The SDK hands on an MCP result as the JSON text of {"type": "text", "text": ...}.
    if isinstance(content, str) and content.startswith(('{"type":', "[{")):
        parsed = _parsed(content)
        inner = parsed[0] if isinstance(parsed, list) and parsed else parsed
        return _text(parsed) if isinstance(inner, Mapping) and "text" in inner else content
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return _text(content["text"]) if "text" in content else json.dumps(dict(content))
    return "".join(_text(part) for part in content) if isinstance(content, Sequence) else ""


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
    return [
        Task(int(row["id"]), str(row.get("title", "")), str(row.get("description") or ""),
             bool(row.get("completed")))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping) and isinstance(row.get("id"), int)
    ]  # fmt: skip


def memory_of(earlier: Sequence[Turn]) -> Memory:
    """What "it", "the second one" and "the one I just added" mean after these turns."""
    memory = Memory()
    for back, turn in enumerate(reversed(earlier)):
        done = [step for step in turn.changes if step.result is not None]
        ids = tuple(dict.fromkeys(step.task_id for step in done if step.task_id is not None))
        added = [s.task_id for s in done if s.name == "add_task" and s.task_id is not None]
        lines = _lines_shown(turn.reply)
        memory = Memory(
            memory.focus or ids or lines,
            memory.shown or (lines if back < TURNS_BACK_MAX else ()),
            memory.newest if memory.newest is not None or not added else added[-1],
        )
    return memory


def _lines_shown(reply: str) -> tuple[int, ...]:
    """The ids of a list in a reply, whose lines are like "3. [ ] Buy milk"."""
    ids: list[int] = []
    for line in reply.splitlines():
        number, mark, _ = line.strip().partition(". [")
        if mark and number.isdecimal() and len(number) < 10:
            ids.append(int(number))
    return tuple(ids)
