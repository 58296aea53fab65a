"""The heartbeat's last word."""

import asyncio
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from taskchat.moments import new_id
from taskchat.processes.heartbeat import Heartbeat
from taskchat.processes.repository import Lease

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    " AND query LIKE '%' || :process || '%'"
)


async def _waiting(connection: AsyncConnection, process: UUID) -> None:
    """Until a statement about this process waits for a lock."""
    while not await connection.scalar(_WAITING, {"process": str(process)}):
        await asyncio.sleep(0.01)


async def test_a_process_that_ends_in_the_middle_of_a_beat_says_so_all_the_same(
    superuser: AsyncEngine, database_url: str
) -> None:
    process = new_id()
    heartbeat = Heartbeat([database_url], process, lease=Lease(seconds=1, grace_s=60))
    heartbeat.start()
    while not heartbeat.beats:
        await asyncio.sleep(0.01)
    async with superuser.connect() as holder, superuser.connect() as watcher:
        await holder.execute(
            text("SELECT 1 FROM processes WHERE id = :id FOR UPDATE"), {"id": process}
        )
        await _waiting(watcher, process)
        ending = asyncio.create_task(heartbeat.close())
        await asyncio.sleep(0)
        await holder.rollback()
        await ending
        ended = text("SELECT ended FROM processes WHERE id = :id")
        assert await watcher.scalar(ended, {"id": process})
