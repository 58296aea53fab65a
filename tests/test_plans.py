"""What is asked all the time is found by an index, in tables that are worth one."""

from benchmarks.scale.counting import seen
from benchmarks.scale.filling import fill
from benchmarks.scale.looks import looks_at
from benchmarks.stage import connected
from tests.conftest import MakeDatabase

TURNS = 4000
"""With fewer, to read a table from end to end is the best plan. So it is for housekeeping with so
few; `make bench-scale` looks at it with more."""

ROWS_MAX = 600
"""Of big tables: a search ranks two hundred messages, and shows them."""


async def test_what_is_asked_often_reads_no_table_from_end_to_end(
    migrated_database: MakeDatabase,
) -> None:
    async with migrated_database() as url, connected(url) as direct:
        await fill(direct, TURNS)
        async with looks_at(url, direct, count=10) as looks:
            found = {
                name: await seen(looks.database, direct, asks, plans=False)
                for name, asks in looks.all()
                if not name.startswith("chore: ")
            }
    assert len(found) >= 15
    assert {name: one.read_through for name, one in found.items() if one.read_through} == {}
    assert {name: one.rows for name, one in found.items() if one.rows > ROWS_MAX} == {}
