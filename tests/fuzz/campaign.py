"""The parts of a campaign, and what they find."""

import asyncio
import contextlib
import itertools
import random
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

import psutil
from fastapi import FastAPI
from hypothesis import seed as hypothesis_seed
from hypothesis.stateful import run_state_machine_as_test
from tests.answers import ask
from tests.e2e.sockets import PATIENCE_S as SOCKET_PATIENCE_S
from tests.e2e.sockets import Server, started, up
from tests.factories import Person
from tests.fuzz.contract import contract
from tests.fuzz.drawing import Drawer, Known
from tests.fuzz.judging import fault_of
from tests.fuzz.machine import Api, machine, plan
from tests.fuzz.stage import Stage
from tests.fuzz.tally import Tally
from tests.fuzz.wires import (
    LIVEZ,
    end_sockets,
    requests_of,
    send_requests,
    sockets_with_frames,
)

JSON: Final = "application/json"

SECRET: Final = "quagga-5b2e"
"""Stands in what the user has of whom nobody else may learn anything."""

USER_EVERY: Final = 2000
"""Requests of one user, so that none has much: lists of thousands would be all that is measured."""

FOUND_MAX: Final = 20
"""Findings behind which a part ends: the others are likely the same."""


LANES: Final = 8
"""Users who ask at once, each with a seed of their own: the first has the campaign's."""

PATIENCE_S: Final = 1
"""Of a client with a stream: some have no end that anybody brings about."""


MACHINES: Final = 20
"""Programs of a machine before it is looked at the time."""

WARM_AFTER, GROWTH_MAX_MIB = 20, 100
"""Batches behind which a server has everything that it keeps, and how much more it may then."""


Part = Callable[[Stage, int, float, Tally], Awaitable[None]]
"""Plays on a stage, with a seed, until a time of the monotonic clock, and counts."""


async def requests(
    app: FastAPI, seed: int, tally: Tally, *, ends: float = float("inf"), count: int = 2**62
) -> None:
    """Requests at random to every operation, straight to the app.

    Args:
        app: Whom to ask.
        seed: Of everything that is drawn.
        tally: Where it is counted.
        ends: When to end, by the monotonic clock.
        count: How many at most.
    """
    dice = random.Random(seed)
    document = app.openapi()
    drawer = Drawer(document, dice)
    other = Person()
    known_of_other = Known()
    for path, body in (("chat", "message"), ("tasks", "title")):
        answer = await ask(
            app,
            "POST",
            f"/api/{other.user_id}/{path}".encode(),
            headers=[
                (b"authorization", other.headers["Authorization"].encode()),
                (b"content-type", b"application/json"),
            ],
            body=f'{{"{body}": "Add task: {SECRET}"}}'.encode(),
        )
        assert answer.status in (200, 201), answer.content
        known_of_other.learn(answer.json(), path)
    for number in range(count):
        if time.monotonic() > ends or len(tally.found) >= FOUND_MAX:
            return
        if number % USER_EVERY == 0:
            person, known = Person(), Known()
            authorization = person.headers["Authorization"]
        drawn = drawer.draw(
            person.user_id, authorization, known_of_other if dice.random() < 0.1 else known
        )
        repeat = f"seed {seed}, number {number}: {drawn}"
        try:
            answer = await ask(
                app,
                drawn.method,
                drawn.target,
                headers=drawn.headers,
                body=drawn.body,
                patience_s=PATIENCE_S,
            )
        except Exception as error:
            tally.find(f"{type(error).__name__} at {drawn.path}", repeat)
            continue
        tally.counted["requests", f"{answer.status // 100}xx"] += 1
        is_json = answer.headers.get("content-type") == JSON
        if is_json and answer.content and answer.whole and answer.status < 300:
            segments = [one for one in drawn.path.split("/") if one and one[0] != "{"]
            known.learn(answer.json(), segments[-1] if segments else "")
        fault = fault_of(drawn, answer, document, secret=SECRET)
        if fault:
            tally.find(f"{fault} at {drawn.path}", repeat)


