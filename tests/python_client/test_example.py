"""The example is short, and does what it says."""

import os
import sys
from pathlib import Path

from tests import programs
from tests.factories import Person

LINES_MAX = 60
"""One that is longer is no example."""


async def run(project: Path, service: str, person: Person, message: str, said: str = "") -> str:
    token = person.headers["Authorization"].removeprefix("Bearer ")
    ended = await programs.run(
        *(sys.executable, project / "examples/python/chat.py", message),
        env={**os.environ, "TASKCHAT_URL": service, "TASKCHAT_TOKEN": token},
        said=said,
    )
    return f"{ended.out}{ended.err}exit {ended.code}"


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
