"""Readers of links wait in the line as one user does, and keep nobody else waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.factories import person_in

from taskchat.auth.issuing import issue_token
from taskchat.errors import Overloaded
from taskchat.postgres.database import READERS, Database
from taskchat.settings import Settings
from taskchat.sharing.tokens import new_token


def test_no_user_has_the_name_by_which_readers_wait() -> None:
    with pytest.raises(ValueError, match="“/”"):
        issue_token(READERS, secret="x" * 32, ttl_s=1, issuer=None, audience=None)


@contextlib.asynccontextmanager
async def small(settings: Settings, url: str, **changes: object) -> AsyncIterator[Database]:
    database = Database(url, settings.model_copy(update=changes))
    yield database
    await database.close()


async def test_however_many_read_by_links_they_take_one_connection_at_a_time(
    settings: Settings, database_url: str
) -> None:
    async with small(settings, database_url, db_pool_size=3) as database:
        inside = most = 0

        async def read() -> None:
            nonlocal inside, most
            async with database.reader_transaction(new_token()[1]):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(read() for _ in range(30)))
        assert most == 1


async def test_a_user_who_comes_behind_many_readers_is_next(
    settings: Settings, database_url: str
) -> None:
    async with small(settings, database_url, db_pool_size=1) as database:
        person = await person_in(database)
        order: list[str] = []
        let = asyncio.Event()

        async def read(name: str) -> None:
            async with database.reader_transaction(new_token()[1]):
                order.append(name)
                await let.wait()

        async def act() -> None:
            async with database.transaction(person.principal):
                order.append("user")

        readers = [asyncio.create_task(read(f"reader {number}")) for number in range(20)]
        while not order:
            await asyncio.sleep(0)
        user = asyncio.create_task(act())
        await asyncio.sleep(0)
        let.set()
        await asyncio.gather(*readers, user)
        # One reader is being served, and one more stands in front: then users come in turn.
        assert order.index("user") <= 2


async def test_of_a_full_line_readers_lose_their_place_before_a_user_does(
    settings: Settings, database_url: str
) -> None:
    async with small(settings, database_url, db_pool_size=1, db_line_max=5) as database:
        person = await person_in(database)
        let, served = asyncio.Event(), asyncio.Event()

        async def read() -> None:
            async with database.reader_transaction(new_token()[1]):
                served.set()
                await let.wait()

        async def act() -> str:
            async with database.transaction(person.principal):
                return "served"

        readers = [asyncio.create_task(read()) for _ in range(6)]
        await served.wait()
        user = asyncio.create_task(act())
        done, _ = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
        [refused] = done
        assert isinstance(refused.exception(), Overloaded)
        let.set()
        assert await user == "served"
        await asyncio.gather(*(set(readers) - done))
