"""What a message asks of the fake model: `[ann.1] add:2 list` is three steps and their effects.

The first step calls add_task twice at once, the second list_tasks, the third is the reply. The id
in brackets is in every title, call id and reply that comes of the message.
"""

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]

MESSAGE = re.compile(r"\[([\w.\-]+)\] ?([\w: ]*)")
"""An id, and steps: `add:N`, `delete:N` of those, `list`, `complete`; `think` puts reasoning before
every call."""

CALL_ID = re.compile(r"call_([\w.\-]+)_s(\d+)_(\d+)_([0-9a-f]+)")
"""The message, the step, the place in the step, and a mark of the answer that decided on it."""


@dataclass(frozen=True)
class Script:
    """What one message asks for.

    Attributes:
        id: Of the message.
        steps: Each is one model answer with tool calls; the reply comes after the last.
        thinks: Whether reasoning precedes the calls.
    """

    id: str
    steps: tuple[str, ...]
    thinks: bool

    @property
    def titles(self) -> list[str]:
        """Of all the tasks that the message adds."""
        added = sum(int(step[4:]) for step in self.steps if step.startswith("add:"))
        return [title(self.id, place) for place in range(1, added + 1)]

    @property
    def calls(self) -> int:
        """How many tool calls it makes in all."""
        return sum(int(step.partition(":")[2] or 1) for step in self.steps)


def title(message_id: str, place: int) -> str:
    """Of a task that a message adds, counted from 1."""
    return f"{message_id} task {place}"


def script_of(text: str) -> Script | None:
    """The script that a message is; None for any other text."""
    found = MESSAGE.fullmatch(text)
    if found is None:
        return None
    words = found[2].split()
    return Script(found[1], tuple(word for word in words if word != "think"), "think" in words)


def text_of(item: Item) -> str:
    """What a message item says."""
    content = item.get("content", "")
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content)


def role_of(item: Item) -> str | None:
    """user or assistant for a message, None for calls, outputs and reasoning."""
    return item.get("role") if item.get("type", "message") == "message" else None


def beginnings(items: Sequence[Item]) -> list[int]:
    """The places of the messages that began turns.

    Between two of them stands a reply, or a note in its place; what was said to a running turn
    follows its message without one.
    """
    places, before = [], None
    for place, item in enumerate(items):
        role = role_of(item)
        if role == "user" and before != "user":
            places.append(place)
        before = role or before
    return places


def last_user(items: Sequence[Item]) -> int:
    """The place of the message that is to be answered.

    Raises:
        IndexError: there is none.
    """
    return beginnings(items)[-1]


def steered_in(items: Sequence[Item]) -> list[str]:
    """The ids of what was said to the turn that is to be answered, while it ran, in order."""
    said = [text_of(item) for item in items[last_user(items) + 1 :] if role_of(item) == "user"]
    return [script.id for text in said if (script := script_of(text)) is not None]


def next_calls(script: Script, items: Sequence[Item], mark: str) -> list[Item]:
    """The function calls of the next step; none when it is time to reply."""
    now = items[last_user(items) + 1 :]
    done = [
        int(found[2])
        for item in now
        if item.get("type") == "function_call"
        and (found := CALL_ID.fullmatch(str(item["call_id"])))
    ]
    step = max(done, default=0) + 1
    if step > len(script.steps):
        return []
    verb = script.steps[step - 1]
    added = sum(int(word[4:]) for word in script.steps[: step - 1] if word.startswith("add:"))
    wanted: list[tuple[str, dict[str, Any]]]
    if verb.startswith("add:"):
        wanted = [
            ("add_task", {"title": title(script.id, added + place)})
            for place in range(1, int(verb[4:]) + 1)
        ]
    elif verb.startswith("delete:"):
        tasks = _tasks(now)[: int(verb[7:])]
        wanted = [("delete_task", {"task_id": task}) for task in tasks]
    elif verb == "complete":
        wanted = [("complete_task", {"task_id": next(iter(_tasks(now)), 1)})]
    else:
        wanted = [("list_tasks", {})]
    return [
        {
            "type": "function_call",
            "id": f"fc_{mark}{place}",
            "call_id": f"call_{script.id}_s{step}_{place}_{mark}",
            "name": name,
            "arguments": json.dumps(arguments),
            "status": "completed",
        }
        for place, (name, arguments) in enumerate(wanted, 1)
    ]


def _tasks(items: Sequence[Item]) -> list[int]:
    """The tasks that were added, as their calls were answered."""
    found = []
    for item in items:
        if item.get("type") == "function_call_output":
            with contextlib.suppress(ValueError, KeyError, TypeError):
                found.append(int(json.loads(item["output"])["task_id"]))
    return found


def reply_to(script: Script, items: Sequence[Item]) -> str:
    """The reply, which tells what was seen."""
    users = [text_of(items[place]) for place in beginnings(items)]
    steered = steered_in(items)
    heard = f" Heard {' '.join(steered)}." if steered else ""
    replies = sum(role_of(item) == "assistant" for item in items)
    before = script_of(users[-2]) if len(users) > 1 else None
    return (
        f"Reply to {script.id}: {len(users)} messages and {replies} replies seen, "
        f"the last one before was {before.id if before else 'none'}.{heard}"
    )


def unsound(items: Sequence[Item]) -> list[str]:
    """What a strict provider refuses in an input; empty when it is sound.

    Every call has one output behind it, every output its call before it, no message stands between
    the two, and reasoning is followed by the call that it led to.
    """
    problems = []
    open_calls: set[str] = set()
    seen: set[str] = set()
    for place, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "function_call":
            call_id = str(item["call_id"])
            if call_id in seen:
                problems.append(f"call {call_id} is there twice")
            seen.add(call_id)
            open_calls.add(call_id)
        elif kind == "function_call_output":
            call_id = str(item["call_id"])
            if call_id not in open_calls:
                problems.append(f"output of {call_id} has no call before it")
            open_calls.discard(call_id)
        elif kind == "reasoning":
            follower = items[place + 1] if place + 1 < len(items) else {}
            if follower.get("type") != "function_call":
                problems.append(f"reasoning {item.get('id')} has lost its call")
        elif open_calls:
            problems.append(f"a message stands between {sorted(open_calls)} and the output")
    problems += [f"call {call_id} has no output" for call_id in sorted(open_calls)]
    return problems
