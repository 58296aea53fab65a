"""The checker sees what it is there to see: each history here breaks one invariant, and only that.

A sound history is made by hand; every test spoils one thing in a copy of it.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncpg import Range
from tests.faults.asked import Given
from tests.faults.checker import INVARIANTS, Evidence, Request, Stream, check
from tests.faults.hooked import Post
from tests.faults.model_server import ModelCall
from tests.faults.scheduled import Scheduled
from tests.faults.scripts import Item
from tests.live.served import Told

CONVERSATION = "c1"
MOMENT = datetime(2026, 11, 20, tzinfo=UTC)


@dataclass
class World:
    """A sound history of one user's conversation, in a form that can be spoiled."""

    requests: list[Request] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    takeovers: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    conversations: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    used: list[dict[str, Any]] = field(default_factory=list)
    days: list[dict[str, Any]] = field(default_factory=list)
    feedback: list[dict[str, Any]] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    scheduled: list[Scheduled] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    steering: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[tuple[str, list[Item]]] = field(default_factory=list)
    decided: dict[str, frozenset[str]] = field(default_factory=dict)
    crashes: list[str] = field(default_factory=list)
    posts: list[Post] | None = None

    def evidence(self) -> Evidence:
        items: list[Item] = []
        asked = []
        for message, read in self.inputs:
            places = []
            for item in read:
                if item not in items:
                    items.append(item)
                places.append(items.index(item))
            asked.append(ModelCall(message, 1, "p1", tuple(places), ()))
        return Evidence(
            requests=self.requests,
            turns=self.turns,
            messages=self.messages,
            steering=self.steering,
            calls=self.calls,
            answers=self.answers,
            tasks=self.tasks,
            conversations=self.conversations,
            events=self.events,
            used=self.used,
            days=self.days,
            feedback=self.feedback,
            given=self.given,
            schedules=self.schedules,
            scheduled=self.scheduled,
            at=MOMENT,
            streams=self.streams,
            asked=asked,
            items=items,
            decided=self.decided,
            crashes=self.crashes,
            takeovers=self.takeovers,
            died=frozenset({"p1"}),
            posts=self.posts,
        )

    def told(self) -> list[Post]:
        """What a webhook is told of all this; without it, it is not looked at."""
        self.posts = []
        for turn in self.turns:
            data = {"user_id": "u01", "conversation_id": CONVERSATION, "turn_id": turn["id"]}
            data["turn_number"] = turn["number"]
            asked = [row for row in self.feedback if row["turn_id"] == turn["id"]]
            ended = ["completed"] if turn["status"] == "completed" else []
            for event in ["awaiting_feedback" for _ in asked] + ended:
                told = {"type": f"turn.{event}", "data": data}
                self.posts.append(Post(f"{event} {turn['id']}", json.dumps(told).encode()))
        events = {"add_task": "created", "delete_task": "deleted"}
        for call in self.calls:
            if call["status"] == "completed":
                task, event = call["result"]["task_id"], f"task.{events[call['tool_name']]}"
                told = {"type": event, "data": {"user_id": "u01", "task_id": task}}
                self.posts.append(Post(f"{event} {task}", json.dumps(told).encode()))
        return self.posts

    def found(self) -> set[int]:
        """The invariants that are violated."""
        return {violation.invariant for violation in check(self.evidence())}

    def event(self, type_: str, turn: str = "t2") -> dict[str, Any]:
        """The last event of a type of a turn's."""
        return [row for row in self.events if (row["turn_id"], row["type"]) == (turn, type_)][-1]

    def retell(self, turn: str, events: list[tuple[str, dict[str, Any]]]) -> None:
        """Tell these of a turn, in place of what was told."""
        self.events = [row for row in self.events if row["turn_id"] != turn]
        self.events += told_of(turn, events)
        self.streams = [stream for stream in self.streams if stream.turn_id != turn]
        for row in self.turns:
            if row["id"] == turn:
                row["last_seq"] = len(events)

    def change(self, type_: str, turn: str = "t2", **fields: Any) -> None:
        """Change a turn's last event of a type, for whoever reads it."""
        row = self.event(type_, turn)
        row["data"] = json.dumps({**json.loads(row["data"]), **fields})
        self.streams = [heard(self.events, turn)]

    def answer(self, request: int, **changes: Any) -> None:
        """Change what a client was told."""
        facts = self.requests[request].facts | changes
        self.requests[request] = replace(
            self.requests[request], body=json.dumps(facts).encode(), status=200
        )


def pair(call_id: str, title: str, number: int) -> list[Item]:
    return [
        {
            "type": "function_call",
            "call_id": call_id,
            "name": "add_task",
            "arguments": json.dumps({"title": title}),
        },
        {"type": "function_call_output", "call_id": call_id, "output": f'{{"task_id": {number}}}'},
    ]


def told_of(
    turn: str, events: list[tuple[str, dict[str, Any]]], conversation: str = CONVERSATION
) -> list[dict[str, Any]]:
    """Rows of a turn's events."""
    rows = []
    for seq, (type_, fields) in enumerate(events, 1):
        head = {"type": type_, "turn_id": turn, "conversation_id": conversation, "seq": seq}
        fields = dict(fields)
        result = fields.pop("result_as_stored", None)
        data = json.dumps({**head, **fields})
        if result is not None:
            data = f'{data[:-1]},"result":{result}}}'
        rows.append({"user_id": "u01", "turn_id": turn, "seq": seq, "type": type_, "data": data})
    return rows


def heard(rows: list[dict[str, Any]], turn: str) -> Stream:
    """What a reader of a turn hears."""
    told = [Told(row["seq"], row["type"], row["data"]) for row in rows if row["turn_id"] == turn]
    return Stream("u01", turn, told)


