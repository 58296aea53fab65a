"""What must be true after any run, whatever happened in it. Pure functions over what was seen.

Three witnesses are compared: what clients were told, what the database holds, and what the model
was given to read. Each function checks the invariant of its number and returns what violates it.
"""

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from tests.faults.asked import (
    Given,
    Shown,
    answered_otherwise,
    done_otherwise,
    held_otherwise,
    told_otherwise,
)
from tests.faults.hooked import Post, untruths
from tests.faults.model_server import ModelCall
from tests.faults.scheduled import Scheduled, said_otherwise
from tests.faults.scripts import (
    CALL_ID,
    Item,
    Script,
    last_user,
    role_of,
    script_of,
    steered_in,
    text_of,
    unsound,
)
from tests.live.served import Told

from taskchat.conversations.history import INTERRUPTED

Row = Mapping[str, Any]

MODEL_CALLS_MAX, TOOL_CALLS_MAX, DEATHS_MAX = 10, 60, 3
"""The service's limits."""

FINAL = {200, 500, 502, 504}
"""Statuses of a turn's end, besides 409 turn_cancelled."""

TERMINAL = {"turn_completed", "error"}
"""Types of the last event of a turn."""

USER = re.compile(r"\b(u\d+)\.\d+")
"""The owner's tag, which is in every message, title, call id and reply of theirs."""


@dataclass(frozen=True)
class Request:
    """One request of a client's and what came of it.

    Attributes:
        kind: A message; the same key with another body; a message to somebody else's conversation;
            a cancellation; a stream of a turn that was refused; a message to a running turn; or a
            look at what is asked.
        user: Who sent it.
        message: The id of the message, or of the one whose key was used.
        key: Its Idempotency-Key, if it had one.
        scope: Which messages were asked for.
        status: Of the answer; 0 when none came. What a stream told is noted as the answer that a
            plain request would have had.
        body: Of the answer.
        replayed: Whether it said that it was told again.
    """

    kind: Literal["say", "other_body", "foreign", "cancel", "follow", "steer", "asked"]
    user: str
    message: str
    key: str | None
    scope: str
    status: int
    body: bytes
    replayed: bool = False

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The answer as JSON; empty when there is none."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @property
    def turn_id(self) -> str | None:
        """The turn that the answer acknowledges."""
        return self.facts.get("turn_id")

    @property
    def is_final(self) -> bool:
        """Whether the answer is the end of a turn."""
        if self.status == 409:
            return self.facts.get("error_code") == "turn_cancelled"
        return self.status in FINAL and self.turn_id is not None


