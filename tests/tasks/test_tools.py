"""The five tools, through the real MCP client, as an outside caller would have them."""

from typing import Any

import pytest
from mcp import Client
from tests.factories import Person, person_in

from taskchat.postgres.database import Database
from taskchat.tasks.calling import DirectCaller, calling_as
from taskchat.tasks.tools import TOOL_NAMES, TaskServer


async def call(database: Database, person: Person, name: str, **arguments: Any) -> tuple[bool, Any]:
    """Whether it failed, and what it said."""
    async with Client(TaskServer()) as client:
        with calling_as(DirectCaller(database, person.principal)):
            result = await client.call_tool(name, arguments)
    if result.is_error:
        [part] = result.content
        assert part.type == "text"
        return True, part.text
    return False, result.structured_content


async def test_the_server_offers_five_tools_and_none_takes_a_user_id() -> None:
    async with Client(TaskServer()) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == [
        "add_task",
        "list_tasks",
        "complete_task",
        "delete_task",
        "update_task",
    ]
    for tool in tools:
        assert "user_id" not in tool.model_dump_json()
        assert tool.description


async def test_a_task_goes_through_its_whole_life(database: Database) -> None:
    person = await person_in(database)
    assert await call(database, person, "add_task", title="  Buy   milk ") == (
        False,
        {"task_id": 1, "status": "created", "title": "Buy milk"},
    )
    assert await call(database, person, "update_task", task_id=1, description="2 litres") == (
        False,
        {"task_id": 1, "status": "updated", "title": "Buy milk"},
    )
    assert await call(database, person, "complete_task", task_id=1) == (
        False,
        {"task_id": 1, "status": "completed", "title": "Buy milk"},
    )
    listed = {"id": 1, "title": "Buy milk", "description": "2 litres", "completed": True}
    assert await call(database, person, "list_tasks", status="completed") == (
        False,
        {"tasks": [listed], "total": 1},
    )
    assert await call(database, person, "list_tasks", status="pending") == (
        False,
        {"tasks": [], "total": 0},
    )
    assert await call(database, person, "delete_task", task_id=1) == (
        False,
        {"task_id": 1, "status": "deleted", "title": "Buy milk"},
    )
    assert await call(database, person, "add_task", title="Next") == (
        False,
        {"task_id": 2, "status": "created", "title": "Next"},
    )


async def test_a_long_list_says_how_long_it_is(database: Database) -> None:
    from taskchat.tasks import service

    person = await person_in(database)
    async with database.transaction(person.principal) as connection:
        for number in range(205):
            await service.add_task(connection, person.principal, title=f"task {number}")
    _, listed = await call(database, person, "list_tasks", status="pending")
    assert (len(listed["tasks"]), listed["total"]) == (200, 205)
    assert listed["tasks"][0]["id"] == 1


@pytest.mark.parametrize("name", ["complete_task", "delete_task", "update_task"])
async def test_another_users_task_does_not_exist(database: Database, name: str) -> None:
    owner, stranger = await person_in(database), await person_in(database)
    await call(database, owner, "add_task", title="Mine")
    arguments: dict[str, Any] = {"task_id": 1}
    if name == "update_task":
        arguments["title"] = "Stolen"
    assert await call(database, stranger, name, **arguments) == (
        True,
        "No task 1. Call list_tasks to see the ids.",
    )
    _, listed = await call(database, owner, "list_tasks")
    assert [(task["title"], task["completed"]) for task in listed["tasks"]] == [("Mine", False)]


async def test_a_user_id_is_taken_when_it_is_ones_own_and_refused_otherwise(
    database: Database,
) -> None:
    person, other = await person_in(database), await person_in(database)
    failed, _ = await call(database, person, "add_task", title="A", user_id=person.user_id)
    assert not failed
    failed, text = await call(database, person, "add_task", title="B", user_id=other.user_id)
    assert failed
    assert text == "Leave user_id out: a tool only ever acts for its caller."
    _, listed = await call(database, other, "list_tasks")
    assert listed["total"] == 0


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("add_task", {}, "The arguments of add_task do not fit: title: Field required."),
        ("add_task", {"title": "  "}, "The title must not be empty."),
        ("add_task", {"title": "\u200b"}, "The title must not be empty."),
        ("add_task", {"title": "a\x00b"}, "The title must not contain NUL"),
        ("add_task", {"title": "x" * 201}, "at most 200 characters"),
        ("add_task", {"title": "x", "description": "y" * 2001}, "at most 2000 characters"),
        ("complete_task", {"task_id": "one"}, "valid integer"),
        ("complete_task", {"task_id": True}, "valid integer"),
        ("complete_task", {"task_id": 0}, "greater than or equal to 1"),
        ("complete_task", {"task_id": 2**63}, "less than or equal to"),
        ("delete_task", {"task_id": 9}, "No task 9. Call list_tasks to see the ids."),
        ("update_task", {"task_id": 1}, "at least one of title, description"),
        ("list_tasks", {"status": "done"}, "'all', 'pending' or 'completed'"),
        ("drop_tables", {}, "There is no tool 'drop_tables'."),
    ],
)
async def test_a_failing_tool_says_in_one_sentence_what_to_do(
    database: Database, name: str, arguments: dict[str, Any], sentence: str
) -> None:
    failed, text = await call(database, await person_in(database), name, **arguments)
    assert failed
    assert sentence in text
    assert "Error executing" not in text
    assert "input_value" not in text
    assert "\n" not in text


