"""Who may be taken for lost, and by whom: the rule itself, moment by moment."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.processes.repository import LOST, Lease, forget_dead

LEASE = Lease(seconds=600, grace_s=300)
"""So long that no machine is too slow; who is gone is so after 200 s of silence."""

HELD, ENDED = 2**61 + 2**31 + 7, 2**61 + 2**31 + 8
"""Two sessions; their numbers need all the bits that a lock has."""

Row = tuple[float, float, int | None, bool]
"""Seconds since it was seen, seconds until its lease ends, its session, whether it is stuck."""

WATCHER = {"since": -1000.0, "expires": 600.0}


@pytest.fixture(scope="module")
async def held(superuser: AsyncEngine) -> AsyncIterator[None]:
    """One of the sessions is open."""
    async with superuser.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": HELD})
        yield


async def insert(
    superuser: AsyncEngine, *, since: float, seen: float, expires: float, **columns: Any
) -> UUID:
    """A process, with times in seconds from now."""
    id_ = new_id()
    async with superuser.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO processes (id, session, since, seen_at, expires_at, stuck)"
                " VALUES (:id, :session,"
                " now() + make_interval(secs => :since), now() + make_interval(secs => :seen),"
                " now() + make_interval(secs => :expires), :stuck)"
            ),
            {"id": id_, "since": since, "seen": seen, "expires": expires, **columns},
        )
    return id_


async def fate(
    database: Database, superuser: AsyncEngine, row: Row, **watcher: float
) -> str | None:
    """What a watcher may think of such a process."""
    seen, expires, session, stuck = row
    me = await insert(superuser, seen=0, session=None, stuck=False, **(WATCHER | watcher))
    other = await insert(
        superuser, since=-2000, seen=-seen, expires=expires, session=session, stuck=stuck
    )
    async with database.system_transaction() as connection:
        found = await connection.scalar(
            text(f"WITH {LOST} SELECT fate FROM lost WHERE id = :other"),
            {"process": me, "other": other, **LEASE.values()},
        )
    async with superuser.begin() as connection:
        await connection.execute(
            text("DELETE FROM processes WHERE id = ANY (:ids)"), {"ids": [me, other]}
        )
    return None if found is None else str(found)


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param((10, 590, HELD, False), None, id="it beats"),
        pytest.param((10, 590, ENDED, False), None, id="its session was cut a moment ago"),
        pytest.param(
            (250, 350, ENDED, False), "gone", id="it ended: no need to wait for its lease"
        ),
        pytest.param((250, 350, HELD, False), None, id="it is slow"),
        pytest.param((700, -100, HELD, False), None, id="its lease ran out, and it is there"),
        pytest.param((1000, -400, HELD, False), "silent", id="and says nothing for too long"),
        pytest.param((10, 100, HELD, True), None, id="its loop has been stuck for a moment"),
        pytest.param((10, -10, HELD, True), "stuck", id="its loop has been stuck for a lease"),
        pytest.param((700, -100, ENDED, True), "gone", id="it was stuck, and ended"),
        pytest.param((250, 350, None, False), None, id="a pooler hides whether it is there"),
        pytest.param((601, -1, None, False), "unknown", id="and its lease ran out"),
    ],
)
async def test_what_becomes_of_a_process(
    database: Database, superuser: AsyncEngine, row: Row, expected: str | None
) -> None:
    assert await fate(database, superuser, row) == expected


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("row", [(700, -100, ENDED, False), (700, -100, None, False)])
@pytest.mark.parametrize(
    ("watcher", "judges"),
    [
        pytest.param({}, True, id="watched"),
        pytest.param({"since": -100.0}, False, id="came back a moment ago, as all the others do"),
        pytest.param({"expires": -1.0}, False, id="was away itself"),
    ],
)
async def test_who_was_away_takes_nobody_for_lost(
    database: Database, superuser: AsyncEngine, row: Row, watcher: dict[str, float], judges: bool
) -> None:
    assert (await fate(database, superuser, row, **watcher) is not None) == judges


async def test_a_process_that_went_without_a_word_is_forgotten_in_the_end(
    database: Database, superuser: AsyncEngine
) -> None:
    ids = [
        await insert(superuser, since=-9000, seen=-8000, expires=expires, session=None, stuck=False)
        for expires in (-3500, -3700)
    ]
    async with database.system_transaction() as connection:
        assert await forget_dead(connection, rows_max=1000) >= 1
    async with superuser.begin() as connection:
        left = await connection.scalars(
            text("DELETE FROM processes WHERE id = ANY (:ids) RETURNING id"), {"ids": ids}
        )
        assert list(left) == ids[:1]