def happened(number: int) -> list[tuple[str, dict[str, Any]]]:
    """What is told of each of the two turns: its process died in the middle of its first text."""
    title, reply = f"u01.{number} task 1", f"Reply to u01.{number}."
    call = {"tool_call_id": f"k{number}", "tool_name": "add_task"}
    result = {"task_id": number, "title": title}
    return [
        ("turn_started", {"number": number}),
        ("agent_status", {"status": "thinking"}),
        ("openai_call", {"model": "fake"}),
        ("openai_response", {"model": "fake"}),
        ("tool_call", {**call, "arguments": {"title": title}}),
        ("tool_result", {**call, "result": result, "is_error": False}),
        ("openai_call", {"model": "fake"}),
        ("agent_status", {"status": "responding"}),
        ("stream_start", {}),
        ("stream_chunk", {"delta": "Reply "}),
        ("stream_end", {"dropped": True}),
        ("openai_call", {"model": "fake"}),
        ("stream_start", {}),
        ("stream_chunk", {"delta": "Reply "}),
        ("stream_chunk", {"delta": f"to u01.{number}. "}),
        ("stream_end", {"dropped": False}),
        ("openai_response", {"model": "fake"}),
        ("assistant", {"message_id": f"m{number}", "content": reply}),
        ("turn_completed", {"result_as_stored": answer_of(number)}),
    ]


def answer_of(number: int) -> str:
    """The JSON answer of each of the two turns."""
    return json.dumps(
        {
            "turn_id": f"t{number}",
            "conversation_id": CONVERSATION,
            "response": f"Reply to u01.{number}.",
            "tool_calls": [{"id": f"k{number}", "tool_name": "add_task"}],
        }
    )


def sound() -> World:
    """Two completed turns, each of which adds one task; the second key was used twice."""
    world = World(conversations=[{"id": CONVERSATION, "user_id": "u01", "last_turn": 2}])
    past: list[Item] = []
    for number in (1, 2):
        message, turn, call_id = f"u01.{number}", f"t{number}", f"call_u01.{number}_s1_1_ab{number}"
        title, text, reply = f"{message} task 1", f"[{message}] add:1", f"Reply to {message}."
        body = answer_of(number).encode()
        events = told_of(turn, happened(number))
        world.events += events
        told = Request("say", "u01", message, f"key{number}", "turn", 200, body)
        world.requests += [told] * number
        world.turns.append(
            {
                "id": turn,
                "user_id": "u01",
                "conversation_id": CONVERSATION,
                "number": number,
                "channel": "rest",
                "status": "completed",
                "attempt": 1,
                "deaths": 0,
                "result": body.decode(),
                "model": "fake",
                "model_calls": 2,
                "input_tokens": 20,
                "output_tokens": 10,
                "last_seq": len(events),
                "finished_at": MOMENT,
            }
        )
        row = {"user_id": "u01", "turn_id": turn, "turn_number": number}
        world.messages += [
            {**row, "position": 0, "role": "user", "content": text, "id": f"s{number}"},
            {**row, "position": 1, "role": "assistant", "content": reply, "id": f"m{number}"},
        ]
        world.calls.append(
            {
                **row,
                "id": f"k{number}",
                "call_id": call_id,
                "position": 0,
                "tool_name": "add_task",
                "parameters": {"title": title},
                "result": {"task_id": number, "title": title},
                "status": "completed",
            }
        )
        world.answers.append(
            {**row, "items": [{"type": "function_call", "call_id": call_id}], "number": 1}
        )
        world.used += [
            {**row, "number": call, "input_tokens": 10, "output_tokens": 5} for call in (1, 2)
        ]
        world.tasks.append({"user_id": "u01", "id": number, "title": title, "completed": False})
        world.decided[message] = frozenset({call_id})
        user: Item = {"role": "user", "content": text}
        now = pair(call_id, title, number)
        world.inputs += [(message, [*past, user]), (message, [*past, user, *now])]
        past = [*past, user, *now, {"role": "assistant", "content": reply}]
    world.streams.append(heard(world.events, "t2"))
    spent = {"turns": 2, "model_calls": 4, "input_tokens": 40, "output_tokens": 20}
    world.days.append({"user_id": "u01", **spent})
    return world


