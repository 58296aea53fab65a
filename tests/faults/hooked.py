"""What a webhook was told in a storm, against what happened."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Post:
    """One request to a webhook, in the order in which they came.

    Attributes:
        id: Its webhook-id.
        body: What it told.
    """

    id: str
    body: bytes


def untruths(posts: Sequence[Post], turns: Sequence[Row], tasks: Sequence[Row]) -> Iterator[str]:
    """Where what was told is not what happened: lost, doubled, changed, or out of order.

    A process that freezes may send once more what another has sent meanwhile. That is a repeat, and
    may come late; what comes for the first time may not.
    """
    bodies: dict[str, bytes] = {}
    ids: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for post in posts:
        if post.id in bodies:
            if bodies[post.id] != post.body:
                yield f"{post.id} came with two bodies"
            continue
        bodies[post.id] = post.body
        told = json.loads(post.body)
        data = told["data"]
        ids[told["type"], data["user_id"], str(data.get("turn_id", data.get("task_id")))].add(
            post.id
        )
        # One that waits may be cancelled while an earlier one runs.
        if told["type"] in {"turn.completed", "turn.failed"}:
            numbers[data["conversation_id"]].append(data["turn_number"])
    happened = {(f"turn.{turn['status']}", turn["user_id"], str(turn["id"])) for turn in turns}
    happened |= {("task.created", task["user_id"], str(task["id"])) for task in tasks}
    happened |= {
        ("task.completed", task["user_id"], str(task["id"])) for task in tasks if task["completed"]
    }
    yield from (f"{event} was not told" for event in sorted(happened - ids.keys()))
    for event, of_event in ids.items():
        if event[0] != "task.updated" and event not in happened:
            yield f"{event} was told and never happened"
        if event[0] != "task.updated" and len(of_event) > 1:
            yield f"{event} was told under {len(of_event)} ids"
    for conversation, told_numbers in numbers.items():
        if told_numbers != sorted(told_numbers):
            yield f"turns of {conversation} were told in the order {told_numbers}"
