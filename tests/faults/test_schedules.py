"""A scheduled message is said once, wherever the process dies that says it."""

import pytest
from tests.faults.cluster import query
from tests.faults.stage import Stage
from tests.faults.waiting import until


async def due(stage: Stage) -> str:
    """Schedule a message whose time has come; returns the key under which it is said."""
    id_ = stage.message_id()
    answer = await stage.client(stage.steady).post(
        f"/api/{stage.person.user_id}/schedules",
        json={"message": f"[{id_}] add:1", "at": "2035-01-01T00:00:00Z"},
        headers=stage.person.headers,
    )
    assert answer.status_code == 201, answer.text
    [row] = await query(
        stage.url,
        "UPDATE schedules SET next_at = date_trunc('second', now()), try_at = now()"
        " WHERE id = $1::text::uuid RETURNING id, extract(epoch FROM next_at)::bigint AS at",
        answer.json()["id"],
    )
    return f"\nschedule {row['id']} {row['at']}"


@pytest.mark.parametrize(
    "point",
    [
        "schedule.before",
        "begin.before",
        "begin.under_way",
        "begin.committed",
        "schedule.said",
        "schedule.moved",
    ],
)
async def test_a_process_that_dies_while_it_says_something_leaves_one_turn(
    stage: Stage, point: str
) -> None:
    victim = await stage.victim(point, TASKCHAT_SCHEDULE_LOOK_S="0.1")
    keys: list[str] = []

    async def struck() -> bool:
        if victim.exit_code is None:
            # Another process may be the first to say one, so there is one more.
            keys.append(await due(stage))
        return victim.exit_code is not None

    await until(struck, what=f"{victim.name} is struck at {point}")
    assert victim.exit_code == -9
    # What it had taken is looked at again when its minute is over.
    await query(
        stage.url,
        "UPDATE schedules SET try_at = now() WHERE user_id = $1 AND status = 'active'",
        stage.person.user_id,
    )
    turns = {key: (await stage.ended(key)).turn for key in keys}
    assert {turn["status"] for turn in turns.values()} == {"completed"}

    async def over() -> bool:
        rows = await query(
            stage.url,
            "SELECT id, status, end_reason, last_turn_id, last_error FROM schedules"
            " WHERE user_id = $1",
            stage.person.user_id,
        )
        said = {row["last_turn_id"] for row in rows if row["end_reason"] == "done"}
        return said == {turn["id"] for turn in turns.values()}

    await until(over, what="every schedule has moved on from the turn that it has become")
    [made] = await query(
        stage.url, "SELECT count(*) AS n FROM turns WHERE user_id = $1", stage.person.user_id
    )
    assert made["n"] == len(keys)
    assert len(await stage.titles()) == len(keys)