@dataclass(frozen=True)
class Stream:
    """A turn as one client heard it, over all the connections that it took.

    Attributes:
        user: Who listened.
        turn_id: Which turn.
        told: The events, in the order in which they came.
        closed: Whether it was told that nothing follows the last of them (204).
        connections: How many it took.
    """

    user: str
    turn_id: str
    told: Sequence[Told]
    closed: bool = False
    connections: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether it was heard to its end."""
        return bool(self.told) and self.told[-1].type in TERMINAL


@dataclass(frozen=True)
class Evidence:
    """All that was seen.

    Attributes:
        requests: By clients, in order of their ends.
        streams: That clients heard.
        turns, takeovers, messages, steering, calls, answers, tasks, conversations, events, used,
            days, feedback, schedules: Rows of the database at the end.
        at: When they were read.
        given: What clients answered to what was asked.
        scheduled: What clients wanted to be said later.
        asked: Requests to the model.
        items: What the places in those mean.
        decided: Ids of the calls that the model decided on, by message.
        crashes: Log lines that no fault excuses.
        died: Ids of processes that ended otherwise than in order, where that is known.
        posts: What a webhook was told; None if there was none.
    """

    requests: Sequence[Request] = ()
    turns: Sequence[Row] = ()
    takeovers: Sequence[Row] = ()
    messages: Sequence[Row] = ()
    steering: Sequence[Row] = ()
    calls: Sequence[Row] = ()
    answers: Sequence[Row] = ()
    tasks: Sequence[Row] = ()
    conversations: Sequence[Row] = ()
    events: Sequence[Row] = ()
    used: Sequence[Row] = ()
    days: Sequence[Row] = ()
    feedback: Sequence[Row] = ()
    at: datetime | None = None
    given: Sequence[Given] = ()
    schedules: Sequence[Row] = ()
    scheduled: Sequence[Scheduled] = ()
    streams: Sequence[Stream] = ()
    asked: Sequence[ModelCall] = ()
    items: Sequence[Item] = ()
    decided: Mapping[str, frozenset[str]] = field(default_factory=dict)
    crashes: Sequence[str] = ()
    died: frozenset[str] | None = None
    posts: Sequence[Post] | None = None

    def deaths_of(self, turn: Row) -> int:
        """How many of the processes that it was taken from died, as who killed them knows."""
        return len(self._left_by[str(turn["id"])] & (self.died or frozenset()))

    @cached_property
    def _left_by(self) -> Mapping[str, set[str]]:
        left: dict[str, set[str]] = defaultdict(set)
        for row in self.takeovers:
            left[str(row["turn_id"])].add(str(row["left_by"]))
        return left

    @cached_property
    def turn_of_id(self) -> dict[str, Row]:
        """Turns by id."""
        return {str(turn["id"]): turn for turn in self.turns}

    @cached_property
    def said(self) -> dict[str, Row]:
        """The user's message of each turn."""
        return {str(row["turn_id"]): row for row in self.messages if row["position"] == 0}

    @cached_property
    def replies(self) -> dict[str, Row]:
        """The reply of each turn that has one."""
        return {str(row["turn_id"]): row for row in self.messages if row["role"] == "assistant"}

    @cached_property
    def steered(self) -> dict[str, list[Row]]:
        """What was said to each turn while it was unfinished, in order, with when it was read."""
        read = {str(row["message_id"]): row for row in self.steering}
        steered: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(self.messages, key=lambda row: int(row["position"])):
            if row["role"] == "user" and row["position"] > 0:
                steered[str(row["turn_id"])].append({**row, **read.get(str(row["id"]), {})})
        return steered

    @cached_property
    def calls_of(self) -> dict[str, list[Row]]:
        """The tool calls of each turn, in order."""
        calls: dict[str, list[Row]] = defaultdict(list)
        for call in sorted(self.calls, key=lambda call: int(call["position"])):
            calls[str(call["turn_id"])].append(call)
        return calls

    @cached_property
    def events_of(self) -> dict[str, list[Row]]:
        """What is told of each turn, in order."""
        events: dict[str, list[Row]] = defaultdict(list)
        for event in sorted(self.events, key=lambda event: int(event["seq"])):
            events[str(event["turn_id"])].append(event)
        return events

    @cached_property
    def feedback_of(self) -> dict[str, list[Row]]:
        """What each turn has asked."""
        feedback: dict[str, list[Row]] = defaultdict(list)
        for row in self.feedback:
            feedback[str(row["turn_id"])].append(row)
        return feedback

    @cached_property
    def shown(self) -> list[Shown]:
        """What clients were told that is asked: of a message or a turn, by lists and by events."""
        listed = []
        for request in self.requests:
            told = request.facts.get("feedback") or request.facts.get("data") or []
            for one in told if isinstance(told, list) else [told]:
                listed.append((request.user, one))
        shown = [Shown(user, one["turn_id"], one["id"], one["calls"]) for user, one in listed]
        for stream in self.streams:
            for event in (one.fields for one in stream.told if one.type == "feedback_request"):
                named = (event["turn_id"], event["feedback_id"], event["calls"])
                shown.append(Shown(stream.user, *named))
        return shown

    @cached_property
    def turns_of(self) -> dict[str, list[Row]]:
        """The turns of each conversation, by number."""
        turns: dict[str, list[Row]] = defaultdict(list)
        for turn in sorted(self.turns, key=lambda turn: int(turn["number"])):
            turns[str(turn["conversation_id"])].append(turn)
        return turns

    @cached_property
    def turn_of_message(self) -> dict[str, Row]:
        """Turns by the id of the message that began them."""
        return {
            script.id: self.turn_of_id[turn_id]
            for turn_id, row in self.said.items()
            if (script := script_of(row["content"])) is not None and turn_id in self.turn_of_id
        }

    def followed_by(self, turn: Row) -> list[Row]:
        """The turns before it on its branch, by number."""
        path = turn.get("path")
        return [
            earlier
            for earlier in self.turns_of[str(turn["conversation_id"])]
            if earlier["number"] < turn["number"]
            and (path is None or any(one.lower <= earlier["number"] < one.upper for one in path))
        ]

    def script(self, turn: Row) -> Script | None:
        """What the turn's message asked for."""
        row = self.said.get(str(turn["id"]))
        return None if row is None else script_of(row["content"])

    def input_of(self, call: ModelCall) -> list[Item]:
        """What the model was given."""
        return [self.items[place] for place in call.places]


@dataclass(frozen=True)
class Violation:
    """One thing that must never happen and did.

    Attributes:
        invariant: Its number; 0 is a crash that no fault excuses.
        text: What was seen.
    """

    invariant: int
    text: str


def show(violations: Sequence[Violation], most: int = 20) -> None:
    """Say on stderr what was violated."""
    for violation in violations[:most]:
        print(f"  violation of {violation.invariant}: {violation.text}", file=sys.stderr)


def verdict(summary: Mapping[str, Any], violations: Sequence[Violation]) -> int:
    """Say how a campaign went; returns the exit code of its command."""
    show(violations)
    print(json.dumps(summary, indent=2))
    return 1 if violations else 0


Found = Iterator[Violation]


def check(evidence: Evidence) -> list[Violation]:
    """Everything that is wrong."""
    return [violation for checked in CHECKS for violation in checked(evidence)]


def nothing_crashed(evidence: Evidence) -> Found:
    """0: errors that nothing outside explains are bugs."""
    for line in evidence.crashes:
        yield Violation(0, f"crashed: {line[:600]}")
    for request in evidence.requests:
        if request.status == 500 and request.turn_id is None:
            yield Violation(0, f"{request.message} was answered 500: {request.body[:200]!r}")
    for given in evidence.given:
        if given.status == 500:
            yield Violation(0, f"an answer to {given.id} was answered 500: {given.body[:200]!r}")
    for one in evidence.scheduled:
        if one.status == 500:
            yield Violation(0, f"{one.text!r} could not be scheduled: {one.body[:200]!r}")
    for turn in evidence.turns:
        if turn["status"] != "failed":
            continue
        error = json.loads(turn["result"])["error_code"]
        died = turn["deaths"] >= DEATHS_MAX
        if error not in {"model_error", "timeout"} and not (error == "internal_error" and died):
            yield Violation(0, f"turn {turn['id']} failed with {error}, {turn['deaths']} deaths")


