"""An end in order, whichever signal asks for it and whenever."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.conftest import JWT_SECRET
from tests.e2e.processes import WAIT_S, environment, ready, running
from tests.e2e.test_starting import until

ENDS = [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)]


@pytest.mark.parametrize(("number", "code"), ENDS)
def test_every_signal_ends_a_server_and_what_it_started(
    tmp_path: Path, temp: Path, number: signal.Signals, code: int
) -> None:
    arguments = ("dev", "--port", "0", "--ephemeral", "--ready-file", "ready.json")
    with running(*arguments, cwd=tmp_path, env={"TMPDIR": str(temp)}) as process:
        ready(tmp_path / "ready.json", process)
        process.send_signal(number)
        _, said = process.communicate(timeout=WAIT_S)
        assert process.returncode == code, said
    assert '"app.draining"' in said
    assert '"app.stopped"' in said
    assert not [*temp.iterdir()]


def test_a_second_signal_skips_the_drain(tmp_path: Path, database_url: str) -> None:
    env = {"DATABASE_URL": database_url, "TASKCHAT_OFFLINE_MANNER": "fail=hang"}
    long = {"RUN": "3000", "MODEL": "2900", "DRAIN": "3600"}
    env |= {f"TASKCHAT_{name}_TIMEOUT_S": seconds for name, seconds in long.items()}
    with running("dev", "--port", "0", "--ready-file", "r.json", cwd=tmp_path, env=env) as process:
        told = ready(tmp_path / "r.json", process)
        client = httpx.Client(
            base_url=told["url"],
            headers={"Authorization": f"Bearer {told['token']}"},
            timeout=WAIT_S,
        )
        mine = f"/api/{told['user_id']}"
        with client, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.post, f"{mine}/chat", json={"message": "hello"})
            until(lambda: bool(client.get(f"{mine}/conversations").json()["data"]), "a turn runs")
            process.send_signal(signal.SIGTERM)
            until(lambda: client.get("/readyz").status_code == 503, "it drains")
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=WAIT_S)
            assert process.returncode == 0, said
            assert waiting.exception() is not None or waiting.result().status_code == 503


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_while_a_cluster_is_made_leaves_nothing(
    tmp_path: Path, temp: Path, number: signal.Signals
) -> None:
    with running(
        "dev", "--port", "0", "--ephemeral", cwd=tmp_path, env={"TMPDIR": str(temp)}
    ) as process:
        making = "taskchat-ephemeral-*/postgres.making-*/base"
        until(lambda: bool([*temp.glob(making)]), "a cluster is being made")
        process.send_signal(number)
        _, said = process.communicate(timeout=WAIT_S)
        assert process.returncode == 128 + number
    assert said.splitlines() == ["Starting the embedded Postgres …"]
    assert not [*temp.iterdir()]


def test_what_a_killed_ephemeral_server_left_goes_at_the_next_start(
    tmp_path: Path, temp: Path
) -> None:
    arguments = ("dev", "--port", "0", "--ephemeral", "--ready-file")
    env = {"TMPDIR": str(temp)}
    with running(*arguments, "one.json", cwd=tmp_path, env=env) as killed:
        ready(tmp_path / "one.json", killed)
        killed.kill()
    assert [*temp.iterdir()]
    with running(*arguments, "two.json", cwd=tmp_path, env=env) as process:
        ready(tmp_path / "two.json", process)
    assert not [*temp.iterdir()]


def test_nohup_is_respected(tmp_path: Path, database_url: str) -> None:
    env = environment(DATABASE_URL=database_url)
    process = subprocess.Popen(
        ["nohup", sys.executable, "-m", "taskchat", "dev", "--port", "0", "--ready-file", "r.json"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ready(tmp_path / "r.json", process)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, said
    assert "SIGHUP" not in said


def test_ctrl_c_reaches_workers_through_their_parent_alone(
    tmp_path: Path, database_url: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "taskchat", "serve", "--port", "0", "--workers", "2"],
        cwd=tmp_path,
        env=environment(DATABASE_URL=database_url, TASKCHAT_JWT_SECRET=JWT_SECRET),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("taskchat serves")
    # As a terminal does it: to all of them.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, said
    assert said.count('"app.draining"') == said.count('"app.stopped"') == 2
    assert "Traceback" not in said
