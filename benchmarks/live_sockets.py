"""Sockets on which nothing is said, and some among them on which people chat."""

import asyncio
import os
import random
import time
from collections.abc import Sequence

import psutil

from benchmarks.clocks import cpu_s, machine_cpu_s
from benchmarks.live_clients import Said, Socket, open_socket
from benchmarks.live_figures import Chat, Idle, spread
from benchmarks.live_stage import Person, Server, Stage

SOCKETS_EACH = 5
"""Of one user: as many as the service allows."""

OPENED_AT_ONCE = 50
WARM_UP = 20
SETTLE_S = 1.75
"""After opening: each conversation is looked at once more a second later."""

THINKS_S = (0.5, 1.5)
PING_EVERY_S = 0.25
"""Slowly enough for the limit on frames, which is the default."""

MESSAGE = "Add task: Buy groceries"


async def warm_up(stage: Stage, server: Server) -> None:
    """A few turns, so that what is made once is not counted."""
    await server.ready()
    people = [stage.person(f"warm-{server.port}-{number}") for number in range(WARM_UP)]
    sockets = await asyncio.gather(*(open_socket(server, person) for person in people))
    await asyncio.gather(*(socket.say(MESSAGE) for socket in sockets))
    await close_all(sockets)


async def close_all(sockets: Sequence[Socket]) -> None:
    """Leave, before the server stops and would wait for everybody to."""
    await asyncio.gather(*(socket.close() for socket in sockets))


async def open_idle(
    server: Server, places: Sequence[tuple[Person, str]], *, address: str, idle_s: float
) -> tuple[Idle, list[Socket]]:
    """Open a socket at each place, and look at the server while nothing is said.

    Args:
        server: Warm, with no socket open.
        places: Who connects, and to which conversation.
        address: What to call these.
        idle_s: How long to look.
    """
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def open_one(person: Person, conversation_id: str) -> Socket:
        async with gate:
            return await open_socket(server, person, conversation_id)

    since = time.monotonic()
    memory, cpu, began = server.memory_kib(), server.cpu_s(), time.perf_counter()
    sockets = await asyncio.gather(*(open_one(*place) for place in places))
    opened_s, opening_cpu_s = time.perf_counter() - began, server.cpu_s() - cpu
    await asyncio.sleep(SETTLE_S)
    grown = server.memory_kib() - memory
    cpu, began = server.cpu_s(), time.perf_counter()
    await asyncio.sleep(idle_s)
    share = (server.cpu_s() - cpu) / (time.perf_counter() - began)
    count = len(sockets)
    idle = Idle(
        address=address,
        sockets=count,
        opened_s=round(opened_s, 2),
        open_cpu_ms=round(opening_cpu_s / count * 1000, 2),
        kib_each=round(grown / count, 1),
        cpu_share=round(share, 3),
        pause_ms=server.longest_pause_ms(since),
    )
    return idle, sockets


async def chat(
    stage: Stage, server: Server, chatters: Sequence[Socket], pinger: Socket, seconds: float
) -> Chat:
    """Say, wait for the end of the turn, think, again; all of them for so long."""
    said: list[Said] = []
    pongs: list[float] = []
    load = psutil.Process(os.getpid())
    since = time.monotonic()
    until = time.perf_counter() + seconds

    async def talk(socket: Socket) -> None:
        # Not all at the same moment.
        await asyncio.sleep(random.uniform(0, THINKS_S[1]))
        while time.perf_counter() < until:
            said.append(await socket.say(MESSAGE))
            await asyncio.sleep(random.uniform(*THINKS_S))

    async def ping() -> None:
        while time.perf_counter() < until:
            pongs.append(await pinger.ping())
            await asyncio.sleep(PING_EVERY_S)

    def clocks() -> tuple[float, ...]:
        return (
            time.perf_counter(),
            server.cpu_s(),
            stage.postgres.cpu_s(),
            cpu_s(load),
            machine_cpu_s(),
        )

    before = clocks()
    await asyncio.gather(ping(), *(talk(socket) for socket in chatters))
    lasted, *spent = (after - at for after, at in zip(clocks(), before, strict=True))
    server_share, postgres_share, load_share, all_share = (round(one / lasted, 3) for one in spent)
    return Chat(
        acknowledged=spread([one.acknowledged for one in said]),
        completed=spread([one.completed for one in said]),
        pong=spread(pongs),
        messages_per_s=round(len(said) / lasted, 1),
        server_share=server_share,
        postgres_share=postgres_share,
        load_share=load_share,
        others_share=round(all_share - server_share - postgres_share - load_share, 3),
        pause_ms=server.longest_pause_ms(since),
    )