def asking(world: World) -> None:
    """Add a third turn, which adds two tasks and may delete one of them: not the one it wanted to.

    The user wanted the first call to delete the other task, and refused the second one.
    """
    message, turn, text = "u01.3", "t3", "[u01.3] add:2 delete:2"
    reply = f"Reply to {message}."
    said = {"comment": "As u01.8 says."}
    ids = [f"call_{message}_s{step}_{place}_cd{step}" for step in (1, 2) for place in (1, 2)]
    titles = [f"{message} task {place}" for place in (1, 2)]
    made: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
        ("add_task", {"title": titles[0]}, {"task_id": 3, "title": titles[0]}, "completed"),
        ("add_task", {"title": titles[1]}, {"task_id": 4, "title": titles[1]}, "completed"),
        ("delete_task", {"task_id": 4}, {"task_id": 4, "title": titles[1]}, "completed"),
        ("delete_task", {"task_id": 4}, {"error": "The person refused this."}, "failed"),
    ]
    row = {"user_id": "u01", "turn_id": turn, "turn_number": 3}
    for place, (tool, given, result, status) in enumerate(made):
        world.calls.append(
            {
                **row,
                "id": f"k3{place}",
                "call_id": ids[place],
                "position": place,
                "tool_name": tool,
                "parameters": given,
                "result": result,
                "status": status,
            }
        )
    asked = [
        {"id": f"k3{place}", "tool_name": "delete_task", "arguments": {"task_id": place + 1}}
        for place in (2, 3)
    ]
    told_calls = [{**call, "tool_call_id": call["id"]} for call in asked]
    approved = {"answer": "approve", **said, "arguments": {"task_id": 4}}
    rejected = {"answer": "reject", **said, "arguments": None}
    end = {"status": "approved", "answer": "approve", **said}
    world.feedback.append(
        {
            "user_id": "u01",
            "turn_id": turn,
            "id": "f1",
            "kind": "approval",
            "question": "May I do this?",
            "calls": [{**call, "call_id": id_} for call, id_ in zip(asked, ids[2:], strict=True)],
            "decisions": dict(zip(ids[2:], (approved, rejected), strict=True)),
            **end,
            "asked_at": MOMENT,
            "expires_at": MOMENT + timedelta(hours=1),
        }
    )
    of_calls = {
        "k32": {"answer": "approve", "arguments": {"task_id": 4}},
        "k33": {"answer": "reject"},
    }
    sent = {"answer": "approve", **said, "calls": of_calls}
    late = {"answer": "reject", "comment": "As u01.9 says."}
    world.given += [
        Given("u01", "f1", sent, 200, json.dumps(end).encode()),
        Given("u01", "f1", late, 409, b"{}"),
        Given("u01", "f1", late, 0, b""),
    ]
    body = json.dumps(
        {
            "turn_id": turn,
            "conversation_id": CONVERSATION,
            "response": reply,
            "tool_calls": [{"id": f"k3{place}"} for place in range(4)],
        }
    )
    waiting = {"turn_id": turn, "feedback": {"id": "f1", "turn_id": turn, "calls": told_calls}}
    world.requests += [
        Request("say", "u01", message, "key3", "turn", 202, json.dumps(waiting).encode()),
        Request("say", "u01", message, "key3", "turn", 200, body.encode()),
        Request(
            *("asked", "u01", "", None, "turn", 200),
            json.dumps({"data": [waiting["feedback"]]}).encode(),
        ),
    ]
    results = [
        (
            "tool_result",
            {"tool_call_id": f"k3{place}", "result": result, "is_error": status != "completed"},
        )
        for place, (_, _, result, status) in enumerate(made)
    ]
    wanted = [("tool_call", {"tool_call_id": f"k3{place}"}) for place in range(4)]
    events: list[tuple[str, dict[str, Any]]] = [
        ("turn_started", {"number": 3}),
        *wanted[:2],
        *results[:2],
        *wanted[2:],
        ("feedback_request", {"feedback_id": "f1", "calls": told_calls}),
        ("feedback_response", {"feedback_id": "f1", **end}),
        *wanted[2:],
        *results[2:],
        ("assistant", {"message_id": "m3", "content": reply}),
        ("turn_completed", {"result_as_stored": body}),
    ]
    world.turns.append(
        {
            **world.turns[1],
            "id": turn,
            "number": 3,
            "result": body,
            "model_calls": 3,
            "input_tokens": 30,
            "output_tokens": 15,
            "last_seq": len(events),
            "owner": "p1",
            "lease_expires_at": MOMENT,
        }
    )
    world.events += told_of(turn, events)
    world.streams.append(heard(world.events, turn))
    world.messages += [
        {**row, "position": 0, "role": "user", "content": text, "id": "s3"},
        {**row, "position": 1, "role": "assistant", "content": reply, "id": "m3"},
    ]
    world.answers += [
        {
            **row,
            "items": [{"type": "function_call", "call_id": id_} for id_ in decided],
            "number": number,
        }
        for number, decided in enumerate((ids[:2], ids[2:]), 1)
    ]
    world.used += [
        {**row, "number": call, "input_tokens": 10, "output_tokens": 5} for call in (1, 2, 3)
    ]
    world.days.append(
        {"user_id": "u01", "turns": 1, "model_calls": 3, "input_tokens": 30, "output_tokens": 15}
    )
    world.tasks.append({"user_id": "u01", "id": 3, "title": titles[0], "completed": False})
    world.conversations[0]["last_turn"] = 3
    world.decided[message] = frozenset(ids)
    _, past = world.inputs[-1]
    read = [*past, {"role": "assistant", "content": "Reply to u01.2."}]
    world.inputs.append((message, [*read, {"role": "user", "content": text}]))


def waiting(world: World) -> None:
    """Let the third turn wait for its answer."""
    asking(world)
    world.turns[-1] |= {
        "status": "awaiting_feedback",
        "finished_at": None,
        "owner": None,
        "lease_expires_at": None,
        "result": None,
        "model": None,
        "model_calls": 0,
        "input_tokens": 0,
        "output_tokens": 0,
    }
    del world.messages[-1], world.calls[-2:], world.used[-3:], world.days[-1], world.requests[-2]
    title = "u01.3 task 2"
    world.tasks.append({"user_id": "u01", "id": 4, "title": title, "completed": False})
    world.feedback[0] |= {"status": "open", "answer": None, "comment": None, "decisions": None}
    world.given.clear()
    world.events = [row for row in world.events if row["turn_id"] != "t3" or row["seq"] <= 8]
    world.streams.clear()


def repeating(world: World) -> None:
    """Add a schedule by which the same was said twice, in a conversation of its own."""
    text, begin = "Again for u01.7.", int(MOMENT.timestamp())
    moments = [datetime.fromtimestamp(begin + after, UTC) for after in (0, 2)]
    for number, moment in enumerate(moments, 1):
        turn, reply = f"r{number}", f"Reply to {text}"
        body = json.dumps({"turn_id": turn, "response": reply, "tool_calls": []})
        events: list[tuple[str, dict[str, Any]]] = [
            ("turn_started", {"number": number}),
            ("assistant", {"message_id": f"n{number}", "content": reply}),
            ("turn_completed", {"result_as_stored": body}),
        ]
        world.events += told_of(turn, events, "c2")
        world.turns.append(
            {
                **world.turns[0],
                "id": turn,
                "conversation_id": "c2",
                "number": number,
                "channel": "schedule",
                "idempotency_key": f"\nschedule w1 {int(moment.timestamp())}",
                "created_at": moment + timedelta(milliseconds=3),
                "result": body,
                "model_calls": 1,
                "input_tokens": 10,
                "output_tokens": 5,
                "last_seq": len(events),
            }
        )
        row = {"user_id": "u01", "turn_id": turn, "turn_number": number}
        world.messages += [
            {**row, "position": 0, "role": "user", "content": text, "id": f"p{number}"},
            {**row, "position": 1, "role": "assistant", "content": reply, "id": f"n{number}"},
        ]
        world.used.append({**row, "number": 1, "input_tokens": 10, "output_tokens": 5})
    spent = {"turns": 2, "model_calls": 2, "input_tokens": 20, "output_tokens": 10}
    world.days.append({"user_id": "u01", **spent})
    world.conversations.append({"id": "c2", "user_id": "u01", "last_turn": 2})
    world.schedules.append(
        {
            "user_id": "u01",
            "id": "w1",
            "message": text,
            "status": "ended",
            "end_reason": "done",
            "last_error": None,
            "conversation_id": "c2",
            "last_turn_id": "r2",
        }
    )
    told = json.dumps({"id": "w1", "next_at": moments[0].isoformat()}).encode()
    world.scheduled.append(Scheduled("u01", text, moments, 201, told))


