"""Kills the processes that send, again and again, while events happen.

    python -m tests.webhooks.storm --kills 500

None may be lost, each lane must be in order, and a repeat must carry the id and the body of before.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.pool import NullPool
from tests.webhooks.receiver import Got, Receiver, receiving, status

from taskchat.moments import new_id
from taskchat.postgres.connect import open_engine
from taskchat.postgres.database import Database
from taskchat.postgres.embedded import ephemeral_data_dir, start_postgres
from taskchat.postgres.migrations import upgrade
from taskchat.principal import Principal
from taskchat.settings import Settings

TURN = (
    "INSERT INTO turns (user_id, id, conversation_id, number, channel, status)"
    " VALUES ($1, $2, $3, $4, 'rest', 'completed')"
)
WAITING_MAX = 300
"""With more waiting nothing happens: who is killed all the time would never catch up."""

WOKEN = "SELECT wake_next_1($1, $2, $3, $4, false)"


@dataclass
class Storm:
    """What happened, and what was told of it."""

    url: str
    receiver: Receiver
    kills_max: int
    users: int = 4
    conversations: int = 6
    kills: int = 0
    cut: int = 0
    """Kills by the receiver, while it had got something and had not answered."""
    refused: int = 0
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answering(self, one: Got) -> bytes:
        """Mostly takes it; now and then fails, or kills a sender before it hears."""
        chance = random.random()
        if chance < 0.1 and self.kills < self.kills_max and self.processes:
            self.cut += 1
            self.kill(random.choice(self.processes))
        elif chance < 0.15:
            self.refused += 1
            return status(500)
        elif chance < 0.3:
            await asyncio.sleep(random.uniform(0, 0.05))
        return status(200)

    def kill(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None and process in self.processes:
            self.processes.remove(process)
            process.kill()
            self.kills += 1

    async def keep_sending(self) -> None:
        """One place of a process that is killed and replaced until there were enough kills."""
        while self.kills < self.kills_max:
            process = await self.started()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.05, 1)):
                    await process.wait()
            self.kill(process)
            await process.wait()

    async def started(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.webhooks.sending_process"),
            env={**os.environ, "DATABASE_URL": self.url, "WEBHOOK_TIMEOUT_S": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        self.processes.append(process)
        return process

    async def happen(self, database: Database, user: str) -> None:
        """Turns end and tasks change for as long as the storm lasts."""
        principal = Principal(user)
        conversations = [new_id() for _ in range(self.conversations)]
        async with database.transaction(principal) as connection:
            await connection.fetch("INSERT INTO users (id) VALUES ($1)", user)
            await connection.fetch(
                "INSERT INTO webhooks (user_id, id, url, secret) VALUES ($1, $2, $3, $4)",
                *(user, new_id(), self.receiver.url, b"x" * 32),
            )
            for conversation in conversations:
                await connection.fetch(
                    "INSERT INTO conversations (user_id, id) VALUES ($1, $2)", user, conversation
                )
        number = 0
        while not self.over.is_set():
            if await waiting(database) > WAITING_MAX:
                await asyncio.sleep(0.2)
                continue
            number += 1
            for conversation in conversations:
                turn = new_id()
                async with database.transaction(principal) as connection:
                    await connection.fetch(TURN, user, turn, conversation, number)
                    await connection.fetch(WOKEN, user, conversation, turn, number)
            async with database.transaction(principal) as connection:
                await connection.fetch("SELECT task_add_1($1, 'x', '')", user)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self.over.wait()


async def run(url: str, *, kills: int, places: int) -> tuple[Storm, list[str]]:
    """A storm, and what it broke.

    Args:
        url: A migrated database.
        kills: How many processes are killed.
        places: How many send at once.
    """
    settings = Settings(_env_file=None, database_url=url)
    database = Database(url, settings)
    async with receiving() as receiver:
        storm = Storm(url, receiver, kills)
        receiver.answering = storm.answering
        users = [f"user-{new_id().hex}" for _ in range(storm.users)]
        happening = [asyncio.create_task(storm.happen(database, user)) for user in users]
        await asyncio.gather(*(storm.keep_sending() for _ in range(places)))
        storm.over.set()
        await asyncio.gather(*happening)
        last = await storm.started()
        await until_all_is_told(database)
        storm.processes.clear()
        last.kill()
        await last.wait()
        broken = await violations(url, receiver.got)
    await database.close()
    return storm, broken


async def waiting(database: Database) -> int:
    """How many deliveries have not arrived."""
    async with database.system_transaction() as connection:
        [row] = await connection.fetch(
            "SELECT count(*) FROM webhook_deliveries WHERE status <> 'delivered'"
        )
    return int(row[0])


async def until_all_is_told(database: Database) -> None:
    async with asyncio.timeout(300):
        while True:
            if await waiting(database) == 0:
                return
            await asyncio.sleep(0.2)


async def violations(url: str, got: list[Got]) -> list[str]:
    """What the receiver got, held against what the database noted."""
    engine = open_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT id, user_id, lane, seq, status FROM webhook_deliveries ORDER BY seq")
        )
        noted = {str(row.id): row for row in rows}
        happened = await connection.scalar(
            text("SELECT (SELECT count(*) FROM turns) + (SELECT count(*) FROM tasks)")
        )
    await engine.dispose()
    broken = []
    if len(noted) != happened:
        broken.append(f"{happened} events, {len(noted)} noted")
    bodies: dict[str, bytes] = {}
    lanes: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for one in got:
        if one.id not in noted:
            broken.append(f"{one.id} was never noted")
            continue
        row = noted[one.id]
        lanes[row.user_id, row.lane].append(row.seq)
        if bodies.setdefault(one.id, one.body) != one.body:
            broken.append(f"{one.id} came with two bodies")
    broken += [f"{id_} was lost" for id_ in noted if id_ not in bodies]
    broken += [f"{lane} is out of order" for lane, seqs in lanes.items() if seqs != sorted(seqs)]
    if len({one.body for one in got}) != len(bodies):
        broken.append("a repeat came under another id")
    return broken


@contextlib.asynccontextmanager
async def place_of_its_own() -> AsyncIterator[str]:
    url = start_postgres(ephemeral_data_dir())
    await asyncio.to_thread(upgrade, url)
    yield url


async def main(arguments: argparse.Namespace) -> int:
    async with place_of_its_own() as url:
        storm, broken = await run(url, kills=arguments.kills, places=arguments.places)
    got = storm.receiver.got
    ids = {one.id for one in got}
    print(
        f"{storm.kills} kills ({storm.cut} while a request was under way), "
        f"{storm.refused} refusals; "
        f"{len(ids)} events, {len(got)} requests, {len(got) - len(ids)} repeats; "
        f"{len(broken)} violations"
    )
    for line in broken:
        print(line)
    return bool(broken)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--places", type=int, default=3, help="processes that send at once")
    sys.exit(asyncio.run(main(parser.parse_args())))
