"""A model names a conversation after its first turn, where that is switched on."""

import asyncio
from typing import Any

import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, says
from tests.live.served import PATIENCE_S, served, socket
from tests.turns.test_summary import errands

from taskchat.assistant.models.asking import NamedModel


class Namer:
    """Answers messages, and names conversations when it is told to.

    Args:
        name: What it calls them; None fails.
    """

    def __init__(self, name: str | None = "Plans for the garden") -> None:
        self.name = name
        self.told: list[str] = []
        self.asked = asyncio.Event()
        self.let = asyncio.Event()
        self.let.set()
        self.model = ScriptedModel([ModelStep.respond(self._answer)] * 20)

    @property
    def chain(self) -> list[NamedModel]:
        return [NamedModel("namer", self.model)]

    async def _answer(self, call: ModelCall) -> Any:
        if not str(call.system_instructions).startswith("Name this conversation"):
            return says("Fine.")
        assert not call.tools
        self.told.append(str(call.input))
        self.asked.set()
        await self.let.wait()
        if self.name is None:
            raise ValueError("no name today")
        return says(self.name)


async def title_of(running: RunningApp, person: Person, conversation: str) -> str | None:
    path = f"/api/{person.user_id}/conversations/{conversation}"
    title = (await running.client.get(path, headers=person.headers)).json()["title"]
    return None if title is None else str(title)


@pytest.mark.parametrize(
    "written", ["Plans for the garden", " “Plans for\n the garden” ", '"Plans for the garden"']
)
async def test_a_conversation_is_named_after_its_first_turn_and_no_other(
    running_app: AppMaker, written: str
) -> None:
    person, namer = Person(), Namer(written)
    async with running_app(chain=namer.chain, conversation_titles=True) as running:
        answer = await person.say(running.client, "I want to plant roses.")
        conversation = answer.json()["conversation_id"]
        await errands(running)
        assert await title_of(running, person, conversation) == "Plans for the garden"
        namer.name = "Something else"
        await person.say(running.client, "And tulips.", conversation_id=conversation)
        await errands(running)
        assert await title_of(running, person, conversation) == "Plans for the garden"
        used = await running.client.get(f"/api/{person.user_id}/usage", headers=person.headers)
        # Two turns, and the name, which belongs to none of them.
        [model] = used.json()["data"][0]["models"]
        assert (model["turns"], model["model_calls"]) == (2, 3)
    [told] = namer.told
    assert "User: I want to plant roses." in told
    assert "Assistant: Fine." in told


async def test_nobody_waits_for_a_name_and_one_that_somebody_gave_meanwhile_stays(
    running_app: AppMaker,
) -> None:
    person, namer = Person(), Namer()
    namer.let.clear()
    async with running_app(chain=namer.chain, conversation_titles=True) as running:
        answer = await person.say(running.client, "I want to plant roses.")
        conversation = answer.json()["conversation_id"]
        await asyncio.wait_for(namer.asked.wait(), PATIENCE_S)
        assert await title_of(running, person, conversation) == "I want to plant roses."
        await running.client.patch(
            f"/api/{person.user_id}/conversations/{conversation}",
            json={"title": "Mine"},
            headers=person.headers,
        )
        namer.let.set()
        await errands(running)
        assert await title_of(running, person, conversation) == "Mine"


@pytest.mark.parametrize("name", [None, "", "\u200b", '""'])
async def test_a_name_that_is_none_leaves_the_beginning_of_the_first_message(
    running_app: AppMaker, name: str | None
) -> None:
    person, namer = Person(), Namer(name)
    async with running_app(chain=namer.chain, conversation_titles=True) as running:
        answer = await person.say(running.client, "I want to plant roses.")
        await errands(running)
        title = await title_of(running, person, answer.json()["conversation_id"])
    assert namer.told
    assert title == "I want to plant roses."


async def test_nothing_is_named_unless_it_is_switched_on(running_app: AppMaker) -> None:
    person, namer = Person(), Namer()
    async with running_app(chain=namer.chain) as running:
        answer = await person.say(running.client, "I want to plant roses.")
        await errands(running)
        title = await title_of(running, person, answer.json()["conversation_id"])
    assert (title, namer.told) == ("I want to plant roses.", [])


async def test_the_built_in_model_leaves_the_beginning_of_the_first_message(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app(conversation_titles=True) as running:
        answer = await person.say(running.client, "Add task:\n Buy groceries")
        await errands(running)
        title = await title_of(running, person, answer.json()["conversation_id"])
    assert title == "Add task: Buy groceries"


async def test_a_conversation_that_began_without_a_message_gets_its_title_with_the_first(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app() as running, served(running) as url, socket(url, person) as one:
        await one.next()
        await one.send("start_session")
        conversation = (await one.next())["conversation_id"]
        assert await title_of(running, person, conversation) is None
        for message in ("the first words", "more words"):
            await one.send("message", content=message)
            await one.until("turn_completed")
        assert await title_of(running, person, conversation) == "the first words"