TEXTS = ['["milk"]', "null", "{}", "12", "true", '"quoted"', "1e5", "[", " ", "", "-0.0", "NaN"]
"""What reads as JSON, or nearly, and is text all the same; blanks around it are no part of it."""


@pytest.mark.parametrize("text", TEXTS)
async def test_every_text_argument_arrives_as_it_was_written(database: Database, text: str) -> None:
    person = await person_in(database)
    failed, _ = await call(database, person, "add_task", title="shop", description=text)
    assert not failed
    _, listed = await call(database, person, "list_tasks")
    assert listed["tasks"][0]["description"] == text.strip()
    await call(database, person, "update_task", task_id=1, description="other")
    failed, _ = await call(database, person, "update_task", task_id=1, description=text)
    assert not failed
    _, listed = await call(database, person, "list_tasks")
    assert listed["tasks"][0]["description"] == text.strip()
    if text.strip():
        failed, _ = await call(database, person, "update_task", task_id=1, title=text)
        assert not failed
        failed, added = await call(database, person, "add_task", title=text)
        assert (failed, added["title"]) == (False, text)
        _, listed = await call(database, person, "list_tasks")
        assert [task["title"] for task in listed["tasks"]] == [text, text]


@pytest.mark.parametrize("name", sorted(TOOL_NAMES))
async def test_no_tool_takes_a_text_for_the_json_that_it_holds(
    database: Database, name: str
) -> None:
    async with Client(TaskServer()) as client:
        [tool] = [one for one in (await client.list_tools()).tools if one.name == name]
    for parameter, schema in tool.input_schema["properties"].items():
        if schema.get("type") == "integer" or "enum" in schema:
            for text in ("[1]", "{}", "null", "true"):
                arguments = {"task_id": 1, parameter: text}
                failed, told = await call(database, await person_in(database), name, **arguments)
                assert failed
                assert "do not fit" in told


@pytest.mark.parametrize("number", [1, 1.0, "1", " 1 ", "1.0", "1e0", "1E+0", "10e-1"])
@pytest.mark.parametrize("name", ["complete_task", "update_task", "delete_task"])
async def test_a_whole_number_is_a_task_id_however_it_is_written(
    database: Database, name: str, number: Any
) -> None:
    person = await person_in(database)
    await call(database, person, "add_task", title="Milk")
    more = {"title": "Milk"} if name == "update_task" else {}
    failed, done = await call(database, person, name, task_id=number, **more)
    assert (failed, done["task_id"], done["title"]) == (False, 1, "Milk")


NO_NUMBERS: list[Any] = [
    *(1.5, True, False, None, [1], {}, -1, 0, 2**63, 1e300, float(2**31)),
    *("", " ", "one", "1.5", "1_000", "+1", "1.", "01", "#1", "0x1", "\u0661", "1 1", "[1]", "-1"),
    *("0", "-0", "NaN", "Infinity", "1e999", "1e999999999", str(2**63), "9" * 400, "9" * 5000),
]


@pytest.mark.parametrize(
    "number",
    NO_NUMBERS,
    ids=lambda number: f"{number!a:.20}",
)
async def test_what_is_no_whole_number_is_no_task_id_and_the_model_is_told(
    database: Database, number: Any
) -> None:
    person = await person_in(database)
    await call(database, person, "add_task", title="Milk")
    failed, text = await call(database, person, "complete_task", task_id=number)
    assert failed
    assert text.startswith("The arguments of complete_task do not fit: task_id: ")
    assert text.endswith("Call it again, corrected.")
    assert len(text) < 200
    _, listed = await call(database, person, "list_tasks")
    assert not listed["tasks"][0]["completed"]
