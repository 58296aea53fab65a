"""Conversations that benchmarks copy by SQL are like those that were talked."""

import uuid
from typing import Any

import asyncpg
from benchmarks.copies import copied_id, copy_conversation
from benchmarks.scripted import ScriptedModel
from tests.conftest import AppMaker
from tests.factories import Person

from taskchat.assistant.models.asking import NamedModel


async def test_a_copy_repeats_what_was_said_and_goes_on(
    running_app: AppMaker, database_url: str
) -> None:
    person = Person()
    async with running_app(chain=[NamedModel("scripted", ScriptedModel())]) as running:
        talked: Any = None
        for message in ("Add task: one", "Add task: two"):
            answer = await person.say(running.client, message, conversation_id=talked)
            talked = answer.json()["conversation_id"]
        connection = await asyncpg.connect(database_url)
        salt = await copy_conversation(connection, talked, 2, repeats=3)
        await connection.close()
        for number in range(2):
            copy = copied_id(talked, salt, number)
            answer = await person.say(running.client, "Add task: three", conversation_id=copy)
            assert answer.status_code == 200, answer.text
            said = [one for one in answer.json()["messages"] if one["role"] == "user"]
            assert [one["content"][10:] for one in said] == ["one", "two"] * 3 + ["three"]
            replies = [one for one in answer.json()["messages"] if one["role"] == "assistant"]
            assert [len(one["tool_calls"]) for one in replies] == [1] * 7


async def test_copies_for_others_belong_to_as_many_new_users(
    running_app: AppMaker, database_url: str
) -> None:
    person = Person()
    async with running_app(chain=[NamedModel("scripted", ScriptedModel())]) as running:
        answer = await person.say(running.client, "Add task: one")
        talked = answer.json()["conversation_id"]
        connection = await asyncpg.connect(database_url)
        salt = await copy_conversation(connection, talked, 6, owners=3)
        ids = [uuid.UUID(copied_id(talked, salt, number)) for number in range(6)]
        owners = await connection.fetch(
            "SELECT user_id, count(*) AS copies FROM conversations WHERE id = ANY($1) GROUP BY 1",
            ids,
        )
        await connection.close()
    assert [row["copies"] for row in owners] == [2, 2, 2]
    assert person.user_id not in {row["user_id"] for row in owners}
