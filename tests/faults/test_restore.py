"""A backup and the log that was archived since bring a moment back, between two turns."""

from pathlib import Path

import httpx
from tests.factories import Person
from tests.faults.cluster import Cluster, Server, all_rows, query
from tests.faults.load import OFFLINE
from tests.faults.processes import Fleet
from tests.faults.waiting import until

from taskchat.postgres.embedded.account import account_for
from taskchat.postgres.embedded.places import plain_folder


async def test_a_moment_between_two_turns_is_brought_back(cluster: Cluster, folder: Path) -> None:
    """As docs/deployment.md has it."""
    account = account_for(cluster.data)
    archive, restored = (folder / name for name in ("archive", "restored"))
    before, after = (folder / name for name in ("before", "after"))
    for made in (before, after):
        made.mkdir()
    for made in (archive, restored):
        made.mkdir()
        account.give(made)
    socket_folder = plain_folder("taskchat-restored-")
    account.give(socket_folder)
    cluster.configure("archive_mode = on", f"archive_command = 'cp %p {archive}/%f'")
    cluster.restart("fast")
    url = await cluster.make_database("restored")
    data = restored / "postgres"
    cluster.run(
        *("pg_basebackup", "--pgdata", data, "--checkpoint=fast", "--no-sync"),
        *("--dbname", f"host={cluster.socket_folder} user=postgres"),
    )
    person = Person()
    fleet = Fleet(before, url, "http://127.0.0.1:9", OFFLINE)
    again = None
    try:
        async with httpx.AsyncClient(timeout=30) as client:
            client.base_url = (await fleet.start()).url
            kept = await person.say(client, "Add task: Buy milk", key="kept")
            [[moment]] = await query(url, "SELECT now()")
            lost = await person.say(client, "Add task: Buy cheese", key="lost")
            assert kept.status_code == lost.status_code == 200
            [[log]] = await query(url, "SELECT pg_walfile_name(pg_switch_wal())")
            written = archive / str(log)

            async def archived() -> bool:
                return written.exists()

            await until(archived)
            restoring = Server(data, socket_folder)
            restoring.configure(
                f"unix_socket_directories = '{socket_folder}'",
                "archive_mode = off",
                f"restore_command = 'cp {archive}/%f %p'",
                f"recovery_target_time = '{moment.isoformat()}'",
                "recovery_target_action = promote",
            )
            (data / "recovery.signal").touch()
            restoring.start()
            try:
                name = url.rpartition("/")[2].partition("?")[0]
                served = f"postgresql://postgres@/{name}?host={socket_folder}"

                async def writable() -> bool:
                    [[recovers]] = await query(served, "SELECT pg_is_in_recovery()")
                    return recovers is False

                await until(writable)
                rows = await all_rows(served, person.user_id)
                assert [str(row["id"]) for row in rows["turns"]] == [kept.json()["turn_id"]]
                assert [row["title"] for row in rows["tasks"]] == ["Buy milk"]
                again = Fleet(after, served, "http://127.0.0.1:9", OFFLINE)
                client.base_url = (await again.start()).url
                # What was told is told once more, and what is forgotten is done anew.
                assert (await person.say(client, "Add task: Buy milk", key="kept")).json() == (
                    kept.json()
                )
                anew = await person.say(client, "Add task: Buy cheese", key="lost")
                assert anew.status_code == 200
                assert anew.json()["turn_id"] != lost.json()["turn_id"]
            finally:
                if again is not None:
                    await again.close()
                restoring.close()
    finally:
        await fleet.close()
        cluster.configure("archive_mode = off")
        cluster.restart("fast")
