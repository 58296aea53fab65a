"""What a webhook was told in a storm, against what happened."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]

Event = tuple[str, str, str]
"""Its type, its user, and the id of the turn or of the task."""


@dataclass(frozen=True)
class Post:
    """One request to a webhook, in the order in which they came.

    Attributes:
        id: Its webhook-id.
        body: What it told.
    """

    id: str
    body: bytes


def untruths(
    posts: Sequence[Post],
    *,
    turns: Sequence[Row],
    feedback: Sequence[Row],
    tasks: Sequence[Row],
    calls: Sequence[Row],
) -> Iterator[str]:
    """Where what was told is not what happened: lost, doubled, changed, or out of order.

    A process that freezes may send once more what another has sent meanwhile. That is a repeat, and
    may come late; what comes for the first time may not.
    """
    bodies: dict[str, bytes] = {}
    ids: Counter[Event] = Counter()
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for post in posts:
        if post.id in bodies:
            if bodies[post.id] != post.body:
                yield f"{post.id} came with two bodies"
            continue
        bodies[post.id] = post.body
        told = json.loads(post.body)
        data = told["data"]
        ids[told["type"], data["user_id"], str(data.get("turn_id", data.get("task_id")))] += 1
        # One that waits may be cancelled while an earlier one runs.
        if told["type"] in {"turn.completed", "turn.failed"}:
            numbers[data["conversation_id"]].append(data["turn_number"])
    happened = Counter(_happened(turns, feedback, tasks, calls))
    for event in sorted(ids.keys() | happened.keys()):
        if event[0] != "task.updated" and ids[event] != happened[event]:
            yield f"{event} happened {happened[event]} times and was told {ids[event]} times"
    for conversation, told_numbers in numbers.items():
        if told_numbers != sorted(told_numbers):
            yield f"turns of {conversation} were told in the order {told_numbers}"


def _happened(
    turns: Sequence[Row], feedback: Sequence[Row], tasks: Sequence[Row], calls: Sequence[Row]
) -> Iterator[Event]:
    for turn in turns:
        if turn["finished_at"] is not None:
            yield f"turn.{turn['status']}", turn["user_id"], str(turn["id"])
    for row in feedback:
        yield "turn.awaiting_feedback", row["user_id"], str(row["turn_id"])
    for task in tasks:
        yield "task.created", task["user_id"], str(task["id"])
        if task["completed"]:
            yield "task.completed", task["user_id"], str(task["id"])
    # What is gone is known by its record alone.
    for call in calls:
        if call["tool_name"] == "delete_task" and call["status"] == "completed":
            for event in ("task.created", "task.deleted"):
                yield event, call["user_id"], str(call["result"]["task_id"])
