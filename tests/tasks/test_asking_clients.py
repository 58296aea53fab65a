"""Clients of the tool server ask their own users, in the way of the protocol that they speak."""

from collections.abc import Mapping
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import ElicitRequestParams, ElicitResult
from tests.factories import Person, person_in

from taskchat.postgres.database import Database
from taskchat.tasks.calling import DirectCaller, calling_as
from taskchat.tasks.tools import TaskServer


def before_deleting(name: str, arguments: Mapping[str, Any]) -> str | None:
    return f"May I delete {arguments['task_id']}?" if name == "delete_task" else None


class AskedUser:
    """What a client's user is shown, and what they say."""

    def __init__(self, answer: ElicitResult) -> None:
        self.shown: list[str] = []
        self.answer = answer

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        self.shown.append(params.message)
        return self.answer


ERAS = ("legacy", "2026-07-28")
"""The protocol as it was, with a request in the middle of a call; as it is, with a second call."""


async def deleting(database: Database, person: Person, user: AskedUser, era: str) -> Any:
    async with Client(TaskServer(), elicitation_callback=user, mode=era) as client:
        with calling_as(DirectCaller(database, person.principal, before_deleting)):
            added = await client.call_tool("add_task", {"title": "Milk"})
            assert not added.is_error
            return await client.call_tool("delete_task", {"task_id": 1})


async def left(database: Database, person: Person) -> int:
    async with Client(TaskServer()) as client:
        with calling_as(DirectCaller(database, person.principal)):
            listed = await client.call_tool("list_tasks", {})
    assert listed.structured_content is not None
    return int(listed.structured_content["total"])


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_needs_a_yes_is_made_once_the_clients_user_gives_it(
    database: Database, era: str
) -> None:
    person = await person_in(database)
    user = AskedUser(ElicitResult(action="accept", content={"approve": True}))
    result = await deleting(database, person, user, era)
    assert not result.is_error, result
    assert user.shown == ["May I delete 1?"]
    assert await left(database, person) == 0


@pytest.mark.parametrize(
    "answer",
    [
        ElicitResult(action="decline"),
        ElicitResult(action="cancel"),
        ElicitResult(action="accept", content={"approve": False}),
    ],
)
@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_is_refused_is_not_made(
    database: Database, answer: ElicitResult, era: str
) -> None:
    person = await person_in(database)
    result = await deleting(database, person, AskedUser(answer), era)
    assert result.is_error
    assert "refused" in result.content[0].text
    assert await left(database, person) == 1


async def test_a_client_that_can_ask_nobody_is_told_so(database: Database) -> None:
    person = await person_in(database)
    async with Client(TaskServer()) as client:
        with calling_as(DirectCaller(database, person.principal, before_deleting)):
            await client.call_tool("add_task", {"title": "Milk"})
            with pytest.raises(MCPError, match="elicitation"):
                await client.call_tool("delete_task", {"task_id": 1})
    assert await left(database, person) == 1


async def test_no_tool_takes_the_yes_as_an_argument() -> None:
    async with Client(TaskServer()) as client:
        for tool in (await client.list_tools()).tools:
            assert "approved" not in tool.model_dump_json()
