"""The figures of a process count what happened, and no series is named by who or what was said."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from asyncpg import PostgresError
from prometheus_client import REGISTRY
from sqlalchemy import text
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted
from tests.live.served import served, socket
from tests.mcp_http.clients import ERAS, connected

from taskchat import __version__
from taskchat.assistant.models.asking import NamedModel
from taskchat.errors import DatabaseError
from taskchat.periodic import every
from taskchat.postgres.database import Database

CHAT = "/api/{user_id}/chat"


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@contextlib.contextmanager
def counted(*samples: tuple[str, dict[str, str], float]) -> Iterator[None]:
    """Each of these samples grows by so much inside the block."""
    before = [figure(name, **labels) for name, labels, _ in samples]
    yield
    after = [figure(name, **labels) for name, labels, _ in samples]
    grown = [
        (name, labels, b - a)
        for (name, labels, _), a, b in zip(samples, before, after, strict=True)
    ]
    assert grown == list(samples)


async def test_a_turn_is_counted_by_its_route_its_channel_and_its_tools(
    running_app: AppMaker,
) -> None:
    person = Person()
    _, chain = scripted([calls_tool("add_task", {"title": "A quiet title"})], says("Added."))
    async with running_app(chain=chain) as running:
        with counted(
            ("taskchat_http_requests_total", {"route": CHAT, "method": "POST", "status": "200"}, 1),
            ("taskchat_http_seconds_count", {"route": CHAT, "method": "POST"}, 1),
            ("taskchat_turns_total", {"outcome": "completed", "channel": "rest"}, 1),
            ("taskchat_turn_seconds_count", {"outcome": "completed"}, 1),
            ("taskchat_turn_queue_seconds_count", {}, 1),
            (
                "taskchat_tool_calls_total",
                {"tool": "add_task", "outcome": "completed", "caller": "turn"},
                1,
            ),
            ("taskchat_tool_seconds_count", {"tool": "add_task"}, 1),
            ("taskchat_model_seconds_count", {"model": "scripted"}, 2),
        ):
            assert (await person.say(running.client, "Something private")).status_code == 200
        page = (await running.client.get("/metrics")).text
    assert figure("taskchat_info", version=__version__) == 1
    assert figure("taskchat_database_connections_open") >= 1
    for private in (person.user_id, "private", "quiet"):
        assert private not in page


async def test_figures_are_told_to_nobody_if_they_are_switched_off(running_app: AppMaker) -> None:
    async with running_app(metrics=False) as running:
        error_of(await running.client.get("/metrics"), 404)
        assert "/metrics" not in (await running.client.get("/openapi.json")).json()["paths"]
        assert (await running.client.get("/readyz")).status_code == 200


async def test_a_failed_turn_is_counted_by_the_code_of_its_error(running_app: AppMaker) -> None:
    def fail(_call: ModelCall) -> Any:
        raise RuntimeError("broken")

    model = ScriptedModel([ModelStep.respond(fail)])
    async with running_app(chain=[NamedModel("scripted", model)], model_retries_max=0) as running:
        with counted(
            ("taskchat_http_requests_total", {"route": CHAT, "method": "POST", "status": "502"}, 1),
            ("taskchat_turns_total", {"outcome": "failed", "channel": "rest"}, 1),
            ("taskchat_turn_failures_total", {"error_code": "model_error"}, 1),
        ):
            assert (await Person().say(running.client, "hello")).status_code == 502


async def test_turns_that_run_and_that_wait_are_there_to_be_seen(running_app: AppMaker) -> None:
    person = Person()
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def think(_call: ModelCall) -> Any:
        asked.set()
        await let_go.wait()
        return says("Hello.")

    model = ScriptedModel([says("First."), ModelStep.respond(think), says("Third.")])
    async with running_app(chain=[NamedModel("scripted", model)]) as running:
        first = (await person.say(running.client, "hello")).json()["conversation_id"]
        runs, waits = figure("taskchat_turns_running"), figure("taskchat_turns_under_way")
        with counted(
            ("taskchat_turns_under_way", {}, 0),
            ("taskchat_turns_running", {}, 0),
            ("taskchat_turn_queue_seconds_count", {}, 1),
            ("taskchat_turns_total", {"outcome": "cancelled", "channel": "rest"}, 1),
            ("taskchat_turns_total", {"outcome": "completed", "channel": "rest"}, 1),
        ):
            second = asyncio.create_task(person.say(running.client, "hm", conversation_id=first))
            await asked.wait()
            third = asyncio.create_task(person.say(running.client, "and", conversation_id=first))
            async with asyncio.timeout(20):
                while figure("taskchat_turns_under_way") - waits < 2:
                    await asyncio.sleep(0.01)
            assert figure("taskchat_turns_running") - runs == 1
            path = f"/api/{person.user_id}/conversations/{first}/turns?status=queued"
            turns = await running.client.get(path, headers=person.headers)
            [queued] = turns.json()["data"]
            path = f"/api/{person.user_id}/turns/{queued['id']}/cancel"
            await running.client.post(path, headers=person.headers)
            assert (await third).status_code == 409
            let_go.set()
            assert (await second).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/no/such/place", {"route": "unknown", "method": "GET", "status": "404"}),
        ("BREW", "/livez", {"route": "/livez", "method": "other", "status": "405"}),
        ("HEAD", "/livez", {"route": "/livez", "method": "HEAD", "status": "200"}),
        (
            "GET",
            "/api/of-somebody/usage",
            {"route": "/api/{user_id}/usage", "method": "GET", "status": "401"},
        ),
    ],
)
async def test_what_a_client_makes_up_makes_no_series(
    offline_app: RunningApp, method: str, path: str, labels: dict[str, str]
) -> None:
    with counted(("taskchat_http_requests_total", labels, 1)):
        await offline_app.client.request(method, path)
    page = (await offline_app.client.get("/metrics")).text
    for made_up in ("BREW", "such", "of-somebody"):
        assert made_up not in page


async def test_sockets_are_counted_by_what_they_say_and_are_told(offline_app: RunningApp) -> None:
    person = Person()
    async with served(offline_app) as url, socket(url, person) as one:
        with counted(
            ("websocket_active_connections", {}, 0),
            ("websocket_messages_received_total", {"type": "message"}, 1),
            ("websocket_messages_received_total", {"type": "resume"}, 2),
            ("websocket_errors_total", {"code": "INVALID_JSON"}, 1),
            ("websocket_reconnections_total", {}, 1),
            ("taskchat_turns_total", {"outcome": "completed", "channel": "websocket"}, 1),
        ):
            assert figure("websocket_active_connections") >= 1
            await one.send("message", content="hello")
            told = (await one.until("turn_completed"))[-1]
            await one.connection.send("{")
            await one.until("error")
            for _ in range(2):
                await one.send("resume", turn_id=told["turn_id"], after_seq=0)
                await one.until("turn_completed")


async def test_calls_of_mcp_clients_are_counted_apart(offline_app: RunningApp) -> None:
    def of(outcome: str) -> dict[str, str]:
        return {"tool": "complete_task", "outcome": outcome, "caller": "mcp"}

    async with (
        served(offline_app) as url,
        connected(url, Person(), ERAS[0]) as client,
    ):
        with counted(
            ("taskchat_tool_calls_total", of("failed"), 1),
            ("taskchat_tool_calls_total", of("completed"), 1),
        ):
            await client.call_tool("complete_task", {"task_id": 1})
            await client.call_tool("add_task", {"title": "Milk"})
            await client.call_tool("complete_task", {"task_id": 1})
            await client.call_tool("no_such", {})
    assert "no_such" not in (await offline_app.client.get("/metrics")).text


async def test_repeated_work_is_counted_by_how_it_went() -> None:
    done = asyncio.Event()
    results: list[Exception | None] = [None, DatabaseError(), RuntimeError("a bug")]

    async def work() -> None:
        if not results:
            done.set()
            await asyncio.Event().wait()
        result = results.pop(0)
        if result is not None:
            raise result

    with counted(
        *(
            ("taskchat_periodic_total", {"work": "a test", "outcome": outcome}, 1.0)
            for outcome in ("done", "database_away", "crashed")
        )
    ):
        job = asyncio.create_task(every(0.001, work), name="a test")
        async with asyncio.timeout(20):
            await done.wait()
        job.cancel()


async def test_what_the_database_refuses_is_counted_by_its_code(database: Database) -> None:
    with counted(("taskchat_database_faults_total", {"sqlstate": "42P01"}, 1)):
        with pytest.raises(PostgresError):
            async with database.transaction(Person().principal) as connection:
                await connection.execute(text("SELECT * FROM nowhere"))
