"""The checker sees what it is there to see: each history here breaks one invariant, and only that.

A sound history is made by hand; every test spoils one thing in a copy of it.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.faults.checker import Evidence, Request, check
from tests.faults.model_server import ModelCall
from tests.faults.scripts import Item

CONVERSATION = "c1"
MOMENT = datetime(2026, 11, 20, tzinfo=UTC)


@dataclass
class World:
    """A sound history of one user's conversation, in a form that can be spoiled."""

    requests: list[Request] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    conversations: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[tuple[str, list[Item]]] = field(default_factory=list)
    decided: dict[str, frozenset[str]] = field(default_factory=dict)
    crashes: list[str] = field(default_factory=list)

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
            calls=self.calls,
            answers=self.answers,
            tasks=self.tasks,
            conversations=self.conversations,
            asked=asked,
            items=items,
            decided=self.decided,
            crashes=self.crashes,
        )

    def found(self) -> set[int]:
        """The invariants that are violated."""
        return {violation.invariant for violation in check(self.evidence())}

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


def sound() -> World:
    """Two completed turns, each of which adds one task; the second key was used twice."""
    world = World(conversations=[{"id": CONVERSATION, "user_id": "u01", "last_turn": 2}])
    past: list[Item] = []
    for number in (1, 2):
        message, turn, call_id = f"u01.{number}", f"t{number}", f"call_u01.{number}_s1_1_ab{number}"
        title, text, reply = f"{message} task 1", f"[{message}] add:1", f"Reply to {message}."
        call = {"id": f"k{number}", "tool_name": "add_task"}
        facts = {
            "turn_id": turn,
            "conversation_id": CONVERSATION,
            "response": reply,
            "tool_calls": [call],
        }
        body = json.dumps(facts).encode()
        told = Request("say", "u01", message, f"key{number}", "turn", 200, body)
        world.requests += [told] * number
        world.turns.append(
            {
                "id": turn,
                "user_id": "u01",
                "conversation_id": CONVERSATION,
                "number": number,
                "status": "completed",
                "attempt": 1,
                "deaths": 0,
                "result": body.decode(),
                "model_calls": 2,
                "input_tokens": 20,
                "finished_at": MOMENT,
            }
        )
        row = {"user_id": "u01", "turn_id": turn, "turn_number": number}
        world.messages += [
            {**row, "position": 0, "content": text},
            {**row, "position": 1, "content": reply},
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
        world.tasks.append({"user_id": "u01", "id": number, "title": title, "completed": False})
        world.decided[message] = frozenset({call_id})
        user: Item = {"role": "user", "content": text}
        now = pair(call_id, title, number)
        world.inputs += [(message, [*past, user]), (message, [*past, user, *now])]
        past = [*past, user, *now, {"role": "assistant", "content": reply}]
    return world


def test_a_sound_history_violates_nothing() -> None:
    assert check(sound().evidence()) == []


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
def a_turn_that_was_taken_over_read_another_past(world: World) -> None:
    message, items = deepcopy(world.inputs[-1])
    world.inputs.append((message, [*items[:2], {**items[2], "output": "other"}, *items[3:]]))


@spoils(4)
def a_past_changed_between_two_turns(world: World) -> None:
    third = {**world.turns[1], "id": "t3", "number": 3, "status": "failed"}
    third |= {"result": '{"error_code": "timeout"}'}
    world.turns.append(third)
    world.conversations[0]["last_turn"] = 3
    said = {"user_id": "u01", "turn_id": "t3", "turn_number": 3, "position": 0}
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


@spoils(6, 7)
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


@spoils(9, 6, 7)
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


@spoils(10)
def a_model_read_a_call_without_its_output(world: World) -> None:
    message, items = world.inputs[1]
    world.inputs[1] = (message, items[:2])


@spoils(10)
def a_model_read_an_output_without_its_call(world: World) -> None:
    message, items = world.inputs[1]
    world.inputs[1] = (message, [items[0], items[2]])


@spoils(11)
def a_turn_never_ended(world: World) -> None:
    world.turns[1] |= {"status": "running", "finished_at": None}
    world.requests = [replace(request, status=0, body=b"") for request in world.requests]
    del world.messages[3]


@spoils(12)
def a_turn_counts_too_many_calls(world: World) -> None:
    world.turns[0]["model_calls"] = 3


@spoils(12)
def a_turn_died_more_often_than_it_was_tried(world: World) -> None:
    world.turns[0]["deaths"] = 1


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
    assert {invariant for invariant, *_ in CASES} == set(range(13))
