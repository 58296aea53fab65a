"""Accounts of real processes: one database, two servers, and what the command says of the keys."""

import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool
from tests.accounts.people import PASSWORD, an_email
from tests.conftest import JWT_SECRET, MakeDatabase
from tests.e2e.processes import first_line, ready, running, taskchat

from taskchat.moments import new_id
from taskchat.postgres.connect import open_engine


async def test_a_refresh_token_used_at_once_in_two_processes_is_good_in_one(
    migrated_database: MakeDatabase, tmp_path: Path
) -> None:
    async with migrated_database() as url:
        # Nothing else is needed to serve.
        env = {"DATABASE_URL": url, "TASKCHAT_ACCOUNTS": "true"}
        with (
            running("serve", "--port", "0", cwd=tmp_path, env=env) as one,
            running("serve", "--port", "0", cwd=tmp_path, env=env) as other,
        ):
            addresses = [first_line(process).split()[-1] for process in (one, other)]
            await asyncio.to_thread(race, addresses)


def race(addresses: list[str]) -> None:
    """Ten times over: both processes are sent the same token at the same moment."""
    start = threading.Barrier(2)

    def refresh(address: str, token: str) -> httpx.Response:
        with httpx.Client(base_url=address, timeout=60) as client:
            client.get("/livez")
            start.wait(60)
            return client.post("/api/auth/refresh", json={"refresh_token": token})

    answer = httpx.post(
        f"{addresses[0]}/api/auth/register",
        json={"email": an_email(), "password": PASSWORD},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    token = answer.json()["refresh_token"]
    with ThreadPoolExecutor(2) as threads:
        for _ in range(10):
            answers = list(threads.map(refresh, addresses, [token] * 2))
            assert sorted(answer.status_code for answer in answers) == [200, 401]
            [won] = [answer.json() for answer in answers if answer.status_code == 200]
            token = won["refresh_token"]
    # What the last one signed is good at both.
    for address in addresses:
        chat = httpx.post(
            f"{address}/api/{won['user_id']}/chat",
            json={"message": "Add task: Buy groceries"},
            headers={"Authorization": f"Bearer {won['access_token']}"},
            timeout=60,
        )
        assert chat.status_code == 200, chat.text


def test_dev_takes_registrations_and_still_prints_a_ready_token(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    arguments = ("dev", "--ephemeral", "--port", "0", "--ready-file", str(path))
    with running(*arguments, cwd=tmp_path) as process:
        facts = ready(path, process)
        answer = httpx.post(
            f"{facts['url']}/api/auth/register",
            json={"email": an_email(), "password": PASSWORD},
            timeout=60,
        )
        assert answer.status_code == 201, answer.text
        for user_id, token in (
            (answer.json()["user_id"], answer.json()["access_token"]),
            (facts["user_id"], facts["token"]),
        ):
            tasks = httpx.get(
                f"{facts['url']}/api/{user_id}/tasks",
                headers={"Authorization": f"Bearer {token}"},
                timeout=60,
            )
            assert tasks.status_code == 200, tasks.text
        # Not only this machine's clients: the proxy on it says whose address counts.
        env = {"DATABASE_URL": facts["database_url"], "TASKCHAT_ACCOUNTS": "true"}
        listed = taskchat("keys", cwd=tmp_path, env=env)
        assert re.fullmatch(r"taskchat-\S+  signs since 0\.\d h\n", listed.stdout), listed
        rotated = taskchat("keys", "--rotate", cwd=tmp_path, env=env).stdout.splitlines()
        assert ["signs in" in line for line in rotated] == [True, False]
        at_once = taskchat("keys", "--rotate", "--now", cwd=tmp_path, env=env).stdout
        assert re.fullmatch(r"taskchat-\S+  signs since 0\.0 h\n", at_once)
        wrong = taskchat("keys", "--now", cwd=tmp_path, env=env)
        assert (wrong.returncode, "--now goes with --rotate" in wrong.stderr) == (2, True)
        sick = taskchat("doctor", cwd=tmp_path, env=env)
        assert "accounts    can be served" in sick.stdout, sick.stdout


def test_dev_serves_without_accounts_if_the_configuration_rules_them_out(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    arguments = ("dev", "--ephemeral", "--port", "0", "--ready-file", str(path))
    env = {"TASKCHAT_JWT_ISSUER": "taskchat"}
    with running(*arguments, cwd=tmp_path, env=env) as process:
        facts = ready(path, process)
        tasks = httpx.get(
            f"{facts['url']}/api/{facts['user_id']}/tasks",
            headers={"Authorization": f"Bearer {facts['token']}"},
            timeout=60,
        )
        keys = httpx.get(f"{facts['url']}/.well-known/jwks.json", timeout=60)
        assert (tasks.status_code, keys.status_code) == (200, 404)
        assert process.stderr is not None
        told = next(line for line in process.stderr if "without accounts" in line)
        assert "TASKCHAT_ACCOUNTS_ISSUER must differ" in told
    refused = taskchat(*arguments, cwd=tmp_path, env=env | {"TASKCHAT_ACCOUNTS": "true"})
    assert refused.returncode == 2
    assert "TASKCHAT_ACCOUNTS_ISSUER must differ" in refused.stderr


async def test_keys_of_a_database_without_migrations_says_so(
    empty_database: MakeDatabase, tmp_path: Path
) -> None:
    async with empty_database() as url:
        refused = taskchat("keys", cwd=tmp_path, env={"DATABASE_URL": url})
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "run taskchat migrate first" in refused.stderr


async def test_a_login_that_may_not_enter_the_role_of_accounts_serves_without_them(
    migrated_database: MakeDatabase, tmp_path: Path
) -> None:
    login = f"plain_{new_id().hex}"
    async with migrated_database() as url:
        engine = open_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            for statement in (
                f"CREATE ROLE {login} LOGIN PASSWORD 'x'",
                f"GRANT taskchat_app, taskchat_system, taskchat_reader TO {login}",
            ):
                await connection.execute(text(statement))
            own = make_url(url).set(username=login, password="x")
            env = {
                "DATABASE_URL": own.render_as_string(hide_password=False),
                "TASKCHAT_JWT_SECRET": JWT_SECRET,
            }
            try:
                with running("serve", "--port", "0", cwd=tmp_path, env=env) as process:
                    address = first_line(process).split()[-1]
                    assert httpx.get(f"{address}/readyz", timeout=60).status_code == 200
                path = tmp_path / "ready.json"
                dev = ("dev", "--port", "0", "--ready-file", str(path))
                with running(*dev, cwd=tmp_path, env=env) as process:
                    facts = ready(path, process)
                    register = httpx.post(f"{facts['url']}/api/auth/register", json={}, timeout=60)
                    chat = httpx.post(
                        f"{facts['url']}/api/{facts['user_id']}/chat",
                        json={"message": "hello"},
                        headers={"Authorization": f"Bearer {facts['token']}"},
                        timeout=60,
                    )
                    assert (register.status_code, chat.status_code) == (404, 200)
                    assert process.stderr is not None
                    told = next(line for line in process.stderr if "without accounts" in line)
                    assert "GRANT taskchat_accounts TO it" in told
                for command in (("serve", "--port", "0"), dev, ("keys",)):
                    refused = taskchat(
                        *command, cwd=tmp_path, env=env | {"TASKCHAT_ACCOUNTS": "true"}
                    )
                    assert refused.returncode == 1
                    assert "GRANT taskchat_accounts TO it" in refused.stderr
            finally:
                await connection.execute(text(f"DROP OWNED BY {login}"))
                await connection.execute(text(f"DROP ROLE {login}"))
        await engine.dispose()


def test_keys_without_a_database_says_what_is_missing(tmp_path: Path) -> None:
    refused = taskchat("keys", cwd=tmp_path)
    assert (refused.returncode, refused.stderr) == (
        2,
        "taskchat: set DATABASE_URL to the Postgres of the service\n",
    )


def test_a_trusted_proxy_says_whose_address_counts_and_nobody_else_does(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    arguments = ("dev", "--ephemeral", "--port", "0", "--ready-file", str(path))
    body = json.dumps({"email": an_email(), "password": "x" * 8})

    def statuses(url: str) -> list[int]:
        return [
            httpx.post(
                f"{url}/api/auth/login",
                content=body,
                headers={
                    "Content-Type": "application/json",
                    "X-Forwarded-For": f"203.0.113.{number}",
                },
                timeout=60,
            ).status_code
            for number in (7, 8)
        ]

    for trusted, expected in (("127.0.0.1", [401, 401]), ("203.0.113.1", [401, 429])):
        env = {
            "TASKCHAT_ACCOUNTS_CLIENT_ATTEMPTS_PER_HOUR": "1",
            "FORWARDED_ALLOW_IPS": trusted,
        }
        with running(*arguments, cwd=tmp_path, env=env) as process:
            assert statuses(ready(path, process)["url"]) == expected
        path.unlink()
