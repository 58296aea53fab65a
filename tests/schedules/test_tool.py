"""The tool by which the agent schedules a message: offered where the configuration says so."""

import json
from pathlib import Path
from typing import Any

import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says
from tests.feedback.test_approvals import ended as ended_turn
from tests.feedback.test_approvals import outputs, respond
from tests.schedules.acting import let_come, read, say_due, turns_of
from tests.schedules.test_saying import ended

from taskchat.assistant.approvals import ApprovalRule
from taskchat.assistant.instructions import load_agent_config
from taskchat.assistant.models.asking import NamedModel
from taskchat.settings import Settings

DAILY = {"message": "What is due?", "rule": "FREQ=DAILY;BYHOUR=8;BYMINUTE=0"}


@pytest.fixture
def may_schedule(tmp_path: Path, project: Path) -> str:
    """A configuration that offers the tool."""
    text = (project / "contracts/agent-config.yaml").read_text(encoding="utf-8")
    path = tmp_path / "agent.yaml"
    path.write_text(text.replace("allowed: [", "allowed: [schedule_message, "), encoding="utf-8")
    return str(path)


class Scheduling:
    """A model that schedules something, and repeats what it was told."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.offered: set[str] = set()
        self.arguments = arguments
        self.chain = [NamedModel("scripted", ScriptedModel([ModelStep.respond(self._answer)] * 30))]

    async def _answer(self, call: ModelCall) -> Any:
        self.offered = {tool.name for tool in call.tools}
        if call.input[-1].get("role") == "user" and "remind" in str(call.input[-1]["content"]):
            return [calls_tool("schedule_message", self.arguments)]
        return says(str((outputs(call) or ["nothing"])[-1]))


async def listed(running: RunningApp, person: Person) -> list[dict[str, Any]]:
    answer = await running.client.get(f"/api/{person.user_id}/schedules", headers=person.headers)
    return list(answer.json()["data"])


async def test_what_the_agent_schedules_is_said_in_its_conversation(
    running_app: AppMaker, may_schedule: str, superuser: AsyncEngine
) -> None:
    model = Scheduling({**DAILY, "time_zone": "Europe/Berlin"})
    async with running_app(chain=model.chain, agent_config_path=may_schedule) as running:
        person = Person()
        body = (await person.say(running.client, "remind me")).json()
        [call] = body["tool_calls"]
        assert (call["tool_name"], call["status"]) == ("schedule_message", "completed")
        [schedule] = await listed(running, person)
        assert call["result"] == {
            "schedule_id": schedule["id"],
            "status": "scheduled",
            "next_at": call["result"]["next_at"],
        }
        assert json.loads(body["response"]) == call["result"]
        assert schedule["conversation_id"] == body["conversation_id"]
        assert (schedule["message"], schedule["rule"]) == (DAILY["message"], DAILY["rule"])
        assert (schedule["time_zone"], schedule["status"]) == ("Europe/Berlin", "active")
        await let_come(superuser, schedule["id"])
        await say_due(running)
        turns = await ended(superuser, person, 2)
        assert [turn.content for turn in turns] == ["remind me", "What is due?"]
        assert turns[1].id is not None
        assert (await read(running, person, schedule["id"]))["last_turn_id"] == str(turns[1].id)


async def test_the_tool_is_not_offered_by_default(
    running_app: AppMaker, project: Path, superuser: AsyncEngine
) -> None:
    model = Scheduling(DAILY)
    async with running_app(chain=model.chain) as running:
        person = Person()
        body = (await person.say(running.client, "hello")).json()
        assert body["response"] == "nothing"
        assert "schedule_message" not in model.offered
        assert len(model.offered) == 5
        # A model that calls it all the same schedules nothing.
        await person.say(running.client, "remind me")
        assert await listed(running, person) == []
        assert all(turn.channel == "rest" for turn in await turns_of(superuser, person))
    tools = json.loads((project / "contracts/mcp-tools.json").read_text(encoding="utf-8"))
    assert "schedule_message" not in json.dumps(tools)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"message": "x"}, "at or a rule"),
        ({"message": "x", "rule": "every day"}, "RFC 5545"),
        ({"message": "x", "rule": "FREQ=MINUTELY;BYSECOND=1,2"}, "60 seconds"),
        ({"message": "x", "at": "2001-01-01T00:00:00Z"}, "still to come"),
        ({"message": "x", "at": "2035-01-01T00:00:00"}, "do not fit: at"),
        ({"message": "", "rule": "FREQ=DAILY"}, "do not fit: message"),
        ({"message": "x", "rule": "FREQ=DAILY", "time_zone": "Mars"}, "time_zone"),
        ({"message": "x" * 101, "rule": "FREQ=DAILY"}, "100 characters"),
        ({"rule": "FREQ=DAILY"}, "do not fit: message"),
    ],
)
async def test_the_model_is_told_what_is_wrong(
    running_app: AppMaker, may_schedule: str, arguments: dict[str, Any], told: str
) -> None:
    model = Scheduling(arguments)
    async with running_app(
        chain=model.chain, agent_config_path=may_schedule, message_chars_max=100
    ) as running:
        person = Person()
        body = (await person.say(running.client, "remind me")).json()
        assert told in body["response"], body
        assert [call["status"] for call in body["tool_calls"]] == ["failed"]
        assert await listed(running, person) == []


async def test_the_agent_has_no_more_schedules_than_its_user(
    running_app: AppMaker, may_schedule: str
) -> None:
    model = Scheduling(DAILY)
    async with running_app(
        chain=model.chain, agent_config_path=may_schedule, schedules_max=1
    ) as running:
        person = Person()
        await person.say(running.client, "remind me")
        body = (await person.say(running.client, "remind me")).json()
        assert "as many schedules as you may" in body["response"]
        assert [call["status"] for call in body["tool_calls"]] == ["failed"]
        assert len(await listed(running, person)) == 1


@pytest.fixture
def must_ask(may_schedule: str) -> str:
    """A configuration that offers the tool, and asks before it is called."""
    path = Path(may_schedule)
    text = path.read_text(encoding="utf-8")
    rule = "approvals:\n  - tool: schedule_message\n"
    path.write_text(text.replace("approvals:\n", rule), encoding="utf-8")
    return may_schedule


async def test_it_can_need_a_yes(running_app: AppMaker, must_ask: str) -> None:
    config = load_agent_config(Settings(_env_file=None, agent_config_path=must_ask))
    assert ApprovalRule(tool="schedule_message") in config.approvals
    model = Scheduling(DAILY)
    async with running_app(chain=model.chain, agent_config_path=must_ask) as running:
        person = Person()
        asked = await person.say(running.client, "remind me")
        assert asked.status_code == 202, asked.text
        assert await listed(running, person) == []
        request = asked.json()["feedback"]
        [call] = request["calls"]
        answer = await respond(
            running,
            person,
            request["id"],
            answer="approve",
            calls={call["tool_call_id"]: {"arguments": {"message": "What is due today?"}}},
        )
        assert answer.status_code == 200, answer.text
        turn = await ended_turn(running, person, request["turn_id"])
        assert turn["status"] == "completed"
        [schedule] = await listed(running, person)
        assert schedule["message"] == "What is due today?"