async def _requests(stage: Stage, seed: int, ends: float, tally: Tally) -> None:
    lanes = (requests(stage.app, seed + lane, tally, ends=ends) for lane in range(LANES))
    await asyncio.gather(*lanes)


async def _machine(stage: Stage, seed: int, ends: float, tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    while time.monotonic() < ends and len(tally.found) < FOUND_MAX:
        tried = machine(stage.client, loop)
        try:
            await asyncio.to_thread(_try_machine, tried, seed)
        except Exception as error:
            notes = "\n  ".join(getattr(error, "__notes__", ()))
            tally.find(f"machine: {error!r}", f"seed {seed}: {notes}")
        tally.counted["machine", "requests"] += tried.asked
        tally.counted["machine", "programs"] += MACHINES
        seed += 1


def _try_machine(tried: type[Api], seed: int) -> None:
    run_state_machine_as_test(hypothesis_seed(seed)(tried), settings=plan(MACHINES, 25))


@contextlib.contextmanager
def _served(stage: Stage, name: str) -> Iterator[Server]:
    """A server of its own, of which little may be left when it ends: its log is looked through."""
    times = {f"TASKCHAT_{what}_TIMEOUT_S": "0.3" for what in ("HEADER", "BODY")}
    limits = {"TASKCHAT_ACCOUNTS": "true", "TASKCHAT_LOG_LEVEL": "warning", **times}
    with started(stage.database_url, stage.folder / name, **limits) as server:
        up(server)
        yield server


def _growth(server: Server, before: int) -> str | None:
    """What a server keeps more than it did, in MiB, if that is much."""
    grown = (psutil.Process(server.process.pid).memory_info().rss - before) // 2**20
    return f"memory grew by {grown} MiB" if grown > GROWTH_MAX_MIB else None


def _on_a_socket(name: str, once: Callable[[Server, random.Random, Tally], None]) -> Part:
    """A part that does something over and over to a server in a process of its own."""

    def play(stage: Stage, seed: int, ends: float, tally: Tally) -> None:
        dice = random.Random(seed)
        with _served(stage, name) as server:
            before = None
            for number in itertools.count():
                if time.monotonic() > ends or len(tally.found) >= FOUND_MAX:
                    break
                once(server, dice, tally)
                if server.process.poll() is not None:
                    tally.find(f"{name}: the server ended", f"seed {seed}, batch {number}")
                    return
                # A process takes its time to have everything that it keeps.
                if number == WARM_AFTER:
                    before = psutil.Process(server.process.pid).memory_info().rss
            if before is not None and (grown := _growth(server, before)):
                tally.find(f"{name}: {grown}", f"seed {seed}, {number} batches")

    async def part(stage: Stage, seed: int, ends: float, tally: Tally) -> None:
        try:
            await asyncio.to_thread(play, stage, seed, ends, tally)
        except AssertionError as error:
            tally.find(f"{name}: {str(error)[-2000:]}", f"seed {seed}")

    return part


def _send_requests(server: Server, dice: random.Random, tally: Tally) -> None:
    statuses, broke = send_requests(server.port, requests_of(Person()), dice, wires=40)
    for status, count in statuses.items():
        tally.counted["sockets", f"{status[0]}xx" if status.isdecimal() else status] += count
    for sent in broke:
        tally.find("sockets: 5xx", repr(sent))
    _serves(server)


def _send_frames(server: Server, dice: random.Random, tally: Tally) -> None:
    with sockets_with_frames(server, dice, people=4) as raws:
        _serves(server)
        for code, count in end_sockets(raws).items():
            tally.counted["frames", code] += count
            if code == "1011":
                tally.find("frames: 1011, an error of the server's own", "see the seed")


def _serves(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=SOCKET_PATIENCE_S) as wire:
        wire.sendall(LIVEZ)
        assert wire.recv(4096).startswith(b"HTTP/1.1 200 ")


PARTS: Mapping[str, Part] = {
    "requests": _requests,
    "machine": _machine,
    "contract": contract,
    "sockets": _on_a_socket("sockets", _send_requests),
    "frames": _on_a_socket("frames", _send_frames),
}