def test_a_sound_history_violates_nothing() -> None:
    world = sound()
    assert check(world.evidence()) == []
    posts = world.told()
    # A repeat is none, however late.
    posts.append(posts[0])
    assert check(world.evidence()) == []


SAID: Item = {"role": "user", "content": "[u01.9]"}


def steer(world: World) -> None:
    """Have something said to the second turn while its tool ran."""
    row = {"user_id": "u01", "turn_id": "t2", "turn_number": 2, "position": 2, "role": "user"}
    world.messages.insert(3, {**row, "content": "[u01.9]", "id": "s9"})
    world.messages[4]["position"] = 3
    world.steering.append(
        {"message_id": "s9", "turn_id": "t2", "read_after_answers": 1, "read_after_calls": 1}
    )
    told = happened(2)
    told.insert(6, ("user_message", {"message_id": "s9", "content": "[u01.9]"}))
    world.retell("t2", told)
    world.streams.append(heard(world.events, "t2"))
    message, items = world.inputs[-1]
    world.inputs[-1] = (message, [*items, SAID])
    body = {"steered": True, "turn_id": "t2", "message_id": "s9", "conversation_id": CONVERSATION}
    request = Request("steer", "u01", "u01.9", "k9", "turn", 200, json.dumps(body).encode())
    world.requests += [request] * 2


def test_a_sound_history_in_which_a_turn_was_steered_violates_nothing() -> None:
    world = sound()
    steer(world)
    assert check(world.evidence()) == []


def test_nor_does_one_in_which_something_says_itself() -> None:
    world = sound()
    repeating(world)
    assert check(world.evidence()) == []
    # Whoever got no answer does not know from when on it was due.
    [one] = world.scheduled
    before = one.moments[0] - timedelta(seconds=2)
    world.scheduled[0] = replace(one, moments=[before, *one.moments], status=0, body=b"")
    assert check(world.evidence()) == []


@pytest.mark.parametrize("further", [asking, waiting])
def test_nor_does_one_that_asks(further: Callable[[World], None]) -> None:
    world = sound()
    further(world)
    assert check(world.evidence()) == []
    world.told()
    assert check(world.evidence()) == []


Spoiling = Callable[[World], None]
CASES: list[tuple[int, str, Spoiling, set[int]]] = []


def spoils(invariant: int, *others: int) -> Callable[[Spoiling], Spoiling]:
    """Note a way to violate an invariant; others that can't but go with it."""

    def noted(spoiling: Spoiling) -> Spoiling:
        CASES.append((invariant, spoiling.__name__, spoiling, set(others)))
        return spoiling

    return noted


@spoils(0)
def a_turn_crashed(world: World) -> None:
    world.crashes.append('{"event": "turn.crashed"}')


@spoils(0)
def an_answer_was_a_bare_500(world: World) -> None:
    world.requests.append(Request("say", "u01", "u01.1", "key1", "turn", 500, b'{"turn_id": null}'))


@spoils(1, 3, 5, 7)
def an_acknowledged_message_is_gone(world: World) -> None:
    del world.messages[2]


@spoils(1, 8)
def an_answer_named_another_message(world: World) -> None:
    world.requests[0] = replace(world.requests[0], message="u01.2", key="key2", status=409)
    world.requests.append(Request("say", "u01", "u01.1", None, "turn", 0, b""))


@spoils(2)
def an_unacknowledged_message_is_stored_twice(world: World) -> None:
    world.requests = [
        replace(request, status=0, body=b"") if request.message == "u01.2" else request
        for request in world.requests
    ]
    world.messages.append(dict(world.messages[2]))


@spoils(2)
def a_message_is_stored_that_nobody_sent(world: World) -> None:
    world.requests = [request for request in world.requests if request.message == "u01.1"]


@spoils(3)
def a_number_is_missing(world: World) -> None:
    world.turns[1]["number"] = 3
    world.messages[2]["turn_number"] = world.messages[3]["turn_number"] = 3


@spoils(3)
def a_number_is_there_twice(world: World) -> None:
    world.conversations[0]["last_turn"] = 3


@spoils(4)
def a_version_that_follows_more_than_the_first_did(world: World) -> None:
    world.turns[1].update(path=[Range(1, 2)], version_of=1)


@spoils(5)
def a_version_that_read_what_the_first_one_said(world: World) -> None:
    world.turns[1].update(path=[], version_of=1)


@spoils(4)
def a_turn_that_was_taken_over_read_another_past(world: World) -> None:
    message, items = deepcopy(world.inputs[-1])
    world.inputs.append((message, [*items[:2], {**items[2], "output": "other"}, *items[3:]]))


@spoils(4)
def a_past_changed_between_two_turns(world: World) -> None:
    third = {**world.turns[1], "id": "t3", "number": 3, "status": "failed"}
    third |= {"result": '{"error_code": "timeout"}', "model": None, "model_calls": 0}
    third |= {"input_tokens": 0, "output_tokens": 0}
    world.turns.append(third)
    world.retell("t3", [("turn_started", {}), ("error", {"error_code": "timeout"})])
    world.conversations[0]["last_turn"] = 3
    said = {"user_id": "u01", "turn_id": "t3", "turn_number": 3, "position": 0}
    said |= {"role": "user", "id": "s3"}
    world.messages.append({**said, "content": "[u01.3] list"})
    world.requests.append(Request("say", "u01", "u01.3", None, "turn", 0, b""))
    _, past = world.inputs[-1]
    # The first message's output is another one than the second turn read.
    user: Item = {"role": "user", "content": "[u01.3] list"}
    reply: Item = {"role": "assistant", "content": "Reply to u01.2."}
    changed = [*past[:2], {**past[2], "output": "other"}, *past[3:], reply, user]
    world.inputs.append(("u01.3", changed))


