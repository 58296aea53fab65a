"""Ghosts don't count: who answers no ping makes place for who comes; who answers keeps it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from tests.conftest import AppMaker
from tests.factories import Person
from tests.live.served import PATIENCE_S, Silent, served, silent, socket

from taskchat.transports.dependencies import LiveDeps
from taskchat.transports.socket import ghosts

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

PROBE_S = 0.3
"""Ghosts are waited for so long."""

PATIENT_S = 60.0
"""If nobody is to be taken for a ghost, however slow the machine."""

SELDOM_S = 3600.0
"""Between the pings that are sent in any case: none of them finds a ghost here."""


@contextlib.asynccontextmanager
async def asleep(url: str, person: Person, number: int) -> AsyncIterator[Sequence[Silent]]:
    """Admitted sockets that answer nothing."""
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(silent(url, person)) for _ in range(number)]
        for one in sockets:
            assert b'"connection"' in await one.until(TEXT)
        yield sockets


async def is_let_in(url: str, person: Person) -> bool:
    async with asyncio.timeout(2 * PATIENCE_S), socket(url, person) as one:
        frame = await one.next()
        if frame["type"] == "connection":
            return True
        assert frame["code"] == "MAX_CONNECTIONS"
        assert (await one.closed())[0] == 4029
        return False


async def test_five_silent_sockets_make_place_and_are_told_why(running_app: AppMaker) -> None:
    person = Person()
    async with (
        running_app(websocket_probe_s=PROBE_S, websocket_ping_s=SELDOM_S) as running,
        served(running) as url,
        asleep(url, person, 5) as sockets,
    ):
        assert await is_let_in(url, person)
        for one in sockets:
            assert int.from_bytes((await one.until(CLOSE))[:2], "big") == 4008


async def test_five_that_answer_keep_out_the_sixth_and_stay(running_app: AppMaker) -> None:
    person = Person()
    async with (
        running_app(websocket_probe_s=PATIENT_S, websocket_ping_s=SELDOM_S) as running,
        served(running) as url,
        contextlib.AsyncExitStack() as stack,
    ):
        here = [await stack.enter_async_context(socket(url, person)) for _ in range(5)]
        for one in here:
            await one.until("connection")
        assert not await is_let_in(url, person)
        for one in here:
            await one.send("ping", id="p")
            await one.until("pong", reply_to="p")


async def test_a_socket_that_said_something_just_now_is_not_asked(running_app: AppMaker) -> None:
    person = Person()
    async with (
        running_app(
            websocket_connections_max=1, websocket_probe_s=PATIENT_S, websocket_ping_s=SELDOM_S
        ) as running,
        served(running) as url,
        asleep(url, person, 1) as [one],
    ):
        one.say(TEXT, b'{"type": "ping"}')
        assert b"pong" in await one.until(TEXT)
        assert not await is_let_in(url, person)


async def test_one_that_answers_stays_beside_ghosts_that_go(running_app: AppMaker) -> None:
    person = Person()
    async with (
        running_app(
            websocket_connections_max=2, websocket_probe_s=3, websocket_ping_s=SELDOM_S
        ) as running,
        served(running) as url,
        asleep(url, person, 2) as [alive, ghost],
    ):
        coming = asyncio.create_task(is_let_in(url, person))
        alive.say(PONG, await alive.until(PING))
        assert await coming
        await ghost.until(CLOSE)
        alive.say(TEXT, b'{"type": "ping"}')
        assert b"pong" in await alive.until(TEXT)


async def test_of_newcomers_at_once_as_many_are_let_in_as_ghosts_go(running_app: AppMaker) -> None:
    person = Person()
    async with (
        running_app(
            websocket_connections_max=2, websocket_probe_s=PROBE_S, websocket_ping_s=SELDOM_S
        ) as running,
        served(running) as url,
        asleep(url, person, 2),
        contextlib.AsyncExitStack() as stack,
    ):
        coming = [stack.enter_async_context(socket(url, person)) for _ in range(4)]
        # They come together, and who is let in stays.
        newcomers = await asyncio.gather(*coming)
        frames = await asyncio.gather(*(one.next() for one in newcomers))
    assert sorted(frame["type"] for frame in frames) == ["connection"] * 2 + ["error"] * 2


async def test_ghosts_of_another_process_make_place(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody has to be quick.
    monkeypatch.setattr(ghosts, "GRACE_S", PATIENT_S)
    person = Person()
    async with (
        running_app(websocket_probe_s=PROBE_S, websocket_ping_s=SELDOM_S) as first,
        running_app(websocket_probe_s=PROBE_S, websocket_ping_s=SELDOM_S) as second,
        served(first) as here,
        served(second) as there,
        asleep(there, person, 5) as sockets,
    ):
        async with asyncio.timeout(PATIENCE_S):
            await second.listener.listening.wait()
        assert await is_let_in(here, person)
        for one in sockets:
            await one.until(CLOSE)


async def test_without_notifications_the_places_are_looked_after(running_app: AppMaker) -> None:
    person = Person()
    async with (
        running_app(
            websocket_connections_max=2, websocket_probe_s=PROBE_S, websocket_ping_s=SELDOM_S
        ) as running,
        served(running) as url,
        asleep(url, person, 2) as sockets,
    ):
        live: LiveDeps = running.live
        await live.ghosts.look()
        for one in sockets:
            await one.until(CLOSE)
        assert await is_let_in(url, person)


async def test_sockets_of_other_processes_that_answer_keep_out_the_sixth(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ghosts, "GRACE_S", 0.0)
    person = Person()
    async with (
        running_app(
            websocket_connections_max=2, websocket_probe_s=PATIENT_S, websocket_ping_s=SELDOM_S
        ) as second,
        running_app(
            websocket_connections_max=2, websocket_probe_s=PROBE_S, websocket_ping_s=SELDOM_S
        ) as first,
        served(first) as here,
        served(second) as there,
        socket(there, person) as one,
        socket(there, person) as two,
    ):
        for living in (one, two):
            await living.until("connection")
        assert not await is_let_in(here, person)
        for living in (one, two):
            await living.send("ping", id="p")
            await living.until("pong", reply_to="p")


async def test_an_answer_that_came_while_the_process_was_starved_counts(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with (
        running_app(
            websocket_connections_max=1, websocket_probe_s=3, websocket_ping_s=SELDOM_S
        ) as running,
        served(running) as url,
        asleep(url, person, 1) as [one],
    ):
        coming = asyncio.create_task(is_let_in(url, person))
        one.say(PONG, await one.until(PING))
        # The answer is at the server's socket, and its loop comes to it when the time is over.
        time.sleep(3.5)  # noqa: ASYNC251
        assert not await coming
