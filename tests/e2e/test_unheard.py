"""A service that nobody hears any more serves on, and stops when it is told to."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from tests.conftest import JWT_SECRET
from tests.e2e.processes import Forked, environment
from tests.factories import Person

from taskchat.serving.listening import listen

WAIT_S = 120


def wait_until_it_listens(process: subprocess.Popen[bytes] | Forked, port: int) -> None:
    """Nothing tells of it here: it has nobody to tell."""
    deadline = time.monotonic() + WAIT_S
    while True:
        assert process.poll() is None, "it did not start"
        assert time.monotonic() < deadline, "it does not listen"
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), WAIT_S).close()
            return
        time.sleep(0.05)


@pytest.mark.parametrize("out", ["gone", "full", "closed"])
def test_a_service_that_nobody_hears_serves_and_stops(
    out: str, tmp_path: Path, database_url: str
) -> None:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    reader, writer = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    command = ["serve", "--port", str(port)]
    env = environment(DATABASE_URL=database_url, TASKCHAT_JWT_SECRET=JWT_SECRET)
    process: subprocess.Popen[bytes] | Forked
    if out == "closed":
        own = ["/bin/sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-m", "taskchat"]
        process = subprocess.Popen([*own, *command], cwd=tmp_path, env=env)
    else:
        heard = writer if out == "gone" else full
        process = Forked(command, tmp_path, env, stdout=heard, stderr=heard)
    for descriptor in (reader, writer, full):
        os.close(descriptor)
    try:
        person = Person()
        wait_until_it_listens(process, port)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S) as client:
            answer = client.post(
                person.chat_path,
                json={"message": "Add task: Buy groceries"},
                headers=person.headers,
            )
            assert answer.status_code == 200, answer.text
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        process.wait(WAIT_S)