def acknowledged_messages_are_kept(evidence: Evidence) -> Found:
    """1: once any answer names a turn, its message is there, exactly once."""
    rows = Counter(row["content"] for row in evidence.messages if row["position"] == 0)
    acknowledged: dict[str, set[str]] = defaultdict(set)
    for request in evidence.requests:
        if request.kind == "say" and request.turn_id:
            acknowledged[request.message].add(request.turn_id)
    stored = {
        script.id: (rows[content], content)
        for content in rows
        if (script := script_of(content)) is not None
    }
    for message, turn_ids in acknowledged.items():
        count = stored.get(message, (0, ""))[0]
        if count != 1:
            yield Violation(1, f"{message} was acknowledged and is stored {count} times")
        for turn_id in turn_ids:
            said = evidence.said.get(turn_id)
            script = None if said is None else script_of(said["content"])
            if script is None or script.id != message:
                yield Violation(1, f"{message} was acknowledged as {turn_id}, which isn't its turn")


def unacknowledged_messages_are_stored_at_most_once(evidence: Evidence) -> Found:
    """2: nothing that was sent is stored twice, and nothing is stored that was not sent.

    What was scheduled is counted by another check.
    """
    scheduled = {one.text for one in evidence.scheduled}
    sent = {request.message for request in evidence.requests if request.kind in ("say", "steer")}
    seen: Counter[str] = Counter()
    for row in evidence.messages:
        if row["role"] != "user" or row["content"] in scheduled:
            continue
        script = script_of(row["content"])
        if script is None or script.id not in sent:
            yield Violation(2, f"nobody sent {row['content'][:100]!r}")
            continue
        seen[script.id] += 1
    for message, count in seen.items():
        if count > 1:
            yield Violation(2, f"{message} is stored {count} times")


def numbers_are_gapless(evidence: Evidence) -> Found:
    """3: the turns of a conversation count 1, 2, 3 … and the conversation knows how many."""
    last = {str(row["id"]): row["last_turn"] for row in evidence.conversations}
    for conversation, turns in evidence.turns_of.items():
        numbers = [turn["number"] for turn in turns]
        if numbers != list(range(1, len(numbers) + 1)):
            yield Violation(3, f"conversation {conversation} has turns {numbers}")
        if last.get(conversation) != len(numbers):
            yield Violation(
                3, f"conversation {conversation} counts {last.get(conversation)} of {len(numbers)}"
            )
    for turn in evidence.turns:
        row = evidence.said.get(str(turn["id"]))
        if row is None or row["turn_number"] != turn["number"]:
            yield Violation(3, f"turn {turn['id']} has no message under its number")


def _histories(evidence: Evidence) -> Iterator[tuple[Row, ModelCall, tuple[int, ...]]]:
    """The turn, the request, and the places of what was said before the turn."""
    for call in evidence.asked:
        turn = evidence.turn_of_message.get(call.message)
        if turn is None:
            # Its message was rolled back after the model had been asked: there is no such way.
            continue
        yield turn, call, call.places[: last_user(evidence.input_of(call))]


def histories_only_grow(evidence: Evidence) -> Found:
    """4: what one turn read is the beginning of what every later one on its branch read."""
    read: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    for turn, _, places in _histories(evidence):
        read[str(turn["id"])].add(places)
    for turn_id, pasts in read.items():
        turn = evidence.turn_of_id[turn_id]
        named = f"turn {turn['number']} of {turn['conversation_id']}"
        if len(pasts) > 1:
            yield Violation(4, f"{named} read several pasts")
        before = evidence.followed_by(turn)
        last = next((one for one in before[::-1] if str(one["id"]) in read), None)
        longest = max(read[str(last["id"])], key=len) if last else ()
        if any(places[: len(longest)] != longest for places in pasts):
            yield Violation(4, f"{named} read another past than those before it")
    yield from _branches_are_trees(evidence)


def _branches_are_trees(evidence: Evidence) -> Found:
    """What a turn follows is one branch: what its last turn follows, and that one."""
    for turn in evidence.turns:
        before = evidence.followed_by(turn)
        if before and before[:-1] != evidence.followed_by(before[-1]):
            yield Violation(4, f"turn {turn['id']} follows turns of several branches")
        first = turn.get("version_of")
        siblings = evidence.turns_of[str(turn["conversation_id"])]
        if first is not None and before != evidence.followed_by(siblings[first - 1]):
            yield Violation(4, f"turn {turn['id']} does not follow what its first version did")