@spoils(5)
def a_turn_did_not_read_the_reply_before_it(world: World) -> None:
    for place in (2, 3):
        message, items = world.inputs[place]
        world.inputs[place] = (message, [*items[:3], *items[4:]])


@spoils(5)
def a_turn_read_what_was_never_said(world: World) -> None:
    for place in (2, 3):
        message, items = world.inputs[place]
        world.inputs[place] = (message, [{"role": "user", "content": "hello"}, *items])


@spoils(6)
def an_effect_has_no_record(world: World) -> None:
    world.tasks.append({"user_id": "u01", "id": 3, "title": "u01.2 task 9", "completed": False})


@spoils(6)
def a_record_has_no_effect(world: World) -> None:
    del world.tasks[0]


@spoils(6)
def a_task_was_completed_by_nobody(world: World) -> None:
    world.tasks[0]["completed"] = True


@spoils(6, 7, 13)
def a_call_is_recorded_twice(world: World) -> None:
    world.calls.append({**world.calls[1], "id": "k3", "position": 1})
    world.turns[1]["result"] = json.dumps(
        json.loads(world.turns[1]["result"]) | {"tool_calls": [{"id": "k2"}, {"id": "k3"}]}
    )


@spoils(6)
def a_cancelled_turn_went_on(world: World) -> None:
    body = json.dumps({"id": "t2", "tool_calls": []}).encode()
    world.requests.append(Request("cancel", "u01", "u01.2", "key2", "turn", 200, body))


@spoils(7)
def a_completed_turn_lacks_a_decided_effect(world: World) -> None:
    world.messages[0]["content"] = "[u01.1] add:2"
    for place, (message, items) in enumerate(world.inputs):
        world.inputs[place] = (
            message,
            [
                {**item, "content": "[u01.1] add:2"}
                if item.get("content") == "[u01.1] add:1"
                else item
                for item in items
            ],
        )


@spoils(7)
def a_call_was_made_that_no_model_decided_on(world: World) -> None:
    world.decided["u01.1"] = frozenset()


@spoils(8)
def the_same_key_was_told_other_bytes(world: World) -> None:
    world.answer(2, usage={})


@spoils(8)
def a_key_became_two_turns(world: World) -> None:
    world.requests.append(
        replace(world.requests[0], status=409, body=b'{"turn_id": "t1"}', key="key2")
    )


@spoils(8)
def another_body_was_answered(world: World) -> None:
    world.requests.append(
        Request("other_body", "u01", "u01.1", "key1", "turn", 200, b'{"turn_id": "t1"}')
    )


@spoils(8)
def an_answer_is_not_what_is_stored(world: World) -> None:
    for place in (1, 2):
        world.answer(place, response="Something else.")


@spoils(9, 6, 7, 13)
def a_task_speaks_of_another_user(world: World) -> None:
    world.tasks[0]["title"] = "u02.1 task 1"
    world.calls[0]["parameters"] = world.calls[0]["result"] = {
        "task_id": 1,
        "title": "u02.1 task 1",
    }


@spoils(9)
def an_answer_speaks_of_another_user(world: World) -> None:
    world.requests.append(Request("say", "u01", "u01.1", "key1", "turn", 503, b'"u02.7 task 1"'))


@spoils(9)
def a_model_read_of_another_user(world: World) -> None:
    message, items = world.inputs[1]
    world.inputs[1] = (message, [*items[:2], {**items[2], "output": "u02.7 task 1"}])


@spoils(9)
def a_foreign_conversation_was_open(world: World) -> None:
    world.requests.append(Request("foreign", "u01", "u01.9", None, "turn", 409, b"{}"))


@spoils(9)
def a_stream_speaks_of_another_user(world: World) -> None:
    world.change("agent_status", status="as u02.7 has it")


@spoils(10)
def a_model_read_a_call_without_its_output(world: World) -> None:
    message, items = world.inputs[1]
    world.inputs[1] = (message, items[:2])


@spoils(10)
def a_model_read_an_output_without_its_call(world: World) -> None:
    message, items = world.inputs[1]
    world.inputs[1] = (message, [items[0], items[2]])


@spoils(11, 12)
def a_turn_never_ended(world: World) -> None:
    world.turns[1] |= {"status": "running", "finished_at": None}
    world.retell("t2", happened(2)[:6])
    world.requests = [replace(request, status=0, body=b"") for request in world.requests]
    del world.messages[3]


@spoils(12)
def a_turn_counts_too_many_calls(world: World) -> None:
    world.turns[0]["model_calls"] = 3


@spoils(12)
def a_call_is_counted_twice_in_its_turn(world: World) -> None:
    world.used.append({**world.used[0], "number": 3})


@spoils(12)
def a_call_of_a_turn_is_lost(world: World) -> None:
    del world.used[0]


@spoils(12)
def a_turn_is_counted_twice_in_a_day(world: World) -> None:
    world.days[0]["turns"] = 3


@spoils(12)
def tokens_of_a_turn_are_counted_twice_in_a_day(world: World) -> None:
    world.days.append({**world.days[0], "turns": 0, "model_calls": 0, "output_tokens": 0})


@spoils(12)
def nothing_of_a_turn_is_counted_in_a_day(world: World) -> None:
    world.days.clear()


@spoils(12)
def a_turn_died_more_often_than_it_was_tried(world: World) -> None:
    world.turns[0]["deaths"] = 1


@spoils(12)
def processes_that_live_count_as_dead(world: World) -> None:
    world.turns[0].update(attempt=4, deaths=3)
    world.takeovers += [
        {"turn_id": "t1", "left_by": f"p{number}", "attempt": number + 1} for number in (1, 2, 3)
    ]


