"""What falls out of the history is kept in short, after the turn, and told from then on."""

import asyncio
from typing import Any

from agents.testing import ModelCall, ModelStep, ScriptedModel
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, says

from taskchat.assistant.models.asking import NamedModel

IN_SHORT = "They like tea, and it is about the garden."


def talker(fails: bool = False) -> ScriptedModel:
    """Answers messages, and sums up when it is told to."""

    async def answer(call: ModelCall) -> Any:
        if not str(call.system_instructions).startswith("Sum up"):
            return says("Fine.")
        if fails:
            raise ValueError("no summary today")
        return says(IN_SHORT)

    return ScriptedModel([ModelStep.respond(answer)] * 30)


def summaries(model: ScriptedModel) -> list[ModelCall]:
    return [call for call in model.calls if not call.tools]


async def talk(running: RunningApp, person: Person, count: int) -> str:
    """So many turns; returns their conversation."""
    conversation = None
    for number in range(1, count + 1):
        answer = await person.say(
            running.client, f"Message number {number}. " + "words " * 40,
            conversation_id=conversation,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        conversation = answer.json()["conversation_id"]
    assert conversation is not None
    return str(conversation)


async def summary_of(running: RunningApp, person: Person, conversation: str) -> str | None:
    path = f"/api/{person.user_id}/conversations/{conversation}"
    found = await running.client.get(path, headers=person.headers)
    summary = found.json()["summary"]
    return None if summary is None else str(summary)


async def errands(running: RunningApp) -> None:
    """Wait for what is done after turns."""
    await asyncio.gather(*running.turns.jobs._errands)


async def test_what_fell_out_is_summed_up_and_told_to_later_turns(running_app: AppMaker) -> None:
    person, model = Person(), talker()
    async with running_app(
        chain=[NamedModel("m", model)], history_summary=True, history_tokens_max=400
    ) as running:
        conversation = await talk(running, person, 4)
        await errands(running)
        assert not summaries(model), "nothing has fallen out yet"
        for _ in range(3):
            await person.say(running.client, "And " + "on " * 60, conversation_id=conversation)
            await errands(running)
        assert await summary_of(running, person, conversation) == IN_SHORT
        await person.say(running.client, "what do I like?", conversation_id=conversation)
    [first, *_] = summaries(model)
    assert "Message number 1." in str(first.input)
    assert "User: " in str(first.input)
    last = model.calls[-1]
    assert last.tools
    assert IN_SHORT in str(last.system_instructions)
    assert "Message number 1." not in str(last.input)


async def test_a_summary_covers_more_than_fell_out_so_that_not_every_turn_costs_one(
    running_app: AppMaker,
) -> None:
    person, model = Person(), talker()
    async with running_app(
        chain=[NamedModel("m", model)], history_summary=True, history_tokens_max=800
    ) as running:
        conversation = await talk(running, person, 1)
        for _ in range(30):
            await person.say(running.client, "And " + "on " * 60, conversation_id=conversation)
            await errands(running)
    made = summaries(model)
    assert 3 <= len(made) <= 12
    assert all(IN_SHORT in str(call.input) for call in made[1:]), "each is given the one before"


async def test_nothing_is_summed_up_unless_it_is_switched_on(running_app: AppMaker) -> None:
    person, model = Person(), talker()
    async with running_app(chain=[NamedModel("m", model)], history_tokens_max=200) as running:
        conversation = await talk(running, person, 8)
        await errands(running)
        assert await summary_of(running, person, conversation) is None
    assert not summaries(model)


async def test_a_summary_that_fails_is_in_nobodys_way(running_app: AppMaker) -> None:
    person, model = Person(), talker(fails=True)
    async with running_app(
        chain=[NamedModel("m", model)], history_summary=True, history_tokens_max=200
    ) as running:
        conversation = await talk(running, person, 8)
        await errands(running)
        assert await summary_of(running, person, conversation) is None
    assert summaries(model)


async def test_the_offline_model_sums_up_what_was_said(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(history_summary=True, history_tokens_max=200) as running:
        conversation = await talk(running, person, 6)
        await errands(running)
        summary = await summary_of(running, person, conversation)
    assert summary is not None
    assert summary.startswith("- They said: Message number 1.")
