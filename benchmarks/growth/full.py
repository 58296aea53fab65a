"""A turn in tables of different size: other people's conversations, and many of one's own."""

import contextlib
import itertools
from collections.abc import Iterable, Sequence

import asyncpg

from benchmarks.client import Client
from benchmarks.copies import copied_id, copy_conversation
from benchmarks.cost import Cost
from benchmarks.growth.places import Place, round_robin
from benchmarks.stage import OURS, SCRIPTED, connected, staged

FEW = 10
"""Conversations that a person has who has few, of ten turns each. The measured turns go on with
them, one after the other."""


async def measure(sizes: Sequence[int], turns: int, rounds: int) -> dict[str, list[Cost]]:
    """The costs of a turn, by how many conversations there are, and whose they are."""
    with staged() as stage, contextlib.ExitStack() as stack:
        # What is made in a minute would otherwise be written to disk several times.
        async with connected(stage.server_url) as admin:
            await admin.execute("ALTER SYSTEM SET max_wal_size = '16GB'")
            await admin.execute("SELECT pg_reload_conf()")
        places = []
        for size in sizes:
            url = await stage.database(OURS, f"bench_full_{size}")
            server = await stage.serve(OURS, url, SCRIPTED)

            async def someone(name: str, port: int = server.port) -> Client:
                client = await Client.connect(port, name, stage.token(name))
                return stack.enter_context(contextlib.closing(client))

            async with connected(url) as database:
                own_many = size // 10 if size > FEW else 0
                if own_many:
                    crowd = await someone("crowd")
                    others = size - own_many - 2 * FEW
                    await _made(
                        database, crowd, turns=1, conversations=others, owners=others // FEW
                    )
                few = await someone("few")
                ids = await _made(database, few, turns=FEW, conversations=FEW)
                places.append(Place(f"{size:,} conversations", server, few, itertools.cycle(ids)))
                if own_many:
                    many = await someone("many")
                    await _made(database, many, turns=1, conversations=own_many)
                    ids = await _made(database, many, turns=FEW, conversations=FEW)
                    name = f"{size:,} conversations, {own_many:,} of them one's own"
                    places.append(Place(name, server, many, itertools.cycle(ids)))
                # Or autovacuum does it while turns are measured.
                await database.execute("VACUUM (ANALYZE)")
                await database.execute("CHECKPOINT")
        return await round_robin(places, stage.postgres, turns, rounds)


async def _made(
    database: asyncpg.Connection, client: Client, *, turns: int, conversations: int, owners: int = 0
) -> Iterable[str]:
    """Conversations of so many turns; the ids of all of them, made when they are asked for."""
    talked = None
    for _ in range(turns):
        talked = (await client.say(talked))["conversation_id"]
    assert talked is not None
    salt = await copy_conversation(database, talked, conversations - 1, owners=owners)
    copied = (copied_id(talked, salt, number) for number in range(conversations - 1))
    return itertools.chain((talked,), copied)