@spoils(13)
def a_stopped_reply_is_kept_otherwise_than_it_was_shown(world: World) -> None:
    told = happened(2)[:15]
    error = {"error_code": "turn_cancelled", "error": "Cancelled.", "request_id": "r"}
    world.turns[1] |= {"status": "cancelled", "result": json.dumps(error)}
    world.messages[3] |= {"content": "Reply to", "interrupted": True}
    world.requests = [replace(request, status=0, body=b"") for request in world.requests]
    world.retell("t2", [*told, ("error", error)])


@spoils(13)
def nothing_is_told_of_a_turn(world: World) -> None:
    world.retell("t2", [])


@spoils(13)
def an_event_is_missing(world: World) -> None:
    world.events.remove(world.event("openai_call"))
    world.streams.clear()


@spoils(13)
def a_takeover_counted_from_1(world: World) -> None:
    # Of two events with one number the older stays, and the end is never told.
    world.retell("t2", happened(2)[:11])
    world.turns[1]["last_seq"] = 8


@spoils(13)
def a_turn_counts_other_events_than_it_has(world: World) -> None:
    world.turns[1]["last_seq"] = 30


@spoils(13)
def the_first_event_is_another_one(world: World) -> None:
    world.retell("t2", happened(2)[1:])


@spoils(13)
def a_zombie_told_something_after_the_end(world: World) -> None:
    world.retell("t2", [*happened(2), ("stream_chunk", {"delta": "Reply "})])


@spoils(13)
def a_turn_ended_twice(world: World) -> None:
    world.retell("t2", [*happened(2)[:-1], *happened(2)[-1:] * 2])


@spoils(13)
def a_failed_turn_is_told_as_completed(world: World) -> None:
    world.turns[1] |= {"status": "failed", "result": '{"error_code": "timeout"}'}
    world.requests = [
        replace(one, status=0, body=b"") if one.message == "u01.2" else one
        for one in world.requests
    ]
    del world.messages[3]
    world.retell("t2", [one for one in happened(2) if one[0] != "assistant"])


@spoils(13)
def a_failed_turn_is_told_with_another_error(world: World) -> None:
    a_failed_turn_is_told_as_completed(world)
    told = [one for one in happened(2)[:-1] if one[0] != "assistant"]
    world.retell("t2", [*told, ("error", {"error_code": "model_error"})])


@spoils(13)
def a_completed_turn_is_told_with_another_answer(world: World) -> None:
    row = world.event("turn_completed")
    row["data"] = row["data"].replace("Reply to", "Answer to")
    world.streams = [heard(world.events, "t2")]


@spoils(13)
def a_tool_result_is_told_twice(world: World) -> None:
    told = happened(2)
    world.retell("t2", [*told[:6], told[5], *told[6:]])


@spoils(13)
def a_tool_result_is_not_told(world: World) -> None:
    world.retell("t2", [one for one in happened(2) if one[0] != "tool_result"])


@spoils(13)
def a_tool_result_is_told_otherwise(world: World) -> None:
    world.change("tool_result", result={"task_id": 7})


@spoils(13)
def a_tool_result_is_told_of_another_call(world: World) -> None:
    world.change("tool_result", tool_call_id="k1")


@spoils(13)
def a_tool_result_is_told_before_its_call(world: World) -> None:
    told = happened(2)
    world.retell("t2", [*told[:4], told[5], told[4], *told[6:]])


@spoils(13)
def the_reply_is_told_otherwise(world: World) -> None:
    world.change("assistant", content="Something else.")


@spoils(13)
def an_open_text_is_not_dropped(world: World) -> None:
    told = happened(2)
    world.retell("t2", [*told[:10], *told[11:]])


@spoils(13)
def a_text_goes_on_in_that_of_a_dead_process(world: World) -> None:
    told = happened(2)
    world.retell("t2", [*told[:10], told[11], *told[13:]])


@spoils(13)
def a_text_is_not_the_reply(world: World) -> None:
    world.change("stream_chunk", delta="to nobody.")


@spoils(13)
def a_text_never_ends(world: World) -> None:
    told = happened(2)
    world.retell("t2", [*told[:15], *told[16:]])


@spoils(13)
def an_event_says_that_it_is_of_another_turn(world: World) -> None:
    world.change("openai_call", turn_id="t1")


@spoils(13)
def a_reader_missed_an_event(world: World) -> None:
    [stream] = world.streams
    world.streams = [replace(stream, told=[*stream.told[:3], *stream.told[4:]])]


@spoils(13)
def a_reader_heard_an_event_twice(world: World) -> None:
    [stream] = world.streams
    world.streams = [replace(stream, told=[*stream.told[:4], *stream.told[3:]])]


@spoils(13)
def a_reader_heard_what_was_never_committed(world: World) -> None:
    [stream] = world.streams
    early = replace(stream.told[9], data=stream.told[9].data.replace("Reply", "Answer"))
    world.streams = [replace(stream, told=[*stream.told[:9], early])]


@spoils(13)
def a_reader_was_sent_away_before_the_end(world: World) -> None:
    [stream] = world.streams
    world.streams = [replace(stream, told=stream.told[:9], closed=True)]


@spoils(13)
def a_turn_could_not_be_followed(world: World) -> None:
    world.requests.append(Request("follow", "u01", "u01.2", None, "turn", 404, b"{}"))


@spoils(14)
def a_reply_did_not_know_what_was_said(world: World) -> None:
    steer(world)
    message, items = world.inputs[-1]
    world.inputs[-1] = (message, items[:-1])


@spoils(14)
def what_was_said_was_read_twice(world: World) -> None:
    steer(world)
    message, items = world.inputs[-1]
    world.inputs[-1] = (message, [*items, SAID])


@spoils(14)
def what_was_said_was_told_to_readers_twice(world: World) -> None:
    steer(world)
    told = happened(2)
    told[6:6] = [("user_message", {"message_id": "s9", "content": "[u01.9]"})] * 2
    world.retell("t2", told)


@spoils(14)
def a_turn_was_completed_with_something_unread(world: World) -> None:
    steer(world)
    world.steering[0] |= {"read_after_answers": None, "read_after_calls": None}
    world.retell("t2", happened(2))


