"""A call that needs the user's yes is asked about, if the client can ask, on any process."""

from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError
from mcp.types import ElicitRequestParams, ElicitResult
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.live.served import served
from tests.mcp_http.clients import call, connected, message, post


@pytest.fixture
def always_asks(project: Path, tmp_path: Path) -> str:
    """A configuration that has every deletion asked about."""
    config = (project / "contracts/agent-config.yaml").read_text(encoding="utf-8")
    path = tmp_path / "agent.yaml"
    path.write_text(config.replace("    more_than: 1\n", ""), encoding="utf-8")
    return str(path)


def user_says(*, yes: bool, shown: list[str]) -> Any:
    async def answer(_context: Any, params: ElicitRequestParams) -> ElicitResult:
        shown.append(params.message)
        return ElicitResult(action="accept", content={"approve": yes})

    return answer


async def titles(running: RunningApp, person: Person) -> list[str]:
    page = await running.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    return [task["title"] for task in page.json()["data"]]


@pytest.mark.parametrize(("yes", "left"), [(True, []), (False, ["Milk"])])
async def test_the_clients_user_decides(
    running_app: AppMaker, always_asks: str, yes: bool, left: list[str]
) -> None:
    person, shown = Person(), list[str]()
    async with running_app(agent_config_path=always_asks) as running, served(running) as url:
        asks = user_says(yes=yes, shown=shown)
        async with connected(url, person, "2026-07-28", elicitation_callback=asks) as client:
            await client.call_tool("add_task", {"title": "Milk"})
            result = await client.call_tool("delete_task", {"task_id": 1})
        assert result.is_error != yes
        assert shown == ["May I do this? delete task task_id “1”"]
        assert await titles(running, person) == left


async def test_by_default_a_single_call_needs_no_yes(offline_app: RunningApp) -> None:
    person = Person()
    await call(offline_app.client, person, "add_task", {"title": "Milk"})
    done = await call(offline_app.client, person, "delete_task", {"task_id": 1})
    assert done.json()["result"]["structuredContent"]["status"] == "deleted"


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_a_client_that_can_ask_nobody_is_told_so_and_nothing_is_done(
    running_app: AppMaker, always_asks: str, era: str
) -> None:
    person = Person()
    async with running_app(agent_config_path=always_asks) as running, served(running) as url:
        async with connected(url, person, era) as client:
            await client.call_tool("add_task", {"title": "Milk"})
            with pytest.raises(MCPError) as refused:
                await client.call_tool("delete_task", {"task_id": 1})
        assert "yes" in str(refused.value) or "elicitation" in str(refused.value)
        assert await titles(running, person) == ["Milk"]


async def test_the_answer_may_come_to_another_process(
    running_app: AppMaker, always_asks: str
) -> None:
    person, stranger = Person(), Person()
    async with (
        running_app(agent_config_path=always_asks) as one,
        running_app(agent_config_path=always_asks) as other,
    ):
        for owner in (person, stranger):
            await call(one.client, owner, "add_task", {"title": "Milk"})
        asked = (await call(one.client, person, "delete_task", {"task_id": 1})).json()["result"]
        assert asked["resultType"] == "input_required"
        [key] = asked["inputRequests"]
        said = {
            "inputResponses": {key: {"action": "accept", "content": {"approve": True}}},
            "requestState": asked["requestState"],
        }
        for tampered in (
            {**said, "requestState": asked["requestState"][:-4] + "AAAA"},
            {**said, "requestState": "made up"},
        ):
            forged = await call(other.client, person, "delete_task", {"task_id": 1}, **tampered)
            assert forged.json()["error"]["code"] == -32602
        stolen = await call(other.client, stranger, "delete_task", {"task_id": 1}, **said)
        assert stolen.json()["error"]["code"] == -32602
        assert await titles(other, stranger) == ["Milk"]
        done = (await call(other.client, person, "delete_task", {"task_id": 1}, **said)).json()
        assert done["result"]["structuredContent"]["status"] == "deleted"
        assert await titles(one, person) == []


async def test_listing_asks_nothing(running_app: AppMaker, always_asks: str) -> None:
    async with running_app(agent_config_path=always_asks) as running:
        listed = await post(running.client, Person(), message("tools/list"))
        assert len(listed.json()["result"]["tools"]) == 5
