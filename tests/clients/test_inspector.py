"""The MCP Inspector, as its makers publish it, lists the tools and calls one."""

import json
from pathlib import Path
from typing import Any

from tests import programs
from tests.clients import node
from tests.conftest import RunningApp
from tests.factories import Person
from tests.live.served import served

PROGRAM = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"


class Inspector:
    """The Inspector's command line, without what somebody's own Inspector remembers."""

    def __init__(self, modules: Path, home: Path, url: str, person: Person) -> None:
        token = person.headers["Authorization"]
        self._command = [
            *(str(node.node()), str(modules / PROGRAM), "--cli", f"{url}/mcp"),
            *("--transport", "http", "--header", f"Authorization: {token}"),
        ]
        self._home = home

    async def run(self, *arguments: str) -> programs.Ended:
        """Run it to its end."""
        env = {**node.environment(), "HOME": str(self._home)}
        return await programs.run(*self._command, *arguments, folder=self._home, env=env)

    async def answer(self, *arguments: str) -> Any:
        """What it prints; it has to end with 0."""
        return json.loads((await self.run(*arguments)).well())


async def test_the_inspector_lists_the_tools_and_finds_nothing_to_complain_about(
    offline_app: RunningApp, node_modules: Path, tmp_path: Path
) -> None:
    async with served(offline_app) as url:
        inspector = Inspector(node_modules, tmp_path, url, Person())
        listed = await inspector.answer("--method", "tools/list", "--strict")
    names = [tool["name"] for tool in listed["tools"]]
    assert names == ["add_task", "list_tasks", "complete_task", "delete_task", "update_task"]


async def test_the_inspector_calls_a_tool(
    offline_app: RunningApp, node_modules: Path, tmp_path: Path
) -> None:
    person = Person()
    async with served(offline_app) as url:
        inspector = Inspector(node_modules, tmp_path, url, person)
        call = ("--method", "tools/call", "--tool-name")
        made = await inspector.answer(*call, "add_task", "--tool-arg", "title=Milk")
        refused = await inspector.run(*call, "complete_task", "--tool-arg", "task_id=9")
    assert made["structuredContent"] == {"task_id": 1, "status": "created", "title": "Milk"}
    assert json.loads(refused.out)["isError"] is True
    assert refused.code != 0
    page = await offline_app.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    assert [task["title"] for task in page.json()["data"]] == ["Milk"]
