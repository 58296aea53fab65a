"""What the garbage collector has to do in a process that serves, and what it does not."""

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import RunningApp
from tests.e2e.processes import WAIT_S, environment
from tests.factories import Person
from tests.live.served import served, socket

from taskchat.serving.http_protocol import GuardedProtocol
from taskchat.serving.memory import OLD_ROUNDS, YOUNG_OBJECTS, YOUNG_ROUNDS
from taskchat.serving.websocket_protocol import GuardedWebSocketProtocol


def told_by(code: str, project: Path, **variables: str) -> dict[str, Any]:
    """What a program prints as JSON, run by an interpreter that has imported nothing."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


WHILE_IT_STARTS_AND_SERVES = """
import gc, json, os, signal
import taskchat.__main__
from unittest import mock

told = {}

def command(prog_name):
    told["collects at first"] = gc.isenabled()
    from taskchat.serving import server
    from taskchat.serving.listening import listen
    from taskchat.settings import Settings
    from taskchat.telemetry.logs import configure_logs

    settings = Settings(_env_file=None)
    configure_logs(settings)

    def announce(line):
        told["collects"] = gc.isenabled()
        told["frozen"] = gc.get_freeze_count()
        told["thresholds"] = gc.get_threshold()
        print(json.dumps(told), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    with listen("127.0.0.1", 0) as sock:
        server.run(settings, sock, announce=announce)

with mock.patch("taskchat.commands.cli.main", command):
    taskchat.__main__.run()
"""


def test_a_service_collects_nothing_of_its_start_and_everything_after_it(
    project: Path, database_url: str
) -> None:
    told = told_by(
        WHILE_IT_STARTS_AND_SERVES,
        project,
        DATABASE_URL=database_url,
        TASKCHAT_JWT_SECRET="a secret of more than 32 bytes, for this test",
        TASKCHAT_LOG_LEVEL="error",
    )
    assert told["collects at first"] is False
    assert told["collects"] is True
    # What was imported is some hundred thousand objects.
    assert told["frozen"] > 100_000
    assert told["thresholds"] == [YOUNG_OBJECTS, YOUNG_ROUNDS, OLD_ROUNDS]


CIRCLES = """
import gc, json, weakref
from taskchat.serving.memory import OLD_ROUNDS, YOUNG_OBJECTS, YOUNG_ROUNDS
from taskchat.serving.memory import put_off_collection, settle_memory

class Circle:
    def __init__(self):
        self.me = self

put_off_collection()
settle_memory()
living = weakref.WeakSet()
most = 0
for _ in range(10 * YOUNG_OBJECTS):
    living.add(Circle())
    most = max(most, len(living))

kept = [Circle()]
long_lived = weakref.ref(kept[0])
for generation in (0, 1):
    gc.collect(generation)
kept.clear()
survives_young = long_lived() is not None
rounds = 2 * OLD_ROUNDS * (YOUNG_ROUNDS + 2)
survivors = []
for number in range(rounds * YOUNG_OBJECTS):
    circle = Circle()
    # Python puts a full collection off while next to nothing survives.
    if number % 100 == 0:
        survivors.append(circle)
    if long_lived() is None:
        break
print(json.dumps({
    "most": most, "survives_young": survives_young, "freed": long_lived() is None,
}))
"""


def test_circles_are_freed_while_they_are_made_and_long_lived_ones_in_the_end(
    project: Path,
) -> None:
    told = told_by(CIRCLES, project)
    # A circle is an object and its dictionary: no more of them wait than a young round takes.
    assert told["most"] <= 2 * YOUNG_OBJECTS
    assert told["survives_young"]
    assert told["freed"]


@pytest.fixture
def no_collection() -> Iterator[None]:
    """What is freed inside is freed without the collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def connections() -> int:
    """How many connections this process holds objects of."""
    kinds = (GuardedProtocol, GuardedWebSocketProtocol)
    return sum(isinstance(found, kinds) for found in gc.get_objects())


async def test_a_connection_leaves_nothing_for_the_collector(
    offline_app: RunningApp, no_collection: None
) -> None:
    before = connections()
    someone = Person()
    async with served(offline_app) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/livez")).status_code == 200
        async with socket(url, someone) as one:
            assert (await one.next())["type"] == "connection"
            # The parser of the request is gone already; the socket has one object of its own.
            await asyncio.sleep(0)
            assert connections() == before + 1
    assert connections() == before
