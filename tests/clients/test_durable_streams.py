"""Durable Streams, by its makers' own client, and by their suite as far as it is of reading."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.clients import node
from tests.clients.conftest import RunNode
from tests.conftest import AppMaker, RunningApp
from tests.durable_streams.stand import Stand
from tests.factories import Person, person_in
from tests.live.served import Speaker, on_a_socket, posting, served

READ_SIDE = Path(__file__).parent.parent / "durable_streams" / "read_side.txt"
"""The tests that are run, by their whole names."""

SUITE = "durable-streams.spec.mjs"


@pytest.mark.long
async def test_the_reading_tests_of_the_conformance_suite_pass(
    running_app: AppMaker, superuser: AsyncEngine, run_node: RunNode, tmp_path: Path
) -> None:
    names = READ_SIDE.read_text(encoding="utf-8").splitlines()
    report = tmp_path / "report.json"
    async with running_app(long_poll_s=0.3, allowed_origins="*") as running:
        stand = Stand(running, superuser, await person_in(running.live.database))
        async with on_a_socket(stand, running.live.settings) as url:
            await run_node(
                "node_modules/vitest/vitest.mjs",
                *("run", SUITE, "--root", str(node.HERE), "--no-cache"),
                *("--reporter=json", f"--outputFile={report}", "--testTimeout=60000"),
                *("--testNamePattern", f"^({'|'.join(map(re.escape, names))})$"),
                CONFORMANCE_TEST_URL=url,
            )
    [file] = json.loads(report.read_text(encoding="utf-8"))["testResults"]
    told = {test["fullName"]: test["status"] for test in file["assertionResults"]}
    assert {name: told.get(name) for name in names} == dict.fromkeys(names, "passed")


@pytest.mark.parametrize("live", ["false", "long-poll", "sse"])
async def test_the_client_reads_a_turn_with_a_tool_call_and_reads_on_where_it_broke_off(
    offline_app: RunningApp, run_node: RunNode, live: str
) -> None:
    person = Person()
    turn_id = (await person.say(offline_app.client, "Add task: Milk")).json()["turn_id"]
    path = f"/api/{person.user_id}/turns/{turn_id}/stream"
    whole = (await offline_app.client.get(path, headers=person.headers)).json()
    token = person.headers["Authorization"].removeprefix("Bearer ")
    async with served(offline_app) as url:
        read = json.loads(await run_node("durable-streams.mjs", url + path, token, live, "3"))
    assert read["events"] == whole
    assert "tool_result" in [event["type"] for event in read["events"]]
    assert read["closed"] is True


@pytest.mark.parametrize("live", ["long-poll", "sse"])
async def test_the_client_follows_a_turn_that_runs(
    running_app: AppMaker, run_node: RunNode, live: str
) -> None:
    person, speaker = Person(), Speaker("One, ", "two.")
    async with (
        running_app(chain=speaker.chain) as app,
        served(app) as url,
        posting(url, person, "count") as source,
    ):
        turn_id = (await source.until("turn_started"))[0].fields["turn_id"]
        path = f"/api/{person.user_id}/turns/{turn_id}/stream"
        token = person.headers["Authorization"].removeprefix("Bearer ")
        reading = asyncio.ensure_future(
            run_node("durable-streams.mjs", url + path, token, live, "2")
        )
        speaker.let()
        read = json.loads(await reading)
        whole = (await app.client.get(path, headers=person.headers)).json()
    assert read["events"] == whole
    assert read["closed"] is True
