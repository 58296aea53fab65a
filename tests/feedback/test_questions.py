"""Questions: with a tool of its own the agent asks its user, and goes on with the answer."""

import json
from pathlib import Path
from typing import Any

import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from tests.answers import error_of
from tests.conftest import AppMaker
from tests.factories import Person, calls_tool, says
from tests.feedback.test_approvals import ended, outputs, respond

from taskchat.assistant.models.asking import NamedModel

QUESTION = {"question": "Which milk?", "choices": ["Oat", "Soy"]}


@pytest.fixture
def may_ask(tmp_path: Path, project: Path) -> str:
    """A configuration that offers the tool."""
    text = (project / "contracts/agent-config.yaml").read_text(encoding="utf-8")
    path = tmp_path / "agent.yaml"
    path.write_text(text.replace("allowed: [", "allowed: [ask_user, "), encoding="utf-8")
    return str(path)


class Asking:
    """A model that asks first, and then does what it is told."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.offered: set[str] = set()
        self.arguments = arguments
        self.chain = [NamedModel("asking", ScriptedModel([ModelStep.respond(self._answer)] * 9))]

    async def _answer(self, call: ModelCall) -> Any:
        self.offered = {tool.name for tool in call.tools}
        told = outputs(call)
        if not told:
            return [calls_tool("ask_user", self.arguments)]
        return says(f"I was told: {told[-1]}")


async def test_a_question_is_answered_with_any_text(running_app: AppMaker, may_ask: str) -> None:
    model = Asking(QUESTION)
    async with running_app(chain=model.chain, agent_config_path=may_ask) as running:
        person = Person()
        asked = await person.say(running.client, "Buy milk")
        assert asked.status_code == 202, asked.text
        request = asked.json()["feedback"]
        assert (request["kind"], request["question"]) == ("question", "Which milk?")
        assert request["choices"] == ["Oat", "Soy"]
        refused = await respond(
            running, person, request["id"], answer="Oat", calls={request["id"]: {}}
        )
        assert error_of(refused, 400)["details"][0]["field"] == "calls"
        answer = await respond(
            running, person, request["id"], answer="Rather goat's", comment="Two of them"
        )
        assert answer.json()["status"] == "answered"
        turn = await ended(running, person, request["turn_id"])
        assert turn["status"] == "completed"
        told = json.loads(turn["reply"].removeprefix("I was told: "))
        assert told == {"answer": "Rather goat's", "note": "They said: Two of them"}
        [call] = turn["tool_calls"]
        assert (call["tool_name"], call["status"]) == ("ask_user", "completed")
        assert call["result"] == {"answer": "Rather goat's"}


@pytest.mark.parametrize(
    "arguments", [{}, {"question": ""}, {"question": "x", "choices": ["y" * 201]}, {"question": 1}]
)
async def test_a_question_that_is_none_is_told_to_the_model(
    running_app: AppMaker, may_ask: str, arguments: dict[str, Any]
) -> None:
    async with running_app(chain=Asking(arguments).chain, agent_config_path=may_ask) as running:
        answer = await Person().say(running.client, "Buy milk")
        assert answer.status_code == 200
        assert "ask_user" in answer.json()["response"]
        assert answer.json()["tool_calls"][0]["status"] == "failed"


async def test_the_tool_is_not_offered_unless_a_configuration_says_so(
    running_app: AppMaker,
) -> None:
    model = Asking(QUESTION)
    async with running_app(chain=model.chain) as running:
        answer = await Person().say(running.client, "Buy milk")
        assert answer.status_code == 200
        assert len(model.offered) == 5
        assert "There is no tool" in answer.json()["response"]
