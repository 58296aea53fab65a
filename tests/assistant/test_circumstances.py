"""What a request says of its sender: where it comes from, and what it is good for."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.datastructures import Headers, QueryParams
from tests.assistant.test_instructions import given
from tests.conftest import AppMaker
from tests.factories import Person, says, scripted

from taskchat.assistant.circumstances import Circumstances
from taskchat.assistant.models.asking import NamedModel
from taskchat.assistant.reloading import ConfigFile
from taskchat.http.dependencies import part_of
from taskchat.resources import resource_path
from taskchat.transports.hints import preferred_language, read_circumstances


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", None),
        ("de-CH", "de-CH"),
        ("en;q=0.5, fr;q=0.8, *;q=0.1", "fr"),
        ("en-GB,en;q=0.9", "en-GB"),
        ("*", None),
        ("de;q=0", None),
        ("x'; DROP TABLE users, pt-BR", "pt-BR"),
        ("de;q=much", None),
        ("de;q=NaN, nl;q=0.1", "nl"),
        ("de;q=inf, en;q=-1", None),
        (";;,=,\xff,de", "de"),
        (", ".join(f"x{number % 90 + 10};q=0.5" for number in range(1000)) + ", da", "da"),
        ("é" * 10_000, None),
    ],
)
def test_the_language_that_weighs_most_is_theirs(accept: str, language: str | None) -> None:
    assert preferred_language(accept) == language


NO_ZONES = [
    "",
    " ",
    "Etc/Unknown",
    "Mars/Olympus",
    "../../etc/passwd",
    "/etc/localtime",
    "Europe",
    "UTC+3",
    "+02:00",
    "Europe/Berlin, Asia/Tokyo",
    "Europe/Berlin\x00",
    "Zürich",
    "a" * 10_000,
]


@pytest.mark.parametrize("zone", NO_ZONES)
def test_a_time_zone_that_there_is_none_of_is_as_none(zone: str) -> None:
    headers, query = Headers({"Time-Zone": zone}), QueryParams({"time_zone": zone})
    assert read_circumstances(headers, query, manner_allowed=False) == Circumstances()
    query = QueryParams([("time_zone", zone), ("time_zone", "Asia/Tokyo")])
    found = read_circumstances(headers, query, manner_allowed=False)
    assert found == Circumstances("Asia/Tokyo"), "what can be used is used"


def test_of_several_headers_what_can_be_used_is_used() -> None:
    sent = [("time-zone", "Nowhere"), ("time-zone", "Asia/Tokyo"), ("time-zone", "Europe/Rome")]
    sent += [("accept-language", "?"), ("accept-language", "fr;q=0.5"), ("accept-language", "nl")]
    headers = Headers(raw=[(name.encode(), value.encode()) for name, value in sent])
    found = read_circumstances(headers, QueryParams(), manner_allowed=False)
    assert found == Circumstances("Asia/Tokyo", "nl")


def test_a_sockets_address_says_what_its_headers_can_not() -> None:
    found = read_circumstances(
        Headers({"Accept-Language": "nl"}),
        QueryParams({"time_zone": "Asia/Tokyo", "offline": "delay=1"}),
        manner_allowed=True,
    )
    assert found == Circumstances("Asia/Tokyo", "nl", "delay=1")
    assert Circumstances.restored(found.stored()) == found
    assert Circumstances().stored() is None
    assert Circumstances.restored({"time_zone": "Mars/Olympus", "language": "de"}) == Circumstances(
        language="de"
    )


async def asked_with(running_app: AppMaker, person: Person, **headers: str) -> str:
    """The instructions that a model got."""
    model, chain = scripted(says("Hello."))
    async with running_app(chain=chain) as running:
        answer = await running.client.post(
            f"/api/{person.user_id}/chat",
            json={"message": "hello"},
            headers={**person.headers, **headers},
        )
        assert answer.status_code == 200, answer.text
    return str(model.calls[0].system_instructions)


async def test_the_instructions_know_date_zone_language_and_open_tasks(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app() as running:
        for title in ("Milk", "Bread", "Eggs"):
            await running.client.post(
                f"/api/{person.user_id}/tasks", json={"title": title}, headers=person.headers
            )
    told = await asked_with(
        running_app, person, **{"Time-Zone": "Pacific/Kiritimati", "Accept-Language": "de-AT"}
    )
    assert "(Pacific/Kiritimati)" in told
    assert "de-AT" in told
    assert "They have 3 open tasks" in told
    plain = await asked_with(running_app, Person())
    assert "(UTC)" in plain
    assert "They have 0 open tasks" in plain


async def test_a_message_is_answered_whatever_the_hints_are(running_app: AppMaker) -> None:
    told = await asked_with(
        running_app, Person(), **{"Time-Zone": "Etc/Unknown", "Accept-Language": "*;q=NaN,,;"}
    )
    assert "(UTC)" in told


async def test_an_order_that_is_not_taken_is_named_and_nothing_is_stored(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with running_app() as running:
        refused = await running.client.post(
            f"/api/{person.user_id}/chat",
            json={"message": "hello"},
            headers={**person.headers, "Offline-Model": "fail=error"},
        )
    assert refused.status_code == 400
    assert refused.json()["details"][0]["field"] == "header.Offline-Model"
    async with superuser.connect() as connection:
        stored = await connection.scalar(
            text("SELECT count(*) FROM turns WHERE user_id = :owner"), {"owner": person.user_id}
        )
    assert stored == 0


async def test_a_turn_that_waited_still_knows_who_spoke(running_app: AppMaker) -> None:
    person, release = Person(), asyncio.Event()

    async def wait(_call: ModelCall) -> Any:
        await release.wait()
        return says("First.")

    model = ScriptedModel([ModelStep.respond(wait), says("Second.")])
    async with running_app(chain=[NamedModel("m", model)]) as running:
        first = asyncio.create_task(person.say(running.client, "one", key="k"))
        while not model.calls:
            await asyncio.sleep(0.01)
        turns = await running.client.get(
            f"/api/{person.user_id}/conversations", headers=person.headers
        )
        conversation = turns.json()["data"][0]["id"]
        second = asyncio.create_task(
            running.client.post(
                f"/api/{person.user_id}/chat",
                json={"message": "two", "conversation_id": conversation},
                headers={**person.headers, "Time-Zone": "Asia/Tokyo"},
            )
        )
        while len(running.turns.jobs) < 2:
            await asyncio.sleep(0.01)
        release.set()
        assert (await first).status_code == (await second).status_code == 200
    assert "(Asia/Tokyo)" in str(model.calls[1].system_instructions)


async def test_an_edited_configuration_is_in_force_without_a_restart(
    running_app: AppMaker, tmp_path: Path
) -> None:
    path = Path(str(given(tmp_path).agent_config_path))
    shipped = resource_path("contracts/agent-config.yaml").read_text()

    def save(text: str) -> None:
        path.write_text(text)

    model, chain = scripted(says("Hello."), says("Hello."), says("Hello."))
    async with running_app(chain=chain, agent_config_path=str(path)) as running:
        person = Person()
        await person.say(running.client, "hello")
        save(
            shipped.replace("You are the assistant", "You are the butler").replace(
                "[add_task, list_tasks, complete_task, delete_task, update_task]", "[list_tasks]"
            )
        )
        await part_of(running.app, ConfigFile).follow()
        await person.say(running.client, "hello")
        save(shipped.replace("tokens_max: 8000", "tokens_max: many"))
        await part_of(running.app, ConfigFile).follow()
        await person.say(running.client, "hello")
    assert "butler" not in str(model.calls[0].system_instructions)
    assert len(model.calls[0].tools) == 5
    for call in model.calls[1:]:
        assert "butler" in str(call.system_instructions), "a mistake leaves what was in force"
        assert [tool.name for tool in call.tools] == ["list_tasks"]