def _told(turn: Row, evidence: Evidence) -> list[tuple[str, str]]:
    """What later turns must read of a turn, as kinds and texts."""
    turn_id = str(turn["id"])
    said = evidence.said.get(turn_id)
    told = [("user", said["content"] if said else "")]
    steered = list(evidence.steered[turn_id])
    for made, call in enumerate(evidence.calls_of[turn_id]):
        while steered and steered[0]["read_after_calls"] in range(made + 1):
            told.append(("user", steered.pop(0)["content"]))
        told += [("call", call["call_id"]), ("output", call["call_id"])]
    told += [("user", row["content"]) for row in steered]
    reply = evidence.replies.get(turn_id)
    content = reply["content"] if reply else ""
    if reply is not None and reply.get("interrupted"):
        content = f"{content}\n\n{INTERRUPTED}"
    told.append(("assistant", content))
    return told


def _read(items: Iterable[Item]) -> list[tuple[str, str]]:
    read = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call":
            read.append(("call", str(item["call_id"])))
        elif kind == "function_call_output":
            read.append(("output", str(item["call_id"])))
        elif kind == "message":
            read.append((str(role_of(item)), text_of(item)))
    return read


def replies_are_read(evidence: Evidence) -> Found:
    """5: a turn's model reads every earlier turn of its branch, whole, in order, with replies."""
    told: dict[str, list[tuple[str, str]]] = {}
    seen: set[tuple[str, tuple[int, ...]]] = set()
    for turn, _, places in _histories(evidence):
        if (str(turn["id"]), places) in seen:
            continue
        seen.add((str(turn["id"]), places))
        expected: list[tuple[str, str]] = []
        for earlier in evidence.followed_by(turn):
            key = str(earlier["id"])
            told.setdefault(key, _told(earlier, evidence))
            expected += told[key]
        read = _read(evidence.items[place] for place in places)
        for place, (kind, text) in enumerate(expected):
            got = read[place] if place < len(read) else ("nothing", "")
            # A turn without a reply is told with a note in its place, whose words are free.
            if got != (kind, text) and not (got[0] == kind == "assistant" and not text):
                yield Violation(
                    5,
                    f"turn {turn['number']} of {turn['conversation_id']} read {got} "
                    f"where {(kind, text)} stands",
                )
                break
        else:
            if len(read) > len(expected):
                yield Violation(
                    5, f"turn {turn['number']} of {turn['conversation_id']} read {read[-1]} too"
                )


def effects_equal_records(evidence: Evidence) -> Found:
    """6: every effect has its record and every record its effect, one per call id."""
    added: dict[tuple[str, int], str] = {}
    completed: set[tuple[str, int]] = set()
    deleted: Counter[tuple[str, int]] = Counter()
    ids: Counter[tuple[str, str]] = Counter()
    marks: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for call in evidence.calls:
        turn_id = str(call["turn_id"])
        ids[turn_id, call["call_id"]] += 1
        if found := CALL_ID.fullmatch(call["call_id"]):
            marks[turn_id, found[1], found[2]].add(found[4])
        if call["status"] != "completed":
            continue
        result = call["result"]
        if call["tool_name"] == "add_task":
            place = (call["user_id"], result["task_id"])
            if place in added:
                yield Violation(6, f"task {place} was added by two calls")
            added[place] = result["title"]
        elif call["tool_name"] == "complete_task":
            completed.add((call["user_id"], result["task_id"]))
        elif call["tool_name"] == "delete_task":
            deleted[call["user_id"], result["task_id"]] += 1
    for (turn_id, call_id), count in ids.items():
        if count > 1:
            yield Violation(6, f"call {call_id} of turn {turn_id} is recorded {count} times")
    for (_, message, step), different in marks.items():
        if len(different) > 1:
            yield Violation(6, f"step {step} of {message} ran for two answers of the model")
    tasks = {(task["user_id"], task["id"]): task for task in evidence.tasks}
    for place, task in tasks.items():
        if added.get(place) != task["title"]:
            yield Violation(6, f"task {place} {task['title']!r} has no record")
        if task["completed"] != (place in completed):
            yield Violation(6, f"task {place} is completed or not against its record")
        if place in deleted:
            yield Violation(6, f"task {place} {task['title']!r} was deleted and is there")
    for place, title in added.items():
        if place not in tasks and place not in deleted:
            yield Violation(6, f"the record of task {place} {title!r} has no effect")
    for place, count in deleted.items():
        if count > 1 or place not in added:
            yield Violation(6, f"task {place} was deleted by {count} calls")
    for (user, title), count in Counter(
        (user, title) for (user, _), title in added.items()
    ).items():
        if count > 1:
            yield Violation(6, f"task {title!r} of {user} was added {count} times")
    yield from _nothing_is_done_after_the_end(evidence)


def _nothing_is_done_after_the_end(evidence: Evidence) -> Found:
    for turn in evidence.turns:
        calls = evidence.calls_of[str(turn["id"])]
        if turn["status"] == "completed":
            told = [call["id"] for call in json.loads(turn["result"])["tool_calls"]]
            if told != [str(call["id"]) for call in calls]:
                yield Violation(6, f"turn {turn['id']} has other calls than its answer told")
    for request in evidence.requests:
        if request.kind == "cancel" and request.status == 200:
            facts = request.facts
            told = [call["id"] for call in facts["tool_calls"]]
            if told != [str(call["id"]) for call in evidence.calls_of[facts["id"]]]:
                yield Violation(6, f"turn {facts['id']} went on after it was cancelled")


