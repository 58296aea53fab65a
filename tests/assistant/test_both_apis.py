"""One conversation, four ways: the same rows, and the same history in front of the model."""

import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.assistant.talk import WAYS, Way, talking
from tests.assistant.vendor.endpoint import Request, vendor
from tests.assistant.vendor.steps import calls, calls_raw, counting, says
from tests.conftest import AppMaker
from tests.factories import person_in

from taskchat.conversations.history import tokens_of, turn_items
from taskchat.conversations.past import PastTurn
from taskchat.moments import new_id
from taskchat.postgres.database import Database

TABLES = {
    "conversations": "title, status, last_turn",
    "messages": "turn_number, position, role, content",
    "model_answers": "number, model, input_tokens, cached_input_tokens, output_tokens",
    "model_calls": "number, model, input_tokens, cached_input_tokens, output_tokens, cost",
    "tasks": "id, title, description, completed",
    "tool_calls": "position, tool_name, parameters, result, status",
    "usage_days": "model, turns, model_calls, input_tokens, cached_input_tokens, output_tokens,"
    " cost, unpriced_calls",
    "turns": "number, status, attempt, deaths, model, model_calls, input_tokens, output_tokens,"
    " result",
}
"""What is the same in each way. Left out are ids, moments, durations, and by which channel."""

CHANGING = {"id", "turn_id", "conversation_id", "created_at", "executed_at", "duration_ms"}


def steady(value: Any) -> Any:
    """JSON without what changes from run to run."""
    if isinstance(value, dict):
        return {name: steady(one) for name, one in value.items() if name not in CHANGING}
    if isinstance(value, list):
        return [steady(one) for one in value]
    return value


async def rows_of(superuser: AsyncEngine, user_id: str) -> dict[str, list[dict[str, Any]]]:
    """All that is stored of a user, table by table."""
    rows: dict[str, list[dict[str, Any]]] = {}
    async with superuser.connect() as connection:
        for table, columns in TABLES.items():
            found = await connection.execute(
                text(f"SELECT {columns} FROM {table} WHERE user_id = :user"), {"user": user_id}
            )
            rows[table] = sorted((dict(row._mapping) for row in found), key=repr)
    for turn in rows["turns"]:
        turn["result"] = steady(json.loads(turn["result"]))
    return rows


