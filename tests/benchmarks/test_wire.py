"""The proxy that counts round trips: what one is, what it is called, which belong together."""

import asyncpg
import pytest
from benchmarks.wire import Wire, wired


def told(wire: Wire) -> list[str]:
    trips = [trip.sql for trip in wire.trips]
    wire.trips.clear()
    return trips


async def test_a_simple_query_is_one_trip_in_one_line(database_url: str) -> None:
    async with wired(database_url) as wire:
        connection = await asyncpg.connect(wire.url)
        assert told(wire) == [], "to connect is none"
        await connection.execute("SELECT\n    1")
        assert told(wire) == ["SELECT 1"]
        await connection.close()


async def test_a_statement_is_prepared_once_and_remembered_by_its_name(database_url: str) -> None:
    async with wired(database_url) as wire:
        connection = await asyncpg.connect(wire.url)
        assert await connection.fetchval("SELECT $1::int", 7) == 7
        assert told(wire) == ["prepare: SELECT $1::int", "SELECT $1::int"]
        assert await connection.fetchval("SELECT $1::int", 8) == 8
        assert told(wire) == ["SELECT $1::int"]
        await connection.close()


async def test_many_rows_of_values_that_are_sent_at_once_are_one_trip(database_url: str) -> None:
    async with wired(database_url) as wire:
        connection = await asyncpg.connect(wire.url)
        prepared = await connection.prepare("SELECT $1::int")
        told(wire)
        assert await prepared.fetchmany([(1,), (2,)]) == [(1,), (2,)]
        assert told(wire) == ["SELECT $1::int; SELECT $1::int"]
        await connection.close()


async def test_trips_of_one_transaction_share_its_number(database_url: str) -> None:
    async with wired(database_url) as wire:
        connection = await asyncpg.connect(wire.url)
        async with connection.transaction():
            await connection.execute("SELECT 1")
        await connection.execute("SELECT 2")
        begin, one, commit, two = wire.trips
        assert begin.transaction == one.transaction == commit.transaction != two.transaction
        assert {trip.connection for trip in wire.trips} == {begin.connection}
        await connection.close()


async def test_a_failed_statement_is_a_trip_too(database_url: str) -> None:
    async with wired(database_url) as wire:
        connection = await asyncpg.connect(wire.url)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.execute("SELECT 1 / 0")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.fetchval("SELECT $1::int / 0", 1)
        assert told(wire) == ["SELECT 1 / 0", "prepare: SELECT $1::int / 0", "SELECT $1::int / 0"]
        assert await connection.fetchval("SELECT 3") == 3
        await connection.close()