def decisions_are_carried_out(evidence: Evidence) -> Found:
    """7: a completed turn did all that its model decided, once, and nothing else.

    What was refused is on record, too.
    """
    kept: dict[str, set[str]] = defaultdict(set)
    for answer in evidence.answers:
        kept[str(answer["turn_id"])] |= {
            item["call_id"] for item in answer["items"] if item["type"] == "function_call"
        }
    for turn in evidence.turns:
        turn_id, script = str(turn["id"]), evidence.script(turn)
        if script is None:
            continue
        calls = evidence.calls_of[turn_id]
        titles = [call["parameters"].get("title") for call in calls if _adds(call)]
        if turn["status"] == "completed":
            if sorted(titles) != sorted(script.titles):
                yield Violation(7, f"{script.id} is completed and added {titles}")
            if len(calls) != script.calls:
                yield Violation(7, f"{script.id} is completed with {len(calls)} calls")
            if {call["call_id"] for call in calls} != kept[turn_id]:
                yield Violation(7, f"{script.id} is completed and not all that it decided is done")
            if turn_id not in evidence.replies:
                yield Violation(7, f"{script.id} is completed without a reply")
        elif turn_id in evidence.replies and not (
            turn["status"] == "cancelled" and evidence.replies[turn_id].get("interrupted")
        ):
            yield Violation(7, f"{script.id} is {turn['status']} and has a reply")
        elif len(set(titles)) < len(titles):
            yield Violation(7, f"{script.id} is {turn['status']} and added {titles}")
        for call in calls:
            if call["call_id"] not in evidence.decided.get(script.id, ()):
                yield Violation(7, f"no model decided on {call['call_id']} for {script.id}")


def _adds(call: Row) -> bool:
    return bool(call["tool_name"] == "add_task" and call["status"] == "completed")


def keys_decide(evidence: Evidence) -> Found:
    """8: the same key is the same turn and the same bytes, and another body is refused."""
    ends: dict[tuple[str, str], dict[tuple[str, str], set[bytes]]] = defaultdict(dict)
    turn_ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for request in evidence.requests:
        if request.kind == "other_body" and request.turn_id:
            yield Violation(8, f"another body for the key of {request.message}: {request.status}")
        if request.kind != "say":
            continue
        name = (request.user, request.key or f"no key: {request.message}")
        if request.turn_id:
            turn_ids[name].add(request.turn_id)
        if request.is_final:
            # The scope makes no difference to an error, nor the status to which bytes are told.
            scope = (str(request.status), request.scope if request.status == 200 else "")
            ends[name].setdefault(scope, set()).add(request.body)
            yield from _told_as_stored(request, evidence)
    for name, ids in turn_ids.items():
        if len(ids) > 1:
            yield Violation(8, f"{name} became the turns {sorted(ids)}")
    for name, by_scope in ends.items():
        if len({status for status, _ in by_scope}) > 1:
            yield Violation(8, f"{name} ended as {sorted(status for status, _ in by_scope)}")
        for scope, bodies in by_scope.items():
            if len(bodies) > 1:
                yield Violation(8, f"{name} {scope} was told in {len(bodies)} ways")


def _told_as_stored(request: Request, evidence: Evidence) -> Found:
    turn = evidence.turn_of_id.get(request.turn_id or "")
    if turn is None:
        yield Violation(8, f"{request.message} was told of a turn that is not there")
    elif request.status == 200:
        reply = evidence.replies.get(str(turn["id"]))
        if turn["status"] != "completed" or reply is None:
            yield Violation(8, f"{request.message} was answered and is {turn['status']}")
        elif reply["content"] != request.facts["response"]:
            yield Violation(8, f"{request.message} was answered otherwise than is stored")
    elif turn["status"] not in {"failed", "cancelled"}:
        yield Violation(8, f"{request.message} was told {request.status} and is {turn['status']}")


def nothing_crosses_users(evidence: Evidence) -> Found:
    """9: no row, answer or model input of one user holds anything of another's."""

    def foreign(text: str, user: str) -> set[str]:
        return {found for found in USER.findall(text) if found != user}

    for row in (*evidence.messages, *evidence.tasks, *evidence.calls):
        text = str(row.get("content", row.get("title", row.get("result"))))
        if others := foreign(text, row["user_id"]):
            yield Violation(9, f"a row of {row['user_id']} speaks of {sorted(others)}")
    for row in evidence.feedback:
        text = json.dumps([row[name] for name in ("question", "calls", "comment", "decisions")])
        if others := foreign(text, row["user_id"]):
            yield Violation(9, f"what is asked of {row['user_id']} speaks of {sorted(others)}")
    for given in evidence.given:
        if others := foreign(given.body.decode("utf-8", "replace"), given.user):
            yield Violation(9, f"{given.user} answered and was told of {sorted(others)}")
    for row in evidence.schedules:
        if others := foreign(row["message"], row["user_id"]):
            yield Violation(9, f"a schedule of {row['user_id']} speaks of {sorted(others)}")
    for one in evidence.scheduled:
        if others := foreign(one.body.decode("utf-8", "replace"), one.user):
            yield Violation(9, f"{one.user} scheduled and was told of {sorted(others)}")
    for event in evidence.events:
        if others := foreign(event["data"], event["user_id"]):
            yield Violation(9, f"an event of {event['user_id']} speaks of {sorted(others)}")
    for stream in evidence.streams:
        for told in stream.told:
            if others := foreign(told.data, stream.user):
                yield Violation(9, f"{stream.user} heard of {sorted(others)}")
    for request in evidence.requests:
        if others := foreign(request.body.decode("utf-8", "replace"), request.user):
            yield Violation(9, f"an answer to {request.user} speaks of {sorted(others)}")
        if request.kind == "foreign" and request.status not in {0, 404, 503}:
            yield Violation(9, f"{request.user} got {request.status} at another's conversation")
    users = [set(USER.findall(json.dumps(item))) for item in evidence.items]
    for call in evidence.asked:
        owner = next(iter(USER.findall(call.message)), "")
        if others := {user for place in call.places for user in users[place]} - {owner}:
            yield Violation(9, f"the model read of {sorted(others)} for {call.message}")


