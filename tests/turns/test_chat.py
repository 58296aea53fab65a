"""The chat turn, through the real app with the offline and with scripted models."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted


async def rows(superuser: AsyncEngine, statement: str, **values: Any) -> list[Any]:
    async with superuser.connect() as connection:
        return list((await connection.execute(text(statement), values)).all())


async def test_a_message_becomes_a_task_in_postgres(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = Person()
    answer = await person.say(offline_app.client, "Add task: Buy groceries")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "success"
    assert body["model"] == "offline"
    [call] = body["tool_calls"]
    assert call["tool_name"] == "add_task"
    assert call["parameters"] == {"title": "Buy groceries"}
    assert call["result"] == {"task_id": 1, "status": "created", "title": "Buy groceries"}
    assert call["status"] == "completed"
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]
    assert body["messages"][0]["tool_calls"] == []
    assert body["messages"][1]["tool_calls"] == body["tool_calls"]
    assert body["has_more"] is False
    owner = {"owner": person.user_id}
    assert await rows(superuser, "SELECT id, title FROM tasks WHERE user_id = :owner", **owner) == [
        (1, "Buy groceries")
    ]
    assert await rows(
        superuser, "SELECT role FROM messages WHERE user_id = :owner ORDER BY position", **owner
    ) == [("user",), ("assistant",)]
    assert await rows(
        superuser, "SELECT tool_name, status FROM tool_calls WHERE user_id = :owner", **owner
    ) == [("add_task", "completed")]
    assert await rows(
        superuser, "SELECT status, number, channel FROM turns WHERE user_id = :owner", **owner
    ) == [("completed", 1, "rest")]


async def test_all_five_tools_work_through_ten_turns_of_one_conversation(
    offline_app: RunningApp,
) -> None:
    person = Person()
    conversation: str | None = None
    used: list[str] = []
    for message in (
        "Add task: Buy groceries",
        "Remind me to call mom",
        "Add a task to pay the rent",
        "Show me all my tasks",
        "Mark the first one as done",
        "Rename task 2 to call mom tonight",
        "Delete the rent task",
        "What's still pending?",
        "What have I completed?",
        "Thanks!",
    ):
        answer = await person.say(offline_app.client, message, conversation_id=conversation)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        conversation = body["conversation_id"]
        used += [call["tool_name"] for call in body["tool_calls"]]
    assert set(used) == {
        "add_task",
        "list_tasks",
        "complete_task",
        "update_task",
        "delete_task",
    }
    assert len(body["messages"]) == 20
    listed = await offline_app.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    assert [(task["id"], task["title"], task["completed"]) for task in listed.json()["data"]] == [
        (1, "Buy groceries", True),
        (2, "call mom tonight", False),
    ]


async def test_tool_calls_of_one_answer_run_in_the_order_they_were_made(
    running_app: AppMaker,
) -> None:
    _, chain = scripted(
        [calls_tool("add_task", {"title": name}) for name in ("one", "two", "three")],
        says("Done."),
    )
    async with running_app(chain=chain) as running:
        body = (await Person().say(running.client, "three tasks")).json()
    assert [call["result"]["task_id"] for call in body["tool_calls"]] == [1, 2, 3]
    assert [call["parameters"]["title"] for call in body["tool_calls"]] == ["one", "two", "three"]


@pytest.mark.parametrize("scope", ["all", "turn"])
async def test_a_repeated_key_gets_the_same_bytes(client: Any, scope: str) -> None:
    person = Person()
    first = await person.say(client, "Add task: Iron shirts")
    conversation = first.json()["conversation_id"]
    options = {"params": {"messages": scope}, "conversation_id": conversation, "key": "k 1"}
    once = await person.say(client, "Add task: Book haircut", **options)
    await person.say(client, "Add task: Something later", conversation_id=conversation)
    again = await person.say(client, "Add task: Book haircut", **options)
    assert once.status_code == again.status_code == 200
    assert again.content == once.content
    assert "idempotent-replayed" not in once.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(once.json()["messages"]) == (4 if scope == "all" else 2)
    assert once.json()["has_more"] is (scope == "turn")
