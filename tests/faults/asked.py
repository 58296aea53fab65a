"""What the agent asked in a storm, against what was told of it, answered and done."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """What a client was told that the agent asks.

    Attributes:
        user: Who was told.
        turn_id: Of the turn that asks.
        id: Of what it asks.
        calls: Those that wait: tool_call_id, tool_name and arguments of each, and more.
    """

    user: str
    turn_id: str
    id: str
    calls: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Given:
    """An answer that a client gave, and what came of it.

    Attributes:
        user: Who gave it.
        id: Of what was asked.
        sent: The answer.
        status: What it was answered with; 0 when nothing came.
        body: That answer's.
    """

    user: str
    id: str
    sent: Mapping[str, Any]
    status: int
    body: bytes

    @cached_property
    def told(self) -> dict[str, Any]:
        """What the client was told became of the request."""
        facts: dict[str, Any] = json.loads(self.body)
        return facts


def answered_otherwise(
    rows: Sequence[Row], shown: Sequence[Shown], given: Sequence[Given]
) -> Iterator[str]:
    """Where requests are not there as they were told, or were not decided by one answer each."""
    of_id = {str(row["id"]): row for row in rows}
    calls = Counter((str(row["turn_id"]), call["call_id"]) for row in rows for call in row["calls"])
    for (turn_id, call_id), count in calls.items():
        if count > 1:
            yield f"turn {turn_id} asked about {call_id} {count} times"
    for told in shown:
        if not _is_stored(told, of_id.get(told.id)):
            yield f"{told.user} was told of {told.id}, which is not there as it was told"
    for answer in given:
        yield from _refused(answer, of_id.get(answer.id))
    won = Counter(answer.id for answer in given if answer.status == 200)
    for id_, row in of_id.items():
        if won[id_] > 1:
            yield f"{won[id_]} answers to {id_} were told that they count"
        if row["status"] in {"approved", "rejected"} and not any(
            # A comment of its own tells most answers apart.
            answer.id == id_ and not 400 <= answer.status < 500 and _decides(answer, row)
            for answer in given
        ):
            yield f"{id_} is {row['status']} and nobody answered so"


def _is_stored(told: Shown, row: Row | None) -> bool:
    if row is None or (row["user_id"], str(row["turn_id"])) != (told.user, told.turn_id):
        return False
    names = (("tool_call_id", "id"), ("tool_name", "tool_name"), ("arguments", "arguments"))
    return [[call[name] for name, _ in names] for call in told.calls] == [
        [call[name] for _, name in names] for call in row["calls"]
    ]


def _refused(answer: Given, row: Row | None) -> Iterator[str]:
    if row is None:
        yield f"{answer.user} answered {answer.id}, which is not there"
    elif answer.status == 200:
        told, stored = answer.told, (row["status"], row["answer"], row["comment"])
        if not _decides(answer, row) or stored != (told["status"], told["answer"], told["comment"]):
            yield f"an answer to {answer.id} was told that it counts, and another one is stored"
    elif 400 <= answer.status < 500 and answer.status != 409:
        yield f"a sound answer to {answer.id} got {answer.status}: {answer.body[:200]!r}"
    elif answer.status == 409 and row["comment"] and row["comment"] == answer.sent.get("comment"):
        yield f"an answer to {answer.id} was refused, and counts"


def _decides(answer: Given, row: Row) -> bool:
    """Whether what is stored is what this answer says."""
    sent, decisions = answer.sent, {}
    for call in row["calls"]:
        own = (sent.get("calls") or {}).get(call["id"], {})
        edited = own.get("arguments")
        decisions[call["call_id"]] = {
            "answer": own.get("answer", sent["answer"]),
            "comment": own.get("comment", sent.get("comment")),
            "arguments": None if edited is None else {**call["arguments"], **edited},
        }
    approves = any(one["answer"] == "approve" for one in decisions.values())
    said = ("approved" if approves else "rejected", sent["answer"], sent.get("comment"), decisions)
    return said == (row["status"], row["answer"], row["comment"], row["decisions"])


def done_otherwise(turn: Row, rows: Sequence[Row], calls: Sequence[Row]) -> Iterator[str]:
    """Where a turn did something else than what was decided on what it asked."""
    asked = {call["call_id"]: (row, call) for row in rows for call in row["calls"]}
    for call_id, (row, call) in asked.items():
        records = [one for one in calls if one["call_id"] == call_id]
        done = [one for one in records if one["status"] == "completed"]
        decision = (row["decisions"] or {}).get(call_id, {})
        if decision.get("answer") != "approve":
            if done:
                yield f"{call_id} was {row['status']} and is done"
            if turn["status"] == "completed" and len(records) != 1:
                yield f"{call_id} was {row['status']} and is recorded {len(records)} times"
            continue
        edited = decision["arguments"]
        wanted = call["arguments"] if edited is None else edited
        if any(one["parameters"] != wanted for one in done):
            yield f"{call_id} was approved with {wanted} and done otherwise"
        if len(done) > 1 or (turn["status"] == "completed" and not done):
            yield f"{call_id} was approved and done {len(done)} times"
    unasked = [
        call["call_id"]
        for call in calls
        if (call["tool_name"], call["status"]) == ("delete_task", "completed")
        and call["call_id"] not in asked
    ]
    if len(unasked) > 1:
        yield f"it deleted tasks without a yes: {unasked}"


def held_otherwise(turn: Row, rows: Sequence[Row]) -> Iterator[str]:
    """Where a turn waits for nothing, or asks and does not wait, or holds something meanwhile."""
    waits = turn["status"] == "awaiting_feedback"
    open_ = [str(row["id"]) for row in rows if row["status"] == "open"]
    if len(open_) != waits:
        yield f"it is {turn['status']} and has the open requests {open_}"
    if waits and (turn["owner"] is not None or turn["lease_expires_at"] is not None):
        yield f"it waits, and {turn['owner']} has it until {turn['lease_expires_at']}"


def told_otherwise(rows: Sequence[Row], events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Where a turn's events tell something else than what it asked and what became of it."""
    ordered = sorted(rows, key=lambda row: row["asked_at"])
    told = [event["feedback_id"] for event in events if event["type"] == "feedback_request"]
    if told != [str(row["id"]) for row in ordered]:
        yield f"it tells that it asks {told}"
    closed = []
    for event in events:
        if event["type"] == "feedback_request":
            closed.append((event["feedback_id"], "open", None, None))
        elif event["type"] == "feedback_response":
            if not closed or closed[-1][:2] != (event["feedback_id"], "open"):
                yield f"an end of {event['feedback_id']} is told that was not open"
                return
            told_end = tuple(event[name] for name in ("status", "answer", "comment"))
            closed[-1] = (event["feedback_id"], *told_end)
    stored = [(str(row["id"]), row["status"], row["answer"], row["comment"]) for row in ordered]
    if closed != stored:
        yield f"it tells {closed} of the requests {stored}"
