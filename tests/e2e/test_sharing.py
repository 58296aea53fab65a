"""Links on real processes: what one revokes no other shows, and no token is written down."""

import contextlib
from pathlib import Path

import httpx
from tests.conftest import JWT_SECRET, MakeDatabase
from tests.e2e.processes import WAIT_S, first_line, running
from tests.factories import Person
from tests.sharing.links import link_to, shares_path, talk

from taskchat.sharing.tokens import new_token


async def test_a_revoked_link_is_gone_on_every_process_and_no_token_is_in_any_log(
    migrated_database: MakeDatabase, tmp_path: Path
) -> None:
    person = Person()
    async with contextlib.AsyncExitStack() as serving:
        async with migrated_database() as url:
            env = {
                "DATABASE_URL": url,
                "TASKCHAT_JWT_SECRET": JWT_SECRET,
                "TASKCHAT_LOG_LEVEL": "debug",
                "TASKCHAT_LOG_FORMAT": "json",
            }
            processes = [
                serving.enter_context(running("serve", "--port", "0", cwd=tmp_path, env=env))
                for _ in range(2)
            ]
            one, other = clients = [
                await serving.enter_async_context(
                    httpx.AsyncClient(base_url=first_line(process).split()[-1], timeout=WAIT_S)
                )
                for process in processes
            ]
            conversation = await talk(one, person, "Add task: Buy groceries")
            made = await link_to(one, person, conversation)
            token, unknown = made["token"], new_token()[0]
            for client in clients:
                for address, status in (
                    (f"/share/{token}", 200),
                    (f"/share/{token}?limit=0", 400),
                    (f"/share/{unknown}", 404),
                    (f"/share/{token}/", 404),
                    (f"/share/{token[:-1]}%00", 404),
                ):
                    answer = await client.get(address)
                    assert answer.status_code == status, answer.text
                    assert token not in answer.text
                assert (await client.post(f"/share/{token}")).status_code == 405
            answer = await one.delete(
                shares_path(person, conversation, made["id"]), headers=person.headers
            )
            assert answer.status_code == 204
            assert (await other.get(f"/share/{token}")).status_code == 404
            figures = [(await client.get("/metrics")).text for client in clients]
        # The database is gone, and that is logged.
        for client in clients:
            answer = await client.get(f"/share/{token}")
            assert answer.status_code == 503
            assert token not in answer.text
        for process in processes:
            process.send_signal(15)
        logs = [process.communicate(WAIT_S)[1] for process in processes]
    for log in logs:
        assert '"path": "/share/{token}"' in log
    for written in (*logs, *figures):
        for secret in (token, token[:-1], unknown):
            assert secret not in written