def inputs_are_sound(evidence: Evidence) -> Found:
    """10: every call that a model reads has its output, and every output its call."""
    for call in evidence.asked:
        problems = call.problems or tuple(unsound(evidence.input_of(call)))
        if problems:
            yield Violation(10, f"the input for {call.message} was refused: {'; '.join(problems)}")


def nothing_stays_unfinished(evidence: Evidence) -> Found:
    """11: when the faults are over, every turn ends in bounded time, or waits for its user."""
    for turn in evidence.turns:
        waits = turn["status"] == "awaiting_feedback" and all(
            evidence.at is None or row["expires_at"] > evidence.at
            for row in evidence.feedback_of[str(turn["id"])]
            if row["status"] == "open"
        )
        if turn["finished_at"] is None and not waits:
            yield Violation(
                11, f"turn {turn['id']} is {turn['status']} at attempt {turn['attempt']}"
            )


def counters_are_within_limits(evidence: Evidence) -> Found:
    """12: nothing is counted twice, and no limit is passed."""
    for turn in evidence.turns:
        turn_id, script = str(turn["id"]), evidence.script(turn)
        calls = evidence.calls_of[turn_id]
        if turn["model_calls"] > MODEL_CALLS_MAX or len(calls) > TOOL_CALLS_MAX:
            yield Violation(12, f"turn {turn_id} made {turn['model_calls']}, {len(calls)} calls")
        if turn["deaths"] >= max(turn["attempt"], 1):
            yield Violation(12, f"turn {turn_id}: {turn['deaths']} deaths in {turn['attempt']}")
        # The last owner may be cut off and alive, which shows when it is heard again.
        if evidence.died is not None and turn["deaths"] > evidence.deaths_of(turn) + 1:
            yield Violation(
                12, f"turn {turn_id}: {turn['deaths']} deaths, and {evidence.deaths_of(turn)} died"
            )
        if script is not None and turn["status"] == "completed":
            least, counted = len(script.steps) + 1, turn["model_calls"]
            # Each thing that was said to it may have voided a reply.
            most = least + len(evidence.steered[turn_id])
            if not least <= counted <= most or turn["input_tokens"] != 10 * counted:
                yield Violation(12, f"{script.id} counts {counted}, not {least} to {most}")


def usage_is_counted_once(evidence: Evidence) -> Found:
    """12, of usage: calls add up to their turn, and turns to their user's days."""
    for turn in evidence.turns:
        calls = [row for row in evidence.used if row["turn_id"] == turn["id"]]
        for told, counted in zip(_spent([turn]), (len(calls), *_tokens(calls)), strict=True):
            if told != counted:
                yield Violation(12, f"turn {turn['id']} counts {told}, its calls {counted}")
    for user in {str(turn["user_id"]) for turn in evidence.turns}:
        turns, days = (
            [row for row in rows if row["user_id"] == user]
            for rows in (evidence.turns, evidence.days)
        )
        if _spent(turns) != _spent(days):
            yield Violation(12, f"{user}'s turns used {_spent(turns)}, the days {_spent(days)}")
        # Where no model answered, the one that was asked is only in the day's row.
        least = sum(turn["model"] is not None for turn in turns)
        counted = sum(int(day["turns"]) for day in days)
        if not least <= counted <= sum(turn["finished_at"] is not None for turn in turns):
            yield Violation(12, f"{user}'s days count {counted} turns, of {len(turns)}")


def _spent(rows: Sequence[Row]) -> tuple[int, ...]:
    return (sum(int(row["model_calls"]) for row in rows), *_tokens(rows))


def _tokens(rows: Sequence[Row]) -> tuple[int, ...]:
    return tuple(sum(int(row[name]) for row in rows) for name in ("input_tokens", "output_tokens"))


