"""The example is short, and does what it says."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.factories import Person

LINES_MAX = 60
"""One that is longer is no example."""

EXAMPLE_S = 60
"""Much longer than it takes."""


async def run(project: Path, service: str, person: Person, message: str, said: str = "") -> str:
    token = person.headers["Authorization"].removeprefix("Bearer ")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, project / "examples/python/chat.py", message),
        env={**os.environ, "TASKCHAT_URL": service, "TASKCHAT_TOKEN": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(EXAMPLE_S):
        out, _ = await process.communicate(said.encode())
    return f"{out.decode()}exit {process.returncode}"


async def test_the_example_chats_approves_and_tells_what_is_wrong(
    project: Path, service: str
) -> None:
    source = (project / "examples/python/chat.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LINES_MAX
    person = Person()
    for title in ("Milk", "Eggs"):
        told = await run(project, service, person, f"Add task: {title}")
        assert "[add_task done in " in told
        assert title in told
        assert told.endswith("exit 0")
    told = await run(project, service, person, "Delete all tasks", "approve\n")
    assert told.count("[delete_task done in ") == 2
    told = await run(project, service, person, "")
    assert "invalid_request: " in told
    assert told.endswith("exit 1")
