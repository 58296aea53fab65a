"""The other commands: what they print, and the codes that they end with."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from pathlib import Path

import httpx
import jwt
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool
from tests.assistant.vendor.endpoint import vendor
from tests.conftest import JWT_SECRET, MakeDatabase
from tests.e2e.processes import WAIT_S, first_line, running, taskchat
from tests.e2e.test_starting import until

from taskchat.postgres.connect import open_engine
from taskchat.postgres.migrations import head


async def test_a_database_of_ones_own_is_migrated_and_served(
    empty_database: MakeDatabase, tmp_path: Path
) -> None:
    async with empty_database() as url:
        env = {"DATABASE_URL": url, "TASKCHAT_JWT_SECRET": JWT_SECRET}
        behind = taskchat("migrate", "--check", cwd=tmp_path, env=env)
        assert (behind.returncode, behind.stdout) == (
            1,
            f"at None, head is {head()}\n",
        )
        refused = taskchat("serve", "--port", "0", cwd=tmp_path, env=env)
        assert refused.returncode == 1
        assert "run taskchat migrate first" in refused.stderr
        sick = taskchat("doctor", cwd=tmp_path, env=env)
        assert sick.returncode == 1
        assert "run taskchat migrate" in sick.stdout
        assert taskchat("migrate", cwd=tmp_path, env=env).stdout == f"at {head()}\n"
        assert taskchat("migrate", "--check", cwd=tmp_path, env=env).returncode == 0
        well = taskchat("doctor", cwd=tmp_path, env=env)
        assert well.returncode == 0, well.stdout
        assert [line.split()[:2] for line in well.stdout.splitlines()] == [
            ["ok", "tokens"],
            ["ok", "database"],
            ["ok", "migrations"],
            ["ok", "clock"],
            ["ok", "chores"],
            ["ok", "webhooks"],
            ["ok", "schedules"],
            ["ok", "model"],
        ]
        token = taskchat("token", "ann", "--ttl", "5m", cwd=tmp_path, env=env).stdout.strip()
        with running("serve", "--port", "0", cwd=tmp_path, env=env) as process:
            address = first_line(process).split()[-1]
            answer = httpx.post(
                f"{address}/api/ann/chat",
                json={"message": "Add task: Buy groceries"},
                headers={"Authorization": f"Bearer {token}"},
            )
            assert answer.json()["tool_calls"][0]["result"]["task_id"] == 1


async def test_a_schema_newer_than_the_code_is_said_in_one_sentence_by_each_command(
    migrated_database: MakeDatabase, tmp_path: Path
) -> None:
    words = f"at revision 9999, which this release does not know (it knows them up to {head()})"
    async with migrated_database() as url:
        engine = open_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        env = {"DATABASE_URL": url, "TASKCHAT_JWT_SECRET": JWT_SECRET}
        for command in (
            ("serve", "--port", "0"),
            ("dev", "--port", "0", "--ephemeral"),
            ("migrate",),
            ("migrate", "--check"),
            ("doctor",),
        ):
            refused = taskchat(*command, cwd=tmp_path, env=env)
            assert refused.returncode == 1, refused.stderr
            assert "Traceback" not in refused.stderr
            said = refused.stdout if command == ("doctor",) else refused.stderr
            [sentence] = [line for line in said.splitlines() if words in line]
            assert sentence.startswith(("taskchat: ", "FAIL  migrations"))
        async with engine.connect() as connection:
            found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            assert found == "9999"
        await engine.dispose()


async def test_a_login_that_is_no_superuser_owns_migrates_and_serves(
    empty_database: MakeDatabase, tmp_path: Path
) -> None:
    async with empty_database() as url:
        login = "plain_" + url.rsplit("test_", 1)[1][:12].split("?")[0]
        engine = open_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        name = make_url(url).database
        async with engine.connect() as connection:
            for statement in (
                f"CREATE ROLE {login} LOGIN CREATEROLE PASSWORD 'x'",
                f"ALTER DATABASE {name} OWNER TO {login}",
                # The roles belong to the cluster; another login has made them already.
                f"GRANT taskchat_app, taskchat_system, taskchat_reader TO {login}",
            ):
                await connection.execute(text(statement))
        try:
            own = make_url(url).set(username=login, password="x")
            env = {
                "DATABASE_URL": own.render_as_string(hide_password=False),
                "TASKCHAT_JWT_SECRET": JWT_SECRET,
            }
            migrated = taskchat("migrate", cwd=tmp_path, env=env)
            assert migrated.returncode == 0, migrated.stderr
            token = taskchat("token", "ann", cwd=tmp_path, env=env).stdout.strip()
            with running("serve", "--port", "0", cwd=tmp_path, env=env) as process:
                address = first_line(process).split()[-1]
                answer = httpx.post(
                    f"{address}/api/ann/chat",
                    json={"message": "Add task: Buy groceries"},
                    headers={"Authorization": f"Bearer {token}"},
                )
                assert answer.status_code == 200, answer.text
        finally:
            async with engine.connect() as connection:
                await connection.execute(text(f"REASSIGN OWNED BY {login} TO CURRENT_USER"))
                await connection.execute(text(f"DROP OWNED BY {login}"))
                await connection.execute(text(f"DROP ROLE {login}"))
            await engine.dispose()


def test_a_worker_that_dies_is_replaced(tmp_path: Path, database_url: str) -> None:
    env = {"DATABASE_URL": database_url, "TASKCHAT_JWT_SECRET": JWT_SECRET}
    with running("serve", "--port", "0", "--workers", "2", cwd=tmp_path, env=env) as process:
        address = first_line(process).split()[-1]
        parent = psutil.Process(process.pid)

        def workers() -> set[int]:
            found = set()
            for child in parent.children():
                # One that is just ending has no command any more.
                with contextlib.suppress(psutil.Error):
                    if "resource_tracker" not in " ".join(child.cmdline()):
                        found.add(child.pid)
            return found

        before = workers()
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(workers() - before) == 1, "another worker")
        for _ in range(4):
            assert httpx.get(f"{address}/livez", timeout=WAIT_S).status_code == 200
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=WAIT_S)
    assert said.count('"worker.died"') == 1


def test_a_token_is_signed_with_the_secret_of_a_data_folder(tmp_path: Path) -> None:
    secret = "s" * 40
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "jwt-secret").write_text(secret)
    told = taskchat("token", "ann", "--data-dir", str(folder), cwd=tmp_path)
    claims = jwt.decode(told.stdout.strip(), secret, algorithms=["HS256"])
    assert claims["sub"] == "ann"


def test_several_workers_serve_one_address(tmp_path: Path, database_url: str) -> None:
    env = {"DATABASE_URL": database_url, "TASKCHAT_JWT_SECRET": JWT_SECRET}
    with running("serve", "--port", "0", "--workers", "2", cwd=tmp_path, env=env) as process:
        address = first_line(process).split()[-1]
        for _ in range(4):
            assert httpx.get(f"{address}/livez", timeout=20).status_code == 200


@pytest.mark.parametrize(
    ("env", "setting"),
    [
        ({}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://h/d"}, "TASKCHAT_JWT_SECRET"),
        ({"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://h/d?nonsense=1"}, "DATABASE_URL: nonsense"),
        ({"TASKCHAT_DATABASE_DIRECT_URL": "postgresql://h:x/d"}, "TASKCHAT_DATABASE_DIRECT_URL"),
        (
            {"DATABASE_URL": "postgresql://h/d", "TASKCHAT_JWT_SECRET": "short"},
            "TASKCHAT_JWT_SECRET",
        ),
        (
            {
                "DATABASE_URL": "postgresql://127.0.0.1:1/d",
                "TASKCHAT_JWT_SECRET": JWT_SECRET,
                "TASKCHAT_MODEL": "gpt-5.6-luna",
            },
            "OPENAI_API_KEY",
        ),
        ({"TASKCHAT_RUN_TIMEOUT_S": "90"}, "TASKCHAT_DRAIN_TIMEOUT_S"),
        ({"TASKCHAT_MODEL_TIMEOUT_S": "60"}, "TASKCHAT_RUN_TIMEOUT_S"),
        ({"TASKCHAT_QUEUE_TIMEOUT_S": "60"}, "TASKCHAT_RUN_TIMEOUT_S"),
        ({"TASKCHAT_TOOL_TIMEOUT_S": "31"}, "TASKCHAT_MODEL_TIMEOUT_S"),
        ({"TASKCHAT_POOL_TIMEOUT_S": "11"}, "TASKCHAT_TOOL_TIMEOUT_S"),
        ({"TASKCHAT_STATEMENT_TIMEOUT_S": "6"}, "TASKCHAT_POOL_TIMEOUT_S"),
        ({"TASKCHAT_LEASE_S": "soon"}, "TASKCHAT_LEASE_S"),
        ({"TASKCHAT_MODEL_PRICES": "{"}, "TASKCHAT_MODEL_PRICES"),
        (
            {"TASKCHAT_MODEL_PRICES": '{"gpt-5.6-luna": {"input": -1, "output": 10}}'},
            "TASKCHAT_MODEL_PRICES",
        ),
        (
            {
                "DATABASE_URL": "postgresql://127.0.0.1:1/d",
                "TASKCHAT_JWT_SECRET": JWT_SECRET,
                "TASKCHAT_AGENT_CONFIG_PATH": "missing.yaml",
            },
            "missing.yaml",
        ),
    ],
)
def test_serve_refuses_half_a_configuration_in_one_sentence(
    tmp_path: Path, env: dict[str, str], setting: str
) -> None:
    refused = taskchat("serve", cwd=tmp_path, env=env)
    assert refused.returncode == 2
    assert refused.stdout == ""
    last = refused.stderr.strip().splitlines()[-1]
    assert last.startswith("taskchat: ")
    assert setting in last
    assert "Traceback" not in refused.stderr


def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path: Path, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        env = {"DATABASE_URL": database_url, "TASKCHAT_JWT_SECRET": JWT_SECRET}
        for command in ("dev", "serve"):
            refused = taskchat(command, "--port", port, cwd=tmp_path, env=env)
            assert refused.returncode == 1
            assert f"127.0.0.1:{port}" in refused.stderr.splitlines()[-1]
            assert "Traceback" not in refused.stderr


def test_a_login_that_the_database_refuses_is_said_in_one_sentence(
    tmp_path: Path, database_url: str
) -> None:
    url = make_url(database_url).set(username="nobody_of_that_name")
    env = {
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "TASKCHAT_JWT_SECRET": JWT_SECRET,
    }
    for command in ("serve", "migrate"):
        refused = taskchat(command, cwd=tmp_path, env=env)
        assert refused.returncode == 1, refused.stderr
        assert refused.stderr.splitlines()[-1].startswith("taskchat: the database")
        assert "Traceback" not in refused.stderr


def test_a_user_id_that_no_path_can_hold_gets_no_token(tmp_path: Path) -> None:
    env = {"TASKCHAT_JWT_SECRET": JWT_SECRET}
    refused = taskchat("token", "a/b", cwd=tmp_path, env=env)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_migrate_without_a_database_says_what_to_set(tmp_path: Path) -> None:
    assert "DATABASE_URL" in taskchat("migrate", cwd=tmp_path).stderr
    away = taskchat(
        "migrate", "--check", cwd=tmp_path, env={"DATABASE_URL": "postgresql://127.0.0.1:1/d"}
    )
    assert away.returncode == 1
    apply = taskchat("migrate", cwd=tmp_path, env={"DATABASE_URL": "postgresql://127.0.0.1:1/d"})
    assert apply.returncode == 1
    assert "Traceback" not in apply.stderr
    assert "Traceback" not in away.stderr


@pytest.mark.parametrize("command", [("migrate", "--check"), ("keys",), ("embed", "--model", "m")])
def test_a_command_without_its_database_says_so_in_one_sentence(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    env = {"DATABASE_URL": "postgresql://127.0.0.1:1/d", "OPENAI_API_KEY": "k"}
    away = taskchat(*command, cwd=tmp_path, env=env)
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr == (
        "taskchat: The database did not answer in time; repeat the request in a moment.\n"
    )


def test_token_prints_a_token_and_nothing_else(tmp_path: Path) -> None:
    printed = taskchat(
        "token",
        "ann@example.com",
        "--ttl",
        "2h",
        cwd=tmp_path,
        env={"TASKCHAT_JWT_SECRET": JWT_SECRET, "TASKCHAT_JWT_AUDIENCE": "web"},
    ).stdout
    claims = jwt.decode(printed.strip(), JWT_SECRET, algorithms=["HS256"], audience="web")
    assert claims["sub"] == "ann@example.com"
    assert claims["exp"] - claims["iat"] == 7200
    assert printed.count("\n") == 1


@pytest.mark.parametrize("ttl", ["0s", "soon", "999999d", "-1h"])
def test_a_span_that_is_none_is_a_usage_error(tmp_path: Path, ttl: str) -> None:
    assert taskchat("token", "ann", f"--ttl={ttl}", cwd=tmp_path).returncode == 2


def test_token_without_a_secret_says_where_tokens_come_from(tmp_path: Path) -> None:
    refused = taskchat("token", "ann", cwd=tmp_path)
    assert refused.returncode == 2
    assert "TASKCHAT_JWT_SECRET" in refused.stderr


def test_doctor_names_each_mend(tmp_path: Path) -> None:
    sick = taskchat("doctor", cwd=tmp_path, env={"DATABASE_URL": "postgresql://127.0.0.1:1/d"})
    assert sick.returncode == 1
    assert "TASKCHAT_JWT_SECRET" in sick.stdout
    assert "check DATABASE_URL" in sick.stdout
    nothing = taskchat("doctor", cwd=tmp_path, env={"TASKCHAT_MODEL": "gpt-5.6-luna"})
    assert "DATABASE_URL is not set" in nothing.stdout
    assert "OPENAI_API_KEY" in nothing.stdout


async def test_doctor_asks_the_vendor_for_the_model(tmp_path: Path) -> None:
    async with vendor() as standing:
        env = {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": standing.url,
            "TASKCHAT_MODEL": "gpt-test,offline",
        }
        told = await asyncio.to_thread(taskchat, "doctor", cwd=tmp_path, env=env)
    assert "FAIL  model       gpt-test:" in told.stdout
    assert "ok    model       offline, built in" in told.stdout


def test_contracts_are_what_the_code_says(tmp_path: Path, project: Path) -> None:
    checked = taskchat("contracts", "--check", cwd=project)
    assert checked.returncode == 0, checked.stderr
    folder = tmp_path / "contracts"
    assert taskchat("contracts", "--folder", str(folder), cwd=tmp_path).returncode == 0
    tools = json.loads((folder / "mcp-tools.json").read_text())
    assert next(tool["name"] for tool in tools["tools"]) == "add_task"
    (folder / "mcp-tools.json").write_text("{}")
    stale = taskchat("contracts", "--check", "--folder", str(folder), cwd=tmp_path)
    assert stale.returncode == 1
    assert "mcp-tools.json" in stale.stderr


def test_every_command_has_help(tmp_path: Path) -> None:
    listed = taskchat("--help", cwd=tmp_path).stdout
    for command in ("dev", "serve", "migrate", "token", "doctor", "contracts"):
        assert command in listed
        assert "Usage:" in taskchat(command, "--help", cwd=tmp_path).stdout
