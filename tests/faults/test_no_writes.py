"""A real server that takes no writes: read-only after a failover, or without room on its disk."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from tests.faults.cluster import query
from tests.faults.model_server import Gate
from tests.faults.stage import Stage
from tests.faults.waiting import until

PATIENCE_S = 60


SetReadOnly = Callable[[str], Awaitable[None]]


@pytest.fixture
async def set_read_only(stage: Stage) -> AsyncIterator[SetReadOnly]:
    """Whether the server takes writes: on or off; off again when the test is over."""

    async def set_to(value: str) -> None:
        await query(stage.url, f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        await query(stage.url, "SELECT pg_reload_conf()")

        async def is_so() -> bool:
            [row] = await query(stage.url, "SHOW default_transaction_read_only")
            return bool(row[0] == value)

        await until(is_so, within_s=PATIENCE_S, what="the server has read its configuration")

    yield set_to
    await set_to("off")


async def became_ready(stage: Stage) -> None:
    async def ready() -> bool:
        return (await stage.client(stage.steady).get("/readyz")).status_code == 200

    await until(ready, within_s=PATIENCE_S, what="the service is ready again")


def assert_database_error(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["error_code"] == "database_error"
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_turn_that_runs_into_a_failover_is_finished_after_it(
    stage: Stage, set_read_only: SetReadOnly
) -> None:
    id_, gate = stage.message_id(), Gate()
    stage.model.when(id_, 2, gate)
    running = stage.posting(stage.steady, f"[{id_}] add:1", key=id_)
    await gate.reached.wait()
    await set_read_only("on")
    gate.opened.set()
    cut_off = await running
    assert_database_error(cut_off)
    assert cut_off.json()["turn_id"] == str((await stage.found(id_)).turn["id"])
    client = stage.client(stage.steady)
    told = await client.get("/readyz")
    assert (told.status_code, told.json()["database"]) == (503, False)
    assert "takes no writes" in told.json()["problem"]
    assert (await client.get("/livez")).status_code == 200
    assert_database_error(await stage.post(stage.steady, f"[{stage.message_id()}] list"))
    reading = await client.get(f"/api/{stage.person.user_id}/tasks", headers=stage.person.headers)
    assert reading.status_code == 200

    await set_read_only("off")
    await became_ready(stage)
    stored = await stage.ended(id_, within_s=PATIENCE_S)
    assert stored.turn["status"] == "completed"
    assert len(stored.titles) == len(stored.calls) == 1
    again = await stage.post(stage.steady, f"[{id_}] add:1", key=id_)
    assert again.status_code == 200
    fresh = await stage.post(stage.steady, f"[{stage.message_id()}] list")
    assert fresh.status_code == 200


@pytest.fixture
async def small_disk(stage: Stage) -> AsyncIterator[Path]:
    """A disk of a few megabytes that holds the messages while the test lasts."""
    # Its user enters no folder of pytest's.
    folder = Path(tempfile.mkdtemp(dir=stage.cluster.socket_folder.parent))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if os.geteuid() != 0 or mounted.returncode != 0:
        os.rmdir(folder)
        pytest.skip("a small disk can only be made by root where mounting is allowed")
    try:
        shutil.chown(folder, "pgserver")
        await query(stage.url, f"CREATE TABLESPACE small LOCATION '{folder}'")
        await query(stage.url, "ALTER TABLE messages SET TABLESPACE small")
        try:
            yield folder
        finally:
            await query(stage.url, "ALTER TABLE messages SET TABLESPACE pg_default")
            await query(stage.url, "DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        os.rmdir(folder)


async def test_a_full_disk_is_a_database_error_until_there_is_room_again(
    stage: Stage, small_disk: Path
) -> None:
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    # What is left in the pages that the table has is used up first.
    refused = None
    for _ in range(100):
        answer = await stage.post(stage.steady, f"[{stage.message_id()}] list {'ö' * 4000}")
        if answer.status_code != 200:
            refused = answer
            break
    assert refused is not None
    assert_database_error(refused)
    told = await stage.client(stage.steady).get("/readyz")
    assert told.status_code == 503
    assert "takes no writes" in told.json()["problem"]
    filler.unlink()
    await became_ready(stage)
    assert (await stage.post(stage.steady, f"[{stage.message_id()}] list")).status_code == 200
