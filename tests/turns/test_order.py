"""One order per conversation, and waiting in it."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from agents.testing import ModelCall, ModelStep, ScriptedModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker
from tests.factories import Person, says

from taskchat.assistant.models.asking import NamedModel


def said(call: ModelCall) -> list[str]:
    """What the user said in a model's input, in order."""
    return [item["content"] for item in call.input if item.get("role") == "user"]


def echoing(times: int, wait: Callable[[str], Any] | None = None) -> ScriptedModel:
    """A model that says how much it was told, after waiting where it is asked to."""

    async def reply(call: ModelCall) -> Any:
        heard = said(call)
        if wait is not None:
            await wait(heard[-1])
        return says(f"{len(heard)}: {heard[-1]}")

    return ScriptedModel([ModelStep.respond(reply) for _ in range(times)])


async def test_a_hundred_posts_at_once_over_three_apps_are_a_hundred_turns_in_one_order(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    model = echoing(101)
    chain = [NamedModel("echo", model)]
    options = {
        "chain": chain,
        "history_tokens_max": 1_000_000,
        "history_turns_max": 1000,
    }
    async with (
        running_app(**options) as one,
        running_app(**options) as two,
        running_app(**options) as three,
    ):
        conversation = (await person.say(one.client, "first")).json()["conversation_id"]
        answers = await asyncio.gather(
            *(
                person.say(app.client, f"message {number}", conversation_id=conversation)
                for number, app in enumerate([one, two, three] * 34)
                if number < 100
            )
        )
    assert [answer.status_code for answer in answers] == [200] * 100
    async with superuser.connect() as connection:
        rows = list(
            await connection.execute(
                text(
                    "SELECT turn_number, position, content FROM messages"
                    " WHERE conversation_id = :conversation ORDER BY turn_number, position"
                ),
                {"conversation": conversation},
            )
        )
    assert [(number, position) for number, position, _ in rows] == [
        (number, position) for number in range(1, 102) for position in (0, 1)
    ]
    for question, reply in zip(rows[::2], rows[1::2], strict=True):
        # It heard all that was said before, so that none began before the last one had ended. The
        # window shows a hundred turns of history at most.
        assert reply.content == f"{question.turn_number}: {question.content}"
    heard = [said(call) for call in model.calls]
    for earlier, later in itertools.pairwise(heard):
        assert later[: len(earlier)] == earlier


async def test_a_wait_that_runs_out_keeps_the_message_and_answers_it_later(
    running_app: AppMaker,
) -> None:
    person, go_on = Person(), asyncio.Event()

    async def wait(heard: str) -> None:
        if heard == "slow":
            await go_on.wait()

    async with running_app(
        chain=[NamedModel("echo", echoing(3, wait))], queue_timeout_s=0.2
    ) as running:
        conversation = (await person.say(running.client, "hello")).json()["conversation_id"]
        slow = asyncio.create_task(person.say(running.client, "slow", conversation_id=conversation))
        await _until(lambda: len(running.turns.jobs) == 1)
        busy = await person.say(running.client, "behind", conversation_id=conversation, key="b")
        assert (busy.status_code, busy.json()["error_code"]) == (409, "conversation_busy")
        assert busy.headers["retry-after"]
        still = await person.say(running.client, "behind", conversation_id=conversation, key="b")
        assert (still.status_code, still.json()["error_code"]) == (409, "turn_in_progress")
        assert still.json()["turn_id"] == busy.json()["turn_id"]
        go_on.set()
        assert (await slow).status_code == 200
        await _until(lambda: len(running.turns.jobs) == 0)
        later = await person.say(running.client, "behind", conversation_id=conversation, key="b")
        assert later.status_code == 200
        assert later.json()["response"] == "3: behind"
        assert later.headers["idempotent-replayed"] == "true"


async def test_a_full_queue_refuses_before_anything_is_stored(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person, go_on = Person(), asyncio.Event()

    async def wait(heard: str) -> None:
        if heard == "slow":
            await go_on.wait()

    async with running_app(chain=[NamedModel("echo", echoing(3, wait))], queue_max=1) as running:
        conversation = (await person.say(running.client, "hello")).json()["conversation_id"]
        waiting = [
            asyncio.create_task(person.say(running.client, word, conversation_id=conversation))
            for word in ("slow", "next")
        ]
        await _until(lambda: len(running.turns.jobs) == 2)
        refused = await person.say(running.client, "too many", conversation_id=conversation)
        assert (refused.status_code, refused.json()["error_code"]) == (409, "conversation_busy")
        assert refused.json()["turn_id"] is None
        go_on.set()
        assert [(await one).status_code for one in waiting] == [200, 200]
    async with superuser.connect() as connection:
        stored = await connection.scalars(
            text("SELECT content FROM messages WHERE user_id = :owner AND position = 0"),
            {"owner": person.user_id},
        )
        numbers = await connection.scalars(
            text("SELECT number FROM turns WHERE user_id = :owner ORDER BY number"),
            {"owner": person.user_id},
        )
        assert "too many" not in set(stored)
        assert list(numbers) == [1, 2, 3]


async def test_many_models_think_at_once_over_one_connection(running_app: AppMaker) -> None:
    go_on, thinking = asyncio.Event(), 0

    async def wait(_heard: str) -> None:
        nonlocal thinking
        thinking += 1
        await go_on.wait()

    async with running_app(
        chain=[NamedModel("echo", echoing(50, wait))], db_pool_size=1
    ) as running:
        people = [Person() for _ in range(50)]
        waiting = [asyncio.create_task(person.say(running.client, "think")) for person in people]
        await _until(lambda: thinking == 50)
        # The only connection is free.
        health = await running.client.get("/readyz")
        assert health.status_code == 200
        go_on.set()
        assert {(await one).status_code for one in waiting} == {200}


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
