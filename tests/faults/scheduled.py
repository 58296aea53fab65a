"""What was scheduled in a storm, against what was said."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Scheduled:
    """What a client wanted to be said later, and what came of that.

    Attributes:
        user: Whose it is.
        text: What is to be said; no other schedule says the same.
        moments: When, in order.
        status: What the request was answered with; 0 when nothing came.
        body: That answer's.
    """

    user: str
    text: str
    moments: Sequence[datetime]
    status: int
    body: bytes

    @cached_property
    def told(self) -> dict[str, Any]:
        """The schedule, as the client was told of it."""
        facts: dict[str, Any] = json.loads(self.body)
        return facts


def said_otherwise(
    scheduled: Sequence[Scheduled],
    rows: Sequence[Row],
    turns: Sequence[Row],
    said: Mapping[str, Row],
) -> Iterator[str]:
    """Where what was due was not said once each, in order, in one conversation, and on time.

    Args:
        scheduled: What clients wanted.
        rows: The schedules that are kept.
        turns: All that there are.
        said: The message of each turn, by its id.
    """
    kept = {(row["user_id"], row["message"]): row for row in rows}
    became: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for turn in sorted(turns, key=lambda turn: int(turn["number"])):
        if turn["channel"] == "schedule" and str(turn["id"]) in said:
            became[turn["user_id"], said[str(turn["id"])]["content"]].append(turn)
    wanted = {(one.user, one.text): one for one in scheduled}
    for name in (kept.keys() | became.keys()) - wanted.keys():
        yield f"{name} was scheduled by nobody"
    for name, one in wanted.items():
        for problem in _of_one(one, kept.get(name), became[name]):
            yield f"{name}: {problem}"


def _of_one(one: Scheduled, row: Row | None, turns: Sequence[Row]) -> Iterator[str]:
    if row is None:
        if one.status == 201 or turns:
            yield f"it got {one.status}, is not kept, and was said {len(turns)} times"
        return
    if 400 <= one.status < 500:
        yield f"it was refused with {one.status}, and is kept"
    if one.status == 201 and one.told["id"] != str(row["id"]):
        yield f"it was told to be {one.told['id']}, and is {row['id']}"
    if (row["status"], row["end_reason"]) != ("ended", "done"):
        yield f"it is {row['status']}, {row['end_reason']}: {row['last_error']}"
    if unkeyed := [str(turn["id"]) for turn in turns if turn["idempotency_key"] is None]:
        yield f"nothing tells of {unkeyed} what it is an occurrence of"
        return
    occurrences = [_occurrence_of(turn) for turn in turns]
    counts = Counter(occurrences)
    # What was due before it was made is never said; who got no answer does not know when that was.
    first = min(occurrences, default=one.moments[0])
    if one.status == 201:
        first = datetime.fromisoformat(one.told["next_at"])
    due = [moment for moment in one.moments if moment >= first]
    for moment in sorted(counts.keys() | set(due)):
        if counts[moment] != (moment in due):
            yield f"what was due at {moment if moment in due else 'no time'} was said " + (
                f"{counts[moment]} times"
            )
    if occurrences != sorted(occurrences):
        yield f"it was said in the order {occurrences}"
    for turn, moment in zip(turns, occurrences, strict=True):
        if turn["created_at"] < moment:
            yield f"what was due at {moment} was said at {turn['created_at']}"
        if turn["conversation_id"] != row["conversation_id"]:
            yield f"it was said in {turn['conversation_id']}, not in {row['conversation_id']}"
    if turns and row["last_turn_id"] != turns[-1]["id"]:
        yield f"the last that was said is {turns[-1]['id']}, not {row['last_turn_id']}"


def _occurrence_of(turn: Row) -> datetime:
    """Which occurrence of its schedule a turn is, by its key: `schedule`, which, and when."""
    return datetime.fromtimestamp(int(turn["idempotency_key"].split()[2]), UTC)