@spoils(14)
def what_was_acknowledged_to_be_said_to_a_turn_is_gone(world: World) -> None:
    steer(world)
    del world.messages[3], world.steering[0]
    world.retell("t2", happened(2))
    message, items = world.inputs[-1]
    world.inputs[-1] = (message, items[:-1])


@spoils(14)
def a_message_of_a_turn_was_told_to_have_begun_one(world: World) -> None:
    steer(world)
    for place in (-1, -2):
        world.answer(place, steered=False)


@spoils(14)
def a_repeat_was_told_of_another_message(world: World) -> None:
    steer(world)
    world.answer(-1, conversation_id="other")


@spoils(15)
def a_webhook_is_not_told_of_a_turn(world: World) -> None:
    del world.told()[1]


@spoils(15)
def a_webhook_is_not_told_of_a_task(world: World) -> None:
    del world.told()[-1]


@spoils(15)
def a_webhook_is_not_told_that_something_is_asked(world: World) -> None:
    waiting(world)
    del world.told()[2]


@spoils(15)
def a_webhook_is_told_twice_that_something_is_asked(world: World) -> None:
    waiting(world)
    posts = world.told()
    posts.append(replace(posts[2], id="another"))


@spoils(15)
def a_webhook_is_not_told_that_a_task_is_gone(world: World) -> None:
    asking(world)
    del world.told()[-1]


@spoils(15)
def a_webhook_is_told_of_turns_out_of_order(world: World) -> None:
    world.told().reverse()


@spoils(15)
def a_repeat_has_another_id(world: World) -> None:
    posts = world.told()
    posts.append(replace(posts[0], id="another"))


@spoils(15)
def a_repeat_has_another_body(world: World) -> None:
    posts = world.told()
    posts.append(replace(posts[0], body=b"{}"))


@spoils(15)
def a_webhook_is_told_what_never_happened(world: World) -> None:
    posts = world.told()
    body = posts[0].body.replace(b"turn.completed", b"turn.cancelled")
    posts.append(Post("another", body))


@spoils(0)
def an_answer_to_what_was_asked_was_a_bare_500(world: World) -> None:
    asking(world)
    world.given.append(replace(world.given[2], status=500))


@spoils(6)
def a_task_that_was_deleted_is_there(world: World) -> None:
    asking(world)
    title = "u01.3 task 2"
    world.tasks.append({"user_id": "u01", "id": 4, "title": title, "completed": False})


@spoils(6)
def a_task_is_gone_that_nobody_deleted(world: World) -> None:
    asking(world)
    del world.tasks[-1]


@spoils(7, 6, 13, 17)
def what_was_refused_is_not_on_record(world: World) -> None:
    asking(world)
    del world.calls[-1]


@spoils(9)
def what_is_asked_speaks_of_another_user(world: World) -> None:
    waiting(world)
    world.feedback[0]["question"] = "May I delete u02.7 task 1?"


@spoils(9)
def an_answer_to_what_was_asked_speaks_of_another_user(world: World) -> None:
    asking(world)
    world.given.append(replace(world.given[1], body=b'"u02.7 task 1"'))


@spoils(11)
def a_turn_waits_for_longer_than_it_may(world: World) -> None:
    waiting(world)
    world.feedback[0]["expires_at"] = MOMENT - timedelta(seconds=1)


@spoils(13)
def it_is_not_told_that_something_is_asked(world: World) -> None:
    waiting(world)
    world.events.pop()


@spoils(13)
def what_became_of_a_request_is_told_otherwise(world: World) -> None:
    asking(world)
    world.change("feedback_response", "t3", status="rejected")


@spoils(13)
def what_became_of_a_request_is_told_twice(world: World) -> None:
    asking(world)
    told = world.event("feedback_response", "t3")
    [after] = [row for row in world.events if (row["turn_id"], row["seq"]) == ("t3", 10)]
    fields = json.loads(told["data"]) | {"seq": 10}
    after |= {"type": told["type"], "data": json.dumps(fields)}
    world.streams.clear()


@spoils(16)
def what_is_asked_is_not_there(world: World) -> None:
    asking(world)
    world.requests.append(
        replace(world.requests[-1], body=world.requests[-1].body.replace(b'"f1"', b'"f2"'))
    )


@spoils(16)
def what_is_asked_was_told_otherwise(world: World) -> None:
    asking(world)
    world.requests[-1] = replace(
        world.requests[-1],
        body=world.requests[-1].body.replace(b'{"task_id": 3}', b'{"task_id": 1}'),
    )


@spoils(16)
def what_one_user_is_asked_was_told_another(world: World) -> None:
    asking(world)
    world.requests.append(replace(world.requests[-1], user="u02"))


@spoils(16, 13)
def the_same_call_was_asked_about_twice(world: World) -> None:
    asking(world)
    world.feedback.append({**world.feedback[0], "id": "f0"})
    world.given.append(replace(world.given[0], id="f0"))


@spoils(16)
def two_answers_were_told_that_they_count(world: World) -> None:
    asking(world)
    world.given.append(world.given[0])


@spoils(16)
def an_answer_counts_and_another_one_is_stored(world: World) -> None:
    asking(world)
    sent = {**world.given[0].sent, "calls": {}}
    world.given[0] = replace(world.given[0], sent=sent)


@spoils(16)
def an_answer_was_told_otherwise_than_it_is_stored(world: World) -> None:
    asking(world)
    body = world.given[0].body.replace(b"approved", b"rejected")
    world.given[0] = replace(world.given[0], body=body)


@spoils(16)
def an_answer_that_was_refused_counts(world: World) -> None:
    asking(world)
    world.given[0] = replace(world.given[0], status=0)
    world.given.append(replace(world.given[0], status=409))


@spoils(16)
def a_sound_answer_was_not_understood(world: World) -> None:
    asking(world)
    world.given.append(replace(world.given[1], status=422))


@spoils(16)
def nobody_gave_the_answer_that_is_stored(world: World) -> None:
    asking(world)
    del world.given[0]


@spoils(16)
def an_answer_is_there_to_nothing(world: World) -> None:
    asking(world)
    world.given.append(replace(world.given[1], id="f2"))


