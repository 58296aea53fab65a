"""A turn in conversations of different length."""

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

from benchmarks.client import Client
from benchmarks.copies import copied_id, copy_conversation
from benchmarks.cost import Cost
from benchmarks.growth.places import WARM_UP, Place, round_robin
from benchmarks.stage import OURS, SCRIPTED, connected, staged

SHORTEST = 20
"""Messages of the conversation that is really talked; the others repeat it."""


async def measure(sizes: Sequence[int], turns: int, rounds: int) -> dict[str, list[Cost]]:
    """The costs of a turn, by the messages of its conversation."""
    with staged() as stage, contextlib.ExitStack() as stack:
        url = await stage.database(OURS, "bench_long")
        server = await stage.serve(OURS, url, SCRIPTED)
        client = await Client.connect(server.port, "user", stage.token("user"))
        stack.enter_context(contextlib.closing(client))
        talked: Any = None
        for _ in range(SHORTEST // 2):
            talked = (await client.say(talked))["conversation_id"]
        places = []
        async with connected(url) as database:
            for size in (max(1, size // SHORTEST) * SHORTEST for size in sizes):
                # None grows by more than a tenth: it would no longer be of its size.
                turns_each = size // 20
                copies = -(-(WARM_UP + turns * rounds) // turns_each)
                salt = await copy_conversation(database, talked, copies, repeats=size // SHORTEST)
                ids = [copied_id(talked, salt, number) for number in range(copies)]
                each = (itertools.repeat(id_, turns_each) for id_ in ids)
                ahead = itertools.chain.from_iterable(each)
                places.append(Place(f"{size:,} messages", server, client, ahead))
            await database.execute("VACUUM (ANALYZE)")
            await database.execute("CHECKPOINT")
        return await round_robin(places, stage.postgres, turns, rounds)