async def test_the_same_turns_leave_the_same_rows_in_each_way(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    script = [
        calls("add_task", title="Buy milk", description="Two litres", tokens=(20, 7)),
        calls_raw("list_tasks", '{"status":"all"}'),
        counting(says("“Buy milk” is on your list. 🥛"), 30, 8, cached=20),
        calls("complete_task", task_id=7),
        says("There is no task 7."),
    ]
    found, told = {}, {}
    for way in WAYS:
        async with vendor(scripts={"gpt-a": script}) as standing:
            async with talking(running_app, standing, way) as talk:
                outcomes = [await talk.say("Add milk"), await talk.say("Complete task 7")]
        found[way] = await rows_of(superuser, talk.person.user_id)
        told[way] = [
            [event["type"] for event in outcome.events if event["type"] != "stream_chunk"]
            for outcome in outcomes
        ]
    first, *others = WAYS
    assert [len(rows) for rows in found[first].values()] == [1, 4, 3, 5, 1, 3, 1, 2]
    assert found[first]["turns"][0]["input_tokens"] == 60
    for way in others:
        assert found[way] == found[first], way
    for streams in (False, True):
        events = [told[way] for way in WAYS if way.streams is streams]
        assert events[0] == events[1]


TURNS = 270
"""Some 500 messages: every tenth got no reply."""


def past(number: int) -> PastTurn:
    """A turn of long ago; every third calls tools, some failed, all differ in length."""
    made = [
        {
            "call_id": f"call_{number}_{place}",
            "tool_name": "add_task" if place else "list_tasks",
            "parameters": {"title": f"Task {number}"} if place else {},
            "result": {"task_id": number, "status": "created", "title": f"Task {number}"},
            "status": "completed",
        }
        for place in range(2 if number % 3 == 0 else 0)
    ]
    reply = None if number % 10 == 7 else f"Reply {number}. " + "so it is " * (number % 23)
    return PastTurn(number, f"Message {number}. " + "and more " * (number % 17), made, reply)


async def remember(superuser: AsyncEngine, user_id: str, turns: list[PastTurn]) -> str:
    """A conversation that consists of these turns; its id."""
    conversation = new_id()
    ids = {turn.number: new_id() for turn in turns}
    owned = {"user_id": user_id, "conversation_id": conversation}
    messages, made = [], []
    for turn in turns:
        placed = {**owned, "turn_id": ids[turn.number], "turn_number": turn.number}
        said = [("user", turn.said), ("assistant", turn.reply)]
        for position, (role, content) in enumerate(said):
            if content is not None:
                message = {"id": new_id(), "position": position, "role": role, "content": content}
                messages.append(placed | message)
        for position, call in enumerate(turn.calls):
            made.append(
                {
                    "user_id": user_id,
                    "id": new_id(),
                    "turn_id": ids[turn.number],
                    "position": position,
                    "duration_ms": 1,
                    **call,
                    "parameters": json.dumps(call["parameters"]),
                    "result": json.dumps(call["result"]),
                }
            )
    statements = [
        (
            "INSERT INTO conversations (user_id, id, last_turn) VALUES (:user_id, :id, :last)",
            [{"user_id": user_id, "id": conversation, "last": len(turns)}],
        ),
        (
            "INSERT INTO turns (user_id, id, conversation_id, number, channel, status, result,"
            " finished_at) VALUES (:user_id, :id, :conversation_id, :number, 'rest', :status,"
            " '{}', now())",
            [
                {
                    **owned,
                    "id": ids[turn.number],
                    "number": turn.number,
                    "status": "failed" if turn.reply is None else "completed",
                }
                for turn in turns
            ],
        ),
        (
            "INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number, position,"
            " role, content) VALUES (:user_id, :id, :conversation_id, :turn_id, :turn_number,"
            " :position, :role, :content)",
            messages,
        ),
        (
            "INSERT INTO tool_calls (user_id, id, turn_id, call_id, position, tool_name,"
            " parameters, result, status, duration_ms) VALUES (:user_id, :id, :turn_id, :call_id,"
            " :position, :tool_name, CAST(:parameters AS json), CAST(:result AS json), :status,"
            " :duration_ms)",
            made,
        ),
    ]
    async with superuser.begin() as connection:
        for statement, values in statements:
            await connection.execute(text(statement), values)
    return str(conversation)


def told(request: Request) -> list[dict[str, Any]]:
    """What the model is told, in the form of the Responses API whichever it was told in."""
    if request.api == "responses":
        return [
            {name: value for name, value in item.items() if name not in {"id", "status"}}
            for item in request.items
        ]
    items: list[dict[str, Any]] = []
    for message in request.items:
        if message["role"] == "tool":
            items.append(
                {
                    "type": "function_call_output",
                    "call_id": message["tool_call_id"],
                    "output": message["content"],
                }
            )
            continue
        if message.get("content"):
            items.append({"role": message["role"], "content": message["content"]})
        items.extend(
            {"type": "function_call", "call_id": call["id"], **call["function"]}
            for call in message.get("tool_calls") or ()
        )
    return items


@pytest.mark.parametrize("limits", [{}, {"history_turns_max": 1000}, {"history_tokens_max": 700}])
async def test_of_a_long_conversation_the_model_is_told_the_newest_turns_that_fit(
    running_app: AppMaker,
    database: Database,
    superuser: AsyncEngine,
    way: Way,
    limits: dict[str, int],
) -> None:
    turns = [past(number) for number in range(1, TURNS + 1)]
    tokens_max = limits.get("history_tokens_max", 8000)
    # The agent's configuration allows no more than these, whatever the settings say.
    turns_max = min(limits.get("history_turns_max", 100), 100)
    async with vendor(scripts={"gpt-a": [says("I remember.")]}) as standing:
        async with talking(running_app, standing, way, **limits) as talk:
            talk.person = await person_in(database)
            talk.conversation_id = await remember(superuser, talk.person.user_id, turns)
            assert (await talk.ask("And now?")).reply == "I remember."
    [request] = standing.requests
    *history, last = told(request)
    assert last == {"role": "user", "content": "And now?"}
    count = sum(item.get("role") == "user" for item in history)
    newest = turns[TURNS - count :]
    # Whole turns in order, whole pairs in their turns, up to the newest.
    assert history == [item for turn in newest for item in turn_items(turn)]
    assert 0 < tokens_of(history) <= tokens_max
    # One more would have been too much.
    older = tokens_of(turn_items(turns[TURNS - count - 1]))
    assert tokens_of(history) + older > tokens_max or count == turns_max
