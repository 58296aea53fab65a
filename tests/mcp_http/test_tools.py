"""`/mcp` gives outside clients the task tools of their user, in both eras of the protocol."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.live.served import served
from tests.mcp_http.clients import ERAS, call, connected, message, post, text_of


@pytest.mark.parametrize("era", ERAS)
async def test_the_tools_are_those_of_the_contract(
    offline_app: RunningApp, project: Path, era: str
) -> None:
    contract = json.loads((project / "contracts/mcp-tools.json").read_text(encoding="utf-8"))
    async with served(offline_app) as url, connected(url, Person(), era) as client:
        listed = (await client.list_tools()).tools
    told = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed]
    assert told == contract["tools"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_changes_the_tasks_of_the_tokens_user(
    offline_app: RunningApp, era: str
) -> None:
    person, stranger = Person(), Person()
    async with served(offline_app) as url:
        async with connected(url, person, era) as client:
            added = await client.call_tool("add_task", {"title": "Milk", "user_id": person.user_id})
            await client.call_tool("complete_task", {"task_id": 1})
        async with connected(url, stranger, era) as client:
            seen = await client.call_tool("list_tasks", {})
            taken = await client.call_tool("delete_task", {"task_id": 1})
    assert added.structured_content == {"task_id": 1, "status": "created", "title": "Milk"}
    assert json.loads(text_of(added)) == added.structured_content
    assert seen.structured_content == {"tasks": [], "total": 0}
    assert taken.is_error
    page = (
        await offline_app.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    ).json()
    assert [(task["title"], task["completed"]) for task in page["data"]] == [("Milk", True)]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("complete_task", {"task_id": 9}, "No task 9. Call list_tasks to see the ids."),
        ("add_task", {"title": " "}, "The title"),
        ("add_task", {"title": 7}, "The arguments of add_task do not fit"),
        ("add_task", {"title": "A", "user_id": "somebody-else"}, "Leave user_id out"),
        ("schedule_message", {"message": "A"}, "There is no tool 'schedule_message'"),
        ("no_such", {}, "There is no tool 'no_such'"),
    ],
)
async def test_what_a_tool_refuses_says_what_to_do_next(
    offline_app: RunningApp, era: str, name: str, arguments: dict[str, object], said: str
) -> None:
    async with served(offline_app) as url, connected(url, Person(), era) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    assert text_of(result).startswith(said)


async def test_tools_that_the_agent_may_not_call_are_neither_listed_nor_called(
    running_app: AppMaker, project: Path, tmp_path: Path
) -> None:
    config = (project / "contracts/agent-config.yaml").read_text(encoding="utf-8")
    without = config.replace(
        "allowed: [add_task, list_tasks, complete_task, delete_task, update_task]",
        "allowed: [add_task, list_tasks]",
    ).replace("approvals:\n  - tool: delete_task\n    more_than: 1\n", "approvals: []\n")
    path = tmp_path / "agent.yaml"
    path.write_text(without, encoding="utf-8")
    person = Person()
    async with running_app(agent_config_path=str(path)) as running:
        listed = await post(running.client, person, message("tools/list"))
        refused = await call(running.client, person, "delete_task", {"task_id": 1})
    assert [tool["name"] for tool in listed.json()["result"]["tools"]] == ["add_task", "list_tasks"]
    assert refused.json()["result"]["isError"] is True


async def test_any_process_answers_any_message(running_app: AppMaker) -> None:
    person = Person()
    async with running_app() as one, running_app() as other:
        for number, running in enumerate([one, other, one], start=1):
            made = await call(running.client, person, "add_task", {"title": f"Task {number}"})
            assert made.json()["result"]["structuredContent"]["task_id"] == number


async def test_a_call_that_can_not_get_at_the_database_says_so_in_time(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with running_app(tool_timeout_s=0.5) as running:
        await call(running.client, person, "add_task", {"title": "First"})
        async with superuser.begin() as connection:
            held = text("SELECT id FROM users WHERE id = :id FOR UPDATE")
            await connection.execute(held, {"id": person.user_id})
            answer = await call(running.client, person, "add_task", {"title": "Second"})
        after = await call(running.client, person, "add_task", {"title": "Third"})
    assert answer.status_code == 200
    assert answer.json()["result"]["isError"] is True
    assert "repeat the request" in answer.json()["result"]["content"][0]["text"]
    assert after.json()["result"]["structuredContent"]["task_id"] == 2


async def test_a_hundred_calls_at_once_are_a_hundred_tasks(offline_app: RunningApp) -> None:
    person = Person()
    answers = await asyncio.gather(
        *(
            call(offline_app.client, person, "add_task", {"title": f"Task {number}"})
            for number in range(100)
        )
    )
    made = {answer.json()["result"]["structuredContent"]["task_id"] for answer in answers}
    assert made == set(range(1, 101))


async def test_a_notification_gets_202_and_no_body(offline_app: RunningApp) -> None:
    person = Person()
    told = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
    answer = await offline_app.client.post(
        "/mcp",
        json=told,
        headers={
            **person.headers,
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
        },
    )
    assert (answer.status_code, answer.content) == (202, b"")


@pytest.mark.parametrize("method", ["resources/list", "prompts/list", "server/discover"])
async def test_what_a_server_of_tools_has_besides_is_answered(
    offline_app: RunningApp, method: str
) -> None:
    answer = await post(offline_app.client, Person(), message(method))
    assert "result" in answer.json()


@pytest.mark.parametrize("method", ["subscriptions/listen", "no/such", "tools/lost"])
async def test_a_method_that_is_not_served_is_an_error_of_the_protocol(
    offline_app: RunningApp, method: str
) -> None:
    answer = await post(offline_app.client, Person(), message(method))
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["code"] in (-32601, -32602)
    assert answer.json()["id"] == 7
