"""A service that dies in the middle of a turn and starts anew: who follows it misses nothing."""

import json
import os
import signal
from pathlib import Path

from tests.e2e.processes import ready, running

import taskchat_client

SCRIPT = [
    {"call": {"tool": "add_task", "arguments": {"title": "Milk"}}},
    # Long enough to be killed in, whatever the machine; the next process waits for it as well.
    {"say": ["Milk", " is on the list."], "delay_s": 1},
]


async def test_a_stream_outlives_the_process_that_it_began_on(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    arguments = ["dev", "--port", "0", "--ready-file", str(ready_file)]
    seen: list[taskchat_client.Event] = []
    environment = {"TASKCHAT_LEASE_S": "1"}
    with running(*arguments, cwd=tmp_path, env=environment) as first:
        told = ready(ready_file, first)
        async with taskchat_client.Client(
            told["url"], told["token"], headers={"X-Taskchat-Script": json.dumps(SCRIPT)}
        ) as client:
            events = client.stream("What do I need?")
            async for event in events:
                seen.append(event)
                if event.type == "tool_result":
                    break
            os.kill(told["pid"], signal.SIGKILL)
            first.communicate()
            ready_file.unlink()
            arguments[2] = told["url"].rpartition(":")[2]
            with running(*arguments, cwd=tmp_path, env=environment) as second:
                seen += [event async for event in events]
                tasks = await client.tasks()
                assert second.poll() is None
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert [task.title for task in tasks] == ["Milk"]
    assert isinstance(seen[-1], taskchat_client.TurnCompleted)
    assert seen[-1].result.response == "Milk is on the list."
