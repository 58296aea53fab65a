"""What a turn asks of the database: few round trips, counted on the wire."""

import asyncio

import pytest
from benchmarks.round_trips import TurnTrips, warm_turn
from benchmarks.scripted import GREETING, ScriptedModel
from benchmarks.wire import wired
from pydantic import SecretStr
from tests.conftest import AppMaker
from tests.factories import LIMITED_FAR_OFF, Person
from tests.live.served import served, socket

from taskchat.assistant.models.asking import NamedModel

ADD = "Add task: Buy groceries"


async def trips(
    running_app: AppMaker, database_url: str, message: str, *, first: bool
) -> TurnTrips:
    """Of one warm turn, that opens a conversation or goes on with one."""
    person = Person()
    async with (
        wired(database_url) as wire,
        running_app(
            chain=[NamedModel("scripted", ScriptedModel())],
            database_url=SecretStr(wire.url),
            **LIMITED_FAR_OFF,
        ) as running,
    ):
        conversation = None

        async def say() -> None:
            nonlocal conversation
            answer = await person.say(running.client, message, conversation_id=conversation)
            assert answer.status_code == 200, answer.text
            conversation = None if first else answer.json()["conversation_id"]

        return await warm_turn(wire, say)


@pytest.mark.parametrize("first", [True, False])
async def test_a_turn_with_one_tool_takes_at_most_five_round_trips(
    running_app: AppMaker, database_url: str, first: bool
) -> None:
    turn = await trips(running_app, database_url, ADD, first=first)
    assert len(turn.own) <= 5, "\n".join(trip.sql for trip in turn.own)


@pytest.mark.parametrize("first", [True, False])
async def test_a_turn_without_tools_takes_at_most_three_round_trips(
    running_app: AppMaker, database_url: str, first: bool
) -> None:
    turn = await trips(running_app, database_url, GREETING, first=first)
    assert len(turn.own) <= 3, "\n".join(trip.sql for trip in turn.own)


async def test_a_socket_at_a_conversation_opens_with_one_round_trip_and_looks_once(
    running_app: AppMaker, database_url: str
) -> None:
    person = Person()
    async with (
        wired(database_url) as wire,
        running_app(database_url=SecretStr(wire.url)) as running,
        served(running) as url,
    ):
        said = await person.say(running.client, GREETING)
        conversation = said.json()["conversation_id"]

        async def come_and_go() -> None:
            seen = len(wire.trips)
            async with socket(url, person, conversation) as one:
                assert (await one.next())["type"] == "connection"
                # A turn that began at that moment may not have known of the socket.
                while not any("events_since_" in trip.sql for trip in wire.trips[seen:]):
                    await asyncio.sleep(0.05)

        trips = [trip.sql for trip in (await warm_turn(wire, come_and_go)).own]
    began, opened = trips[:2], [sql.partition("(")[0] for sql in trips[:2]]
    assert opened == ["SELECT * FROM presence_join_1", "SELECT * FROM events_since_1"], began
    assert [sql.split()[0].strip(";") for sql in trips[2:]] == ["BEGIN", "DELETE", "COMMIT"]