@spoils(17)
def what_was_approved_is_done_as_the_model_wanted_it(world: World) -> None:
    asking(world)
    world.calls[-2]["parameters"] = {"task_id": 3}


@spoils(17)
def what_was_approved_was_not_done(world: World) -> None:
    asking(world)
    world.calls[-2] |= {"status": "failed", "result": {"error": "No task 4."}}
    for row in world.events:
        if (row["turn_id"], row["type"]) == ("t3", "tool_result") and '"k32"' in row["data"]:
            told = json.loads(row["data"]) | {"is_error": True, "result": {"error": "No task 4."}}
            row["data"] = json.dumps(told)
    world.streams.clear()
    title = "u01.3 task 2"
    world.tasks.append({"user_id": "u01", "id": 4, "title": title, "completed": False})


@spoils(17, 16)
def what_nobody_answered_was_done(world: World) -> None:
    asking(world)
    end = {"status": "expired", "answer": None, "comment": None}
    world.feedback[0] |= {**end, "decisions": None}
    world.change("feedback_response", "t3", **end)


@spoils(17, 13, 16)
def more_was_deleted_than_may_be_without_a_yes(world: World) -> None:
    asking(world)
    world.feedback.clear()
    world.calls[-1] |= {"status": "completed", "result": {"task_id": 3}}
    del world.tasks[-1]


@spoils(18)
def a_turn_waits_and_has_an_owner(world: World) -> None:
    waiting(world)
    world.turns[-1]["owner"] = "p1"


@spoils(18)
def a_turn_waits_and_has_a_lease(world: World) -> None:
    waiting(world)
    world.turns[-1]["lease_expires_at"] = MOMENT


@spoils(18, 13)
def a_turn_waits_for_nothing(world: World) -> None:
    waiting(world)
    end = {"status": "expired", "answer": None, "comment": None}
    world.feedback[0] |= {**end, "decisions": {}}


@spoils(18, 13, 16, 17)
def a_turn_is_over_and_still_asks(world: World) -> None:
    asking(world)
    world.feedback[0] |= {"status": "open", "answer": None, "comment": None, "decisions": None}


@spoils(0)
def what_was_to_be_scheduled_was_answered_500(world: World) -> None:
    world.scheduled.append(Scheduled("u01", "Again for u01.8.", [MOMENT], 500, b""))


@spoils(9)
def a_schedule_speaks_of_another_user(world: World) -> None:
    repeating(world)
    body = world.scheduled[0].body[:-1] + b', "message": "Again for u02.1."}'
    world.scheduled[0] = replace(world.scheduled[0], body=body)


@spoils(19)
def what_was_due_was_not_said(world: World) -> None:
    repeating(world)
    [one] = world.scheduled
    due = [*one.moments, one.moments[1] + timedelta(seconds=2)]
    world.scheduled[0] = replace(one, moments=due)


@spoils(19)
def what_was_due_was_said_twice(world: World) -> None:
    repeating(world)
    world.turns[-1]["idempotency_key"] = f"{world.turns[-2]['idempotency_key']} another"
    world.scheduled[0] = replace(world.scheduled[0], moments=world.scheduled[0].moments[:1])


@spoils(19)
def something_was_said_without_a_key(world: World) -> None:
    repeating(world)
    world.turns[-1]["idempotency_key"] = None


@spoils(19)
def what_was_not_due_was_said(world: World) -> None:
    repeating(world)
    told = {**world.scheduled[0].told, "next_at": world.scheduled[0].moments[1].isoformat()}
    world.scheduled[0] = replace(world.scheduled[0], body=json.dumps(told).encode())


@spoils(19)
def something_was_said_too_early(world: World) -> None:
    repeating(world)
    world.turns[-1]["created_at"] -= timedelta(seconds=1)


@spoils(19)
def something_was_said_before_what_was_due_before_it(world: World) -> None:
    repeating(world)
    first, second = world.turns[-2:]
    keys = second["idempotency_key"], first["idempotency_key"]
    first["idempotency_key"], second["idempotency_key"] = keys
    first["created_at"] = second["created_at"]


@spoils(19)
def a_schedule_never_came_to_its_end(world: World) -> None:
    repeating(world)
    world.schedules[0] |= {"status": "active", "end_reason": None, "last_error": "not_found"}


@spoils(19)
def a_schedule_that_was_acknowledged_is_not_kept(world: World) -> None:
    told = b'{"id": "w1", "next_at": "2030-01-01T00:00:00Z"}'
    world.scheduled.append(Scheduled("u01", "Again for u01.8.", [MOMENT], 201, told))


@spoils(19)
def a_schedule_that_was_refused_is_kept(world: World) -> None:
    repeating(world)
    world.scheduled[0] = replace(world.scheduled[0], status=422)


@spoils(19)
def a_schedule_is_kept_under_another_id(world: World) -> None:
    repeating(world)
    world.schedules[0]["id"] = "w2"


@spoils(19, 2)
def something_was_said_that_nobody_scheduled(world: World) -> None:
    repeating(world)
    world.scheduled.clear()


@spoils(19)
def something_was_said_elsewhere(world: World) -> None:
    repeating(world)
    world.schedules[0]["conversation_id"] = CONVERSATION


@spoils(19)
def a_schedule_does_not_know_what_it_said_last(world: World) -> None:
    repeating(world)
    world.schedules[0]["last_turn_id"] = "r1"


@pytest.mark.parametrize(
    ("invariant", "spoiling", "others"),
    [(invariant, spoiling, others) for invariant, _, spoiling, others in CASES],
    ids=[f"{invariant}-{name}" for invariant, name, _, _ in CASES],
)
def test_a_history_that_breaks_an_invariant_is_caught(
    invariant: int, spoiling: Spoiling, others: set[int]
) -> None:
    world = sound()
    spoiling(world)
    assert world.found() - others == {invariant}


def test_every_invariant_has_a_history_that_breaks_it() -> None:
    assert {invariant for invariant, *_ in CASES} == set(range(INVARIANTS + 1))
