"""Connections that are lost without a word, and how the pool and the listener get over it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.factories import Person
from tests.faults.proxy import Proxy

from taskchat.auth.repository import know
from taskchat.errors import DatabaseError
from taskchat.postgres import listener
from taskchat.postgres import pool as database_pool
from taskchat.postgres.connect import Connection, Connector, connect
from taskchat.postgres.database import Database
from taskchat.postgres.listener import Listener
from taskchat.postgres.pool import PooledConnection
from taskchat.settings import Settings

PATIENCE_S = 60


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """A way over TCP to the tests' database."""
    folder = make_url(database_url).query.get("host")
    if folder is None:
        pytest.skip("the tests' database has no Unix socket")
    async with Proxy(Path(str(folder)) / ".s.PGSQL.5432", database_url) as proxy:
        yield proxy


@pytest.fixture
async def pool(proxy: Proxy, settings: Settings) -> AsyncIterator[Database]:
    """A pool of three connections through the proxy, all made, all idle."""
    database = Database(proxy.url, settings.model_copy(update={"db_pool_size": 3}))
    all_here = asyncio.Barrier(3)

    async def use_one() -> None:
        async with database.transaction(Person().principal):
            await all_here.wait()

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(use_one(), use_one(), use_one())
    yield database
    await database.close()


async def backend_of(database: Database) -> int:
    async with database.transaction(Person().principal) as connection:
        return int(await connection.scalar(text("SELECT pg_backend_pid()")) or 0)


async def test_after_a_silent_drop_one_request_waits_and_the_whole_pool_is_renewed(
    proxy: Proxy, pool: Database
) -> None:
    assert proxy.silence() == 3
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(4):
            assert await backend_of(pool)
    # What a transaction begins with, once: a busy connection is not asked whether it lives.
    assert [message[5:10] for message in proxy.unheard] == [b"BEGIN"]


async def test_a_connection_that_was_idle_is_asked_whether_it_lives_before_it_is_used(
    proxy: Proxy, pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_pool, "LOOK_AFTER_S", 0.0)
    proxy.silence()
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(4):
            assert await backend_of(pool)
    assert [message[5:13] for message in proxy.unheard] == [b"SELECT 1"]


async def test_the_listener_notices_that_its_peer_is_silent(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "CHECK_S", 0.05)
    monkeypatch.setattr(listener, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(listener, "RECONNECT_S", 0.05)
    begun: asyncio.Queue[None] = asyncio.Queue()
    listening = Listener(proxy.url)
    listening.on("nothing", lambda _payload: None)
    listening.on_listening(lambda: begun.put_nowait(None))
    listening.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await begun.get()
            proxy.silence()
            await begun.get()
    finally:
        await listening.close()


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("", (1, 30, 10, 3)),
        ("&keepalives_idle=7&keepalives_interval=8&keepalives_count=9", (1, 7, 8, 9)),
        ("&keepalives=0", (0, None, None, None)),
    ],
)
async def test_the_kernel_asks_a_silent_peer_whether_it_is_there(
    proxy: Proxy, parameters: str, expected: tuple[int | None, ...]
) -> None:
    connection = await connect(proxy.url + parameters, command_timeout_s=PATIENCE_S)
    try:
        options = (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
        )
        for option, value in zip(options, expected, strict=True):
            assert value is None or connection.socket.getsockopt(*option) == value
    finally:
        await connection.close()


async def test_several_hosts_are_tried_in_turn_each_for_its_own_time(
    proxy: Proxy, settings: Settings
) -> None:
    # Listens and never answers, as a host does that hangs.
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        address = make_url(proxy.url)
        hosts = f"127.0.0.1:1,127.0.0.1:{hanging.getsockname()[1]},127.0.0.1:{address.port}"
        url = f"postgresql://postgres@{hosts}/{address.database}?sslmode=prefer&connect_timeout=1"
        database = Database(url, settings)
        async with asyncio.timeout(PATIENCE_S):
            assert await backend_of(database)
        await database.close()


async def test_a_home_that_can_not_be_looked_into_does_not_keep_it_from_connecting(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No file system has a name that long: even root may not look.
    monkeypatch.setenv("HOME", "/" + "x" * 300)
    connection = await connect(proxy.url.replace("disable", "prefer"), command_timeout_s=PATIENCE_S)
    await connection.close()


async def test_a_connection_that_dies_under_a_transaction_is_a_database_error_and_is_replaced(
    pool: Database, superuser: AsyncEngine
) -> None:

    async def outlive_it() -> None:
        async with pool.transaction(Person().principal) as connection:
            backend = await connection.scalar(text("SELECT pg_backend_pid()"))
            async with superuser.connect() as other:
                kill = text("SELECT pg_terminate_backend(:pid, 60000)")
                await other.execute(kill, {"pid": backend})
            await connection.scalar(text("SELECT 1"))

    for _ in range(8):
        # More often than there are connections: none may be missing afterwards.
        with pytest.raises(DatabaseError):
            await outlive_it()
    async with asyncio.timeout(PATIENCE_S):
        assert await backend_of(pool)


async def test_a_call_whose_connection_dies_is_a_database_error(
    pool: Database, superuser: AsyncEngine
) -> None:
    person = Person()
    async with superuser.connect() as holder:
        await holder.execute(text("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"))
        waiting = asyncio.create_task(know(pool, person.principal))
        async with superuser.connect() as other:
            kill = text(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE query LIKE"
                " '%user_know%' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
            )
            async with asyncio.timeout(PATIENCE_S):
                while not (await other.execute(kill)).all():
                    await other.rollback()
        with pytest.raises(DatabaseError):
            await waiting
        await holder.rollback()
    assert await backend_of(pool)


async def test_a_connection_that_is_closed_while_it_begins_costs_nothing(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, cut = PooledConnection.execute, 0

    async def cut_off(self: PooledConnection, query: str, *args: Any, **options: Any) -> Any:
        nonlocal cut
        if query.startswith("BEGIN") and not cut:
            cut += 1
            self.terminate()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle")
        return await execute(self, query, *args, **options)

    monkeypatch.setattr(PooledConnection, "execute", cut_off)
    assert await backend_of(pool)
    assert cut


async def test_a_connection_whose_asker_leaves_while_it_is_made_is_closed(
    database_url: str,
) -> None:
    made: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    class Hanging(Connection):
        async def execute(self, *_arguments: Any, **_options: Any) -> str:
            made.set_result(self)
            await asyncio.Event().wait()
            return ""

    connector = Connector(database_url, pooled=False, statement_timeout_s=5)
    asking = asyncio.create_task(connector.connect(Hanging))
    connection = await asyncio.wait_for(made, PATIENCE_S)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert connection.is_closed()


async def test_who_leaves_within_a_transaction_leaves_nothing_of_it_nor_an_error_in_the_log(
    settings: Settings, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(database_url, settings.model_copy(update={"db_pool_size": 1}))
    person = Person()
    # As the framework cancels whoever answers a client that has left: at every await from then on.
    with anyio.CancelScope() as scope:
        async with database.transaction(person.principal) as connection:
            await connection.execute(
                text("INSERT INTO users (id) VALUES (:id)"), {"id": person.user_id}
            )
            scope.cancel()
            await anyio.sleep_forever()
    async with database.transaction(person.principal) as connection:
        assert await connection.scalar(text("SELECT count(*) FROM users")) == 0
    await database.close()
    assert [record.getMessage() for record in caplog.records] == []
