"""What tests are given: a server, users, scripts, and the service's log beside what fails."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import JWT_SECRET
from tests.pytest_plugin.runs import folder_with, run

from taskchat_pytest import TaskchatServer, TaskchatUser, plugin
from taskchat_pytest.running import end_of

ADD_MILK: Any = {"call": {"tool": "add_task", "arguments": {"title": "Milk — ü"}}}


@pytest.fixture
def server(url: str) -> TaskchatServer:
    """What the fixture would give."""
    return TaskchatServer(url, JWT_SECRET)


async def say(
    server: TaskchatServer,
    user: TaskchatUser,
    message: str,
    script: dict[str, str],
    conversation: str | None = None,
) -> Any:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        answer = await client.post(
            f"/api/{user.id}/chat?messages=turn",
            json={"message": message, "conversation_id": conversation},
            headers=user.headers | script,
        )
    return answer.json()


async def test_one_script_states_the_turns_of_a_conversation_in_order(
    server: TaskchatServer,
) -> None:
    user = server.new_user()
    script = server.script([ADD_MILK, {"say": "Added."}], "You need milk.")
    first = await say(server, user, "Milk!", script)
    second = await say(server, user, "And?", script, first["conversation_id"])
    assert first["response"] == "Added."
    assert first["tool_calls"][0]["result"] == {
        "task_id": 1,
        "status": "created",
        "title": "Milk — ü",
    }
    assert second["response"] == "You need milk."
    third = await say(server, user, "And?", script, first["conversation_id"])
    assert third["error_code"] == "script_error"
    assert "Model call 1 of turn 3 is not scripted" in third["error"]


async def test_a_script_for_the_next_turns_begins_behind_those_that_were(
    server: TaskchatServer,
) -> None:
    user = server.new_user()
    first = await say(server, user, "Hello", {})
    later = server.script("Wet.", {"message": "*more*", "answers": [{"say": "More."}]}, after=1)
    second = await say(server, user, "Weather?", later, first["conversation_id"])
    third = await say(server, user, "Tell me more", later, first["conversation_id"])
    assert [second["response"], third["response"]] == ["Wet.", "More."]
    rest = server.script("Wet.", fallback="offline")
    fourth = await say(server, user, "Add task: Bread", rest, first["conversation_id"])
    assert fourth["tool_calls"][0]["result"]["title"] == "Bread"


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        ([], "what should be a script is no script: turns: "),
        ([[{"sya": "Hello"}]], "turns.0.answers.0.sya: Extra inputs are not permitted"),
        ([[]], "turns.0.answers: "),
    ],
    ids=["nothing", "typo", "no answer"],
)
def test_what_is_no_script_is_refused_where_it_is_written(turns: list[Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        TaskchatServer("http://127.0.0.1:1", None).script(*turns)


def test_without_its_secret_there_are_no_tokens_and_the_error_says_how_to_get_it() -> None:
    with pytest.raises(ValueError, match="--taskchat-setting TASKCHAT_JWT_SECRET"):
        TaskchatServer("http://127.0.0.1:1", None).new_user()


def test_nothing_is_shown_of_a_log_that_is_not_there(tmp_path: Path) -> None:
    assert end_of(None) == end_of(tmp_path / "none.log") == ""
    (tmp_path / "some.log").write_text("".join(f"{line}\n" for line in range(100)))
    assert end_of(tmp_path / "some.log") == "\n".join(map(str, range(60, 100)))


class Options:
    """Takes note of the options that a plugin adds."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def getgroup(self, *_: str) -> "Options":
        return self

    def addoption(self, name: str, **_: object) -> None:
        self.names.add(name)

    def addini(self, name: str, *_: str, **__: object) -> None:
        self.names.add(name)


def test_the_page_has_every_option_fixture_and_member_and_no_others(project: Path) -> None:
    page = (project / "docs/pytest-plugin.md").read_text(encoding="utf-8")
    told = [row.split(" | ")[0] for row in page.splitlines() if row.startswith("| `")]
    names = [name for cell in told for name in re.findall(r"`(\w+)[`(]", cell)]
    members = {name for name in dir(TaskchatServer) if not name.startswith("_")}
    assert sorted(names) == sorted(members | {"taskchat_server", "taskchat_user"})
    added: Any = Options()
    plugin.pytest_addoption(added)
    rows = re.findall(r"^\|(?: `(--[a-z-]+) [A-Z=]+`)? \| `(\w+)`", page, re.MULTILINE)
    assert {name for row in rows for name in row if name} == added.names


async def test_the_page_of_the_plugin_is_a_test_that_passes(
    url: str, tmp_path: Path, project: Path
) -> None:
    page = (project / "docs/pytest-plugin.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ran = await run(
        folder_with(tmp_path, shown, f"taskchat_url = {url}\n"),
        "--taskchat-setting=TASKCHAT_JWT_SECRET",
        TASKCHAT_JWT_SECRET=JWT_SECRET,
    )
    assert ran.code == 0, ran.output
    assert ran.counts(passed=2), ran.output