def events_tell_the_turns(evidence: Evidence) -> Found:
    """13: a turn's events are what happened in it, and every reader hears the same."""
    for turn in evidence.turns:
        turn_id = str(turn["id"])
        rows = evidence.events_of[turn_id]
        problems = list(_miscounted(turn, rows))
        if not problems:
            events = [json.loads(row["data"]) for row in rows]
            calls = evidence.calls_of[turn_id]
            reply = evidence.replies.get(turn_id)
            problems = [
                *_ended_otherwise(turn, rows, events),
                *_other_tools(calls, events),
                *_other_text(turn, reply, events),
                *told_otherwise(evidence.feedback_of[turn_id], events),
            ]
        for problem in problems:
            yield Violation(13, f"turn {turn_id} ({turn['status']}): {problem}")
    for stream in evidence.streams:
        for problem in _heard_otherwise(stream, evidence.events_of.get(stream.turn_id)):
            yield Violation(13, f"{stream.user} heard of turn {stream.turn_id}: {problem}")
    for request in evidence.requests:
        if request.kind == "follow" and request.status not in {0, 503}:
            yield Violation(13, f"{request.user} could not follow a turn: {request.status}")


def webhooks_tell_what_happened(evidence: Evidence) -> Found:
    """15: a webhook is told of each event, in order; a repeat has the same id."""
    if evidence.posts is not None:
        for problem in untruths(
            evidence.posts,
            turns=evidence.turns,
            feedback=evidence.feedback,
            tasks=evidence.tasks,
            calls=evidence.calls,
        ):
            yield Violation(15, problem)


def _miscounted(turn: Row, rows: Sequence[Row]) -> Iterator[str]:
    seqs = [row["seq"] for row in rows]
    over = turn["finished_at"] is not None
    if seqs != list(range(1, len(seqs) + 1)) or not seqs:
        told = ", ".join(f"{row['seq']} {row['type']}" for row in rows)
        yield f"attempt {turn['attempt']} left the events {told or 'none'}"
    elif over and turn["last_seq"] != seqs[-1]:
        yield f"it has {seqs[-1]} events and counts {turn['last_seq']}"
    for row in rows:
        event = json.loads(row["data"])
        named = (event["type"], event["turn_id"], event["conversation_id"], event["seq"])
        if named != (row["type"], str(turn["id"]), str(turn["conversation_id"]), row["seq"]):
            yield f"event {row['seq']} says that it is {named}"


def _ended_otherwise(
    turn: Row, rows: Sequence[Row], events: Sequence[dict[str, Any]]
) -> Iterator[str]:
    types = [row["type"] for row in rows]
    if types[0] != "turn_started" or types.count("turn_started") > 1:
        yield f"it begins with {types[0]}, {types.count('turn_started')} times"
    ends = [place for place, type_ in enumerate(types, 1) if type_ in TERMINAL]
    if turn["finished_at"] is None:
        if ends:
            yield "its end is told, and it goes on"
        return
    if ends != [len(types)]:
        yield f"its ends are told at {ends} of {len(types)}"
    elif turn["status"] == "completed":
        if types[-1] != "turn_completed" or not rows[-1]["data"].endswith(
            f',"result":{turn["result"]}}}'
        ):
            yield f"its end is told otherwise: {rows[-1]['data'][:200]}"
    else:
        stored = json.loads(turn["result"])
        fields = ("error_code", "error", "request_id")
        if any(events[-1].get(field) != stored.get(field) for field in fields):
            yield f"its end is told otherwise: {rows[-1]['data'][:200]}"


def _other_tools(calls: Sequence[Row], events: Sequence[dict[str, Any]]) -> Iterator[str]:
    wanted: set[str] = set()
    results = []
    for event in events:
        if event["type"] == "tool_call":
            wanted.add(event["tool_call_id"])
        elif event["type"] == "tool_result":
            results.append((event["tool_call_id"], event["is_error"], event["result"]))
            if event["tool_call_id"] not in wanted:
                yield f"the result of {event['tool_call_id']} is told before the call"
    recorded = [(str(call["id"]), call["status"] != "completed", call["result"]) for call in calls]
    if results != recorded:
        yield f"it tells the results {results} of the calls {recorded}"


def _other_text(turn: Row, reply: Row | None, events: Sequence[dict[str, Any]]) -> Iterator[str]:
    open_text: str | None = None
    text: str | None = None
    shown: list[str] = []
    replies = []
    for event in events:
        type_, seq = event["type"], event["seq"]
        if type_ == "stream_start":
            if open_text is not None:
                yield f"a text begins at {seq} inside another"
            open_text = ""
        elif type_ == "stream_chunk":
            if open_text is None:
                yield f"there is text at {seq} and none has begun"
            open_text = (open_text or "") + event["delta"]
        elif type_ == "stream_end":
            if open_text is None:
                yield f"a text ends at {seq} and none has begun"
            text = None if event["dropped"] else open_text
            shown += [text or ""]
            open_text = None
        elif type_ == "assistant":
            replies.append((event["message_id"], event["content"]))
    # Who cancels a turn does not know whether its model is speaking.
    if open_text is not None and turn["status"] in {"completed", "failed"}:
        yield "its text never ends"
    if turn["status"] == "cancelled":
        # What was shown last, whole or not, stays.
        last = [one for one in [*shown, open_text or ""] if one.strip()][-1:]
        if replies or last != ([reply["content"]] if reply else []):
            yield f"it showed {last} and keeps {reply and reply['content']!r}"
    elif replies != ([(str(reply["id"]), reply["content"])] if reply else []):
        yield f"it tells the replies {replies}"
    elif text is not None and reply is not None and text.strip() != reply["content"]:
        yield f"it streamed {text!r} and replied {reply['content']!r}"


