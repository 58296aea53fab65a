"""How long a token takes from the model to who reads along, on every way and for many at once."""

import asyncio
import contextlib
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

from openai import AsyncOpenAI

from benchmarks.live_clients import (
    complete,
    listen_to_stream,
    open_reader,
    open_socket,
    stream_turn,
)
from benchmarks.live_figures import Delay, Readers, spread
from benchmarks.live_stage import Person, Server, Stage
from benchmarks.token_server import MODEL, Recitation, delays_ms

JOIN_MS = 1000
"""The model is silent for so long at first, while readers join."""

WARM_UP = 5
"""Tokens of a text that is not measured."""

STATISTICS_S = 10.5
"""Within so long a session of Postgres tells what it has done."""

Way = Callable[[Recitation], Awaitable[list[float]]]


async def _straight(client: AsyncOpenAI, recitation: Recitation) -> list[float]:
    delays: list[float] = []
    stream: Any = await client.responses.create(model=MODEL, input=recitation.message, stream=True)
    async for event in stream:
        if event.type == "response.output_text.delta":
            delays += delays_ms(event.delta)
    return complete(delays, recitation)


async def _by_socket(server: Server, person: Person, recitation: Recitation) -> list[float]:
    socket = await open_socket(server, person)
    try:
        return await socket.listen(recitation)
    finally:
        await socket.close()


async def measure_ways(
    stage: Stage,
    vendor: str,
    servers: dict[float, Server],
    recitation: Recitation,
    *,
    rounds: int,
    progress: Callable[[], None],
) -> list[Delay]:
    """The same text on every way, one after another, and again.

    Args:
        stage: For users.
        vendor: The model's address.
        servers: By how often they tell of text, in seconds.
        recitation: The text.
        rounds: How often.
        progress: Told of each text.
    """
    person = stage.person("reader")
    async with AsyncOpenAI(api_key="none", base_url=vendor) as client:
        ways: dict[tuple[str, float | None], Way] = {
            ("straight", None): functools.partial(_straight, client)
        }
        for interval_s, server in servers.items():
            ways["SSE", interval_s] = functools.partial(listen_to_stream, server, person)
            ways["WebSocket", interval_s] = functools.partial(_by_socket, server, person)
        heard: dict[tuple[str, float | None], list[list[float]]] = {way: [] for way in ways}
        for listen in ways.values():
            # Connections, prepared statements, late imports.
            await listen(Recitation(WARM_UP))
        for _ in range(rounds):
            for way, listen in ways.items():
                heard[way].append(await listen(recitation))
                progress()
    return [
        Delay(
            name,
            interval_s,
            first=spread([delays[0] for delays in texts]),
            every=spread([delay for delays in texts for delay in delays]),
        )
        for (name, interval_s), texts in heard.items()
    ]


async def measure_readers(
    stage: Stage, server: Server, tokens: int, *, readers: int, count: bool
) -> Readers:
    """So many readers of one turn; each must get every event, byte for byte.

    Args:
        stage: For a user, and to count.
        server: With a model that recites.
        tokens: How long the text is.
        readers: How many.
        count: Whether transactions are counted, which takes its time.
    """
    person = stage.person("reader")
    recitation = Recitation(tokens, pause_ms=JOIN_MS)
    transactions = await _transactions(stage) if count else 0
    cpu, began = server.cpu_s(), time.perf_counter()
    events = stream_turn(server, person, recitation)
    async with contextlib.aclosing(events):
        # Who began the turn leaves; it goes on.
        turn_id = (await anext(events))["turn_id"]
    opened = time.monotonic_ns()
    following = await asyncio.gather(
        *(open_reader(server, person, turn_id) for _ in range(readers))
    )
    await asyncio.gather(*(reader.ended for reader in following))
    share = (server.cpu_s() - cpu) / (time.perf_counter() - began)
    if count:
        transactions = await _transactions(stage) - transactions
    bodies = {reader.body for reader in following}
    if len(bodies) > 1:
        raise RuntimeError("not all readers got the same")
    joined = max(reader.joined_at for reader in following)
    delays = [reader.delays_ms(since=joined) for reader in following]
    if any(len(times) != len(delays[0]) for times in delays) or not delays[0]:
        raise RuntimeError("not all readers got every token")
    spreads = [spread(times) for times in delays]
    return Readers(
        readers=readers,
        joined_ms=round((joined - opened) / 1e6, 1),
        slowest=max(spreads, key=lambda one: one.p95),
        all=spread([delay for times in delays for delay in times]),
        server_share=round(share, 3),
        transactions=transactions if count else None,
    )


async def _transactions(stage: Stage) -> int:
    await asyncio.sleep(STATISTICS_S)
    return await stage.transactions()
