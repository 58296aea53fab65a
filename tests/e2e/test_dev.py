"""`taskchat dev`, as a newcomer meets it."""

import json
import shlex
import signal
import stat
import subprocess
from pathlib import Path

import asyncpg
import httpx
from tests.e2e.processes import ready, running, taskchat


async def test_the_printed_curl_line_makes_a_task_and_a_restart_loses_nothing(
    tmp_path: Path,
) -> None:
    ready_file = tmp_path / "ready.json"
    arguments = ("dev", "--port", "0", "--ready-file", str(ready_file))
    with running(*arguments, cwd=tmp_path) as process:
        told = ready(ready_file, process)
        assert told["pid"] == process.pid
        assert process.stdout is not None
        curl = next(line for line in process.stdout if line.startswith("curl "))
        printed = subprocess.run(
            shlex.split(curl), capture_output=True, text=True, timeout=20, check=True
        ).stdout
        answer = json.loads(printed)
        assert answer["tool_calls"][0]["result"] == {
            "task_id": 1,
            "status": "created",
            "title": "Buy groceries",
        }
        rows = await asyncpg.connect(told["database_url"])
        assert await rows.fetchval("SELECT title FROM tasks WHERE user_id = 'demo'")
        assert await rows.fetchval("SELECT count(*) FROM messages") == 2
        assert await rows.fetchval("SELECT count(*) FROM tool_calls") == 1
        await rows.close()
        # Whoever is in the same folder needs to know neither address nor token.
        running_file = tmp_path / ".taskchat/running.json"
        assert stat.S_IMODE(running_file.stat().st_mode) == 0o600
        said = taskchat("chat", "show", "my", "tasks", cwd=tmp_path)
        assert said.returncode == 0, said.stderr
        assert "Buy groceries" in said.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert not running_file.exists()
    ready_file.unlink()
    with running(*arguments, cwd=tmp_path) as process:
        told = ready(ready_file, process)
        # The secret outlives the process too: a token from before still works.
        token = taskchat("token", "demo", cwd=tmp_path).stdout.strip()
        continued = httpx.post(
            f"{told['url']}/api/demo/chat",
            json={"message": "show my tasks", "conversation_id": answer["conversation_id"]},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert continued.status_code == 200
        assert "Buy groceries" in continued.json()["response"]
        assert len(continued.json()["messages"]) == 4


def test_an_ephemeral_server_leaves_nothing_behind(tmp_path: Path, temp: Path) -> None:
    ready_file = tmp_path / "ready.json"
    arguments = ("dev", "--port", "0", "--ephemeral", "--ready-file", str(ready_file))
    with running(*arguments, cwd=tmp_path, env={"TMPDIR": str(temp)}) as process:
        told = ready(ready_file, process)
        assert list(temp.iterdir())
        assert httpx.get(f"{told['url']}/readyz").json() == {
            "status": "ok",
            "database": True,
            "migrations": True,
            "draining": False,
        }
        assert httpx.get(f"{told['url']}/livez").json() == {"status": "ok"}
    assert not list(temp.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["ready.json"]


def test_an_ephemeral_server_with_a_data_folder_is_a_usage_error(tmp_path: Path) -> None:
    refused = taskchat("dev", "--ephemeral", "--data-dir", "x", cwd=tmp_path)
    assert refused.returncode == 2
    assert "leave --data-dir out" in refused.stderr


def test_dev_uses_a_database_of_ones_own_and_reloads(tmp_path: Path, database_url: str) -> None:
    ready_file = tmp_path / "ready.json"
    with running(
        "dev",
        "--port",
        "0",
        "--reload",
        "--ready-file",
        str(ready_file),
        cwd=tmp_path,
        env={"DATABASE_URL": database_url},
    ) as process:
        told = ready(ready_file, process)
        assert told["database_url"] == database_url
        answer = httpx.post(
            f"{told['url']}/api/demo/chat",
            json={"message": "hello"},
            headers={"Authorization": f"Bearer {told['token']}"},
            timeout=20,
        )
        assert answer.status_code == 200
    assert not (tmp_path / ".taskchat" / "postgres").exists()