def _heard_otherwise(stream: Stream, rows: Sequence[Row] | None) -> Iterator[str]:
    ids = [told.id for told in stream.told]
    if rows is None:
        yield "it is not there"
        return
    if ids != list(range(1, len(ids) + 1)):
        yield f"events {ids}"
        return
    for told in stream.told:
        row = rows[told.id - 1] if told.id <= len(rows) else None
        if row is None or (told.type, told.data) != (row["type"], row["data"]):
            yield f"{told.data[:300]} where {row['data'][:300] if row else 'nothing'} is stored"
            return
    if stream.closed and not stream.is_whole:
        yield f"that nothing follows event {ids[-1] if ids else 0}"


def what_is_said_to_a_turn_is_read_once(evidence: Evidence) -> Found:
    """14: a message to a running turn is read by it exactly once, or is a turn of its own."""
    stored = {str(row["id"]): row for row in evidence.messages}
    told: dict[str, set[bytes]] = defaultdict(set)
    for request in evidence.requests:
        if request.kind != "steer" or request.status != 200:
            continue
        told[request.message].add(request.body)
        row = stored.get(str(request.facts["message_id"]))
        script = None if row is None else script_of(row["content"])
        if row is None or script is None or script.id != request.message:
            yield Violation(14, f"{request.message} was acknowledged and is not stored")
        elif str(row["turn_id"]) != request.turn_id:
            yield Violation(14, f"{request.message} is in another turn than was told")
        elif request.facts["steered"] != (row["position"] > 0):
            yield Violation(14, f"{request.message} is at {row['position']}: {request.body!r}")
    for message, bodies in told.items():
        if len(bodies) > 1:
            yield Violation(14, f"{message} was told in {len(bodies)} ways")
    last = {call.message: call for call in evidence.asked}
    for turn in evidence.turns:
        turn_id, script = str(turn["id"]), evidence.script(turn)
        steered = evidence.steered[turn_id]
        if script is None or not steered:
            continue
        said = [one.id for row in steered if (one := script_of(row["content"])) is not None]
        if turn["status"] == "completed":
            if any(row["read_after_answers"] is None for row in steered):
                yield Violation(14, f"{script.id} is completed with something unread")
            call = last.get(script.id)
            read = steered_in(evidence.input_of(call)) if call else []
            if read != said:
                yield Violation(14, f"{script.id} was told {said} and its reply knows {read}")
        events = [json.loads(row["data"]) for row in evidence.events_of[turn_id]]
        heard = [event["content"] for event in events if event["type"] == "user_message"]
        marked = [row["content"] for row in steered if row["read_after_answers"] is not None]
        if heard != marked:
            yield Violation(14, f"{script.id} has read {marked} and tells {heard}")


def one_answer_decides(evidence: Evidence) -> Found:
    """16: what a client was told is asked is there, once, and one answer decides it."""
    for problem in answered_otherwise(evidence.feedback, evidence.shown, evidence.given):
        yield Violation(16, problem)


def nothing_is_done_without_a_yes(evidence: Evidence) -> Found:
    """17: what was approved is done once, as it was approved; what was not has no effect."""
    for turn in evidence.turns:
        turn_id = str(turn["id"])
        asked, calls = evidence.feedback_of[turn_id], evidence.calls_of[turn_id]
        for problem in done_otherwise(turn, asked, calls):
            yield Violation(17, f"turn {turn_id} ({turn['status']}): {problem}")


def who_waits_holds_nothing(evidence: Evidence) -> Found:
    """18: a turn that waits for its user asks one thing and holds nothing; no other one asks."""
    for turn in evidence.turns:
        for problem in held_otherwise(turn, evidence.feedback_of[str(turn["id"])]):
            yield Violation(18, f"turn {turn['id']}: {problem}")


def what_is_due_is_said_once(evidence: Evidence) -> Found:
    """19: each occurrence of a schedule becomes one turn, in order, and none too early."""
    told = (evidence.scheduled, evidence.schedules, evidence.turns, evidence.said)
    for problem in said_otherwise(*told):
        yield Violation(19, problem)


CHECKS: Sequence[Callable[[Evidence], Found]] = (
    nothing_crashed,
    acknowledged_messages_are_kept,
    unacknowledged_messages_are_stored_at_most_once,
    numbers_are_gapless,
    histories_only_grow,
    replies_are_read,
    effects_equal_records,
    decisions_are_carried_out,
    keys_decide,
    nothing_crosses_users,
    inputs_are_sound,
    nothing_stays_unfinished,
    counters_are_within_limits,
    usage_is_counted_once,
    events_tell_the_turns,
    what_is_said_to_a_turn_is_read_once,
    webhooks_tell_what_happened,
    one_answer_decides,
    nothing_is_done_without_a_yes,
    who_waits_holds_nothing,
    what_is_due_is_said_once,
)
"""In the order of their numbers."""

INVARIANTS = len({re.split(r"\D", check.__doc__ or "")[0] for check in CHECKS} - {"0"})
"""How many there are: a check's docstring begins with its number, and 0 is that nothing crashed."""
