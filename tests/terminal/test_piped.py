"""The same command between pipes: one message, lines of them, and lines of JSON."""

import asyncio
import os
import signal
from pathlib import Path

from tests.conftest import AppMaker
from tests.e2e.processes import taskchat
from tests.factories import Person
from tests.live.served import Speaker, served
from tests.terminal.conftest import chatting, json_lines, piped, token_of

import taskchat_client


async def test_one_message_is_answered_on_stdout_and_the_next_goes_on(
    service: str, tmp_path: Path
) -> None:
    person = Person()
    code, out, err = await piped(service, person, tmp_path, "add task: Milk")
    assert (code, out) == (0, "Added “Milk”.\n")
    assert "✓ add_task title=“Milk”" in err
    assert "\x1b" not in out + err
    code, _, _ = await piped(service, person, tmp_path, "add task: Eggs")
    assert code == 0
    code, _, _ = await piped(service, person, tmp_path, "--new", "add task: Salt")
    async with taskchat_client.Client(service, token_of(person)) as client:
        assert [found.turns for found in await client.conversations()] == [1, 2]


async def test_each_line_is_a_message_a_command_or_an_answer(service: str, tmp_path: Path) -> None:
    said = "add task: Milk\nadd task: Eggs\n\ndelete all tasks\ny\n/tasks\n/quit\nadd task: No\n"
    code, out, err = await piped(service, Person(), tmp_path, said=said)
    assert code == 0
    assert out.startswith("Added “Milk”.\nAdded “Eggs”.\n")
    assert out.endswith("  The list is empty.\n")
    assert "? May I do this?" in err
    assert err.count("✓ delete_task") == 2


async def test_json_lines_are_the_events(service: str, tmp_path: Path) -> None:
    person = Person()
    code, out, err = await piped(
        service, person, tmp_path, "--json", said="add task: Grüße \u202e\n/tasks\n/history\n"
    )
    assert (code, err) == (0, "")
    assert out.isascii()
    *events, tasks, messages = json_lines(out)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "turn_completed"
    assert (tasks["type"], tasks["data"][0]["completed"]) == ("tasks", False)
    assert [row["role"] for row in messages["data"]] == ["user", "assistant"]
    async with taskchat_client.Client(service, token_of(person)) as client:
        told = [event async for event in client.follow(events[0]["turn_id"])]
    assert [event.model_dump(mode="json") for event in told] == events


async def test_what_fails_or_stays_open_ends_with_1(service: str, tmp_path: Path) -> None:
    person = Person()
    code, out, err = await piped(service, person, tmp_path, "x" * 5001)
    assert (code, out) == (1, "")
    assert "invalid_request" in err
    code, out, _ = await piped(service, person, tmp_path, "--json", "x" * 5001)
    [error] = json_lines(out)
    assert (code, error["type"], error["error_code"]) == (1, "error", "invalid_request")
    said = "add task: Milk\nadd task: Eggs\ndelete all tasks\n"
    code, out, err = await piped(service, person, tmp_path, said=said)
    assert code == 1
    assert "? May I do this?" in err
    # It waits, and whoever comes back can answer it.
    with chatting(service, person, tmp_path) as terminal:
        await terminal.until("Going on with")
        await terminal.until("? May I do this?")
        terminal.type("y\r")
        await terminal.until("✓ delete_task task_id=2")


async def test_ctrl_c_stops_the_turn_of_one_message(running_app: AppMaker, tmp_path: Path) -> None:
    speaker = Speaker("One,", " two.")
    person = Person()
    async with running_app(chain=speaker.chain) as running, served(running) as url:
        with chatting(url, person, tmp_path, "Count") as terminal:
            speaker.let(1)
            await terminal.until("One,")
            os.kill(terminal.pid, signal.SIGINT)
            await terminal.until("Stopped. What was done stays.")
            assert await terminal.exited() == 130
        async with taskchat_client.Client(url, token_of(person)) as client:
            [conversation] = await client.conversations()
            [turn] = await client.turns(conversation.id)
            assert turn.status == "cancelled"


def test_without_a_service_it_says_where_one_is_named(tmp_path: Path) -> None:
    done = taskchat("chat", "hello", cwd=tmp_path)
    assert done.returncode == 1
    assert "no taskchat dev runs from" in done.stderr
    assert "TASKCHAT_URL" in done.stderr
    done = taskchat("chat", "--url", "http://127.0.0.1:9", "hello", cwd=tmp_path)
    assert done.returncode == 2
    assert "--token" in done.stderr
    (tmp_path / ".taskchat").mkdir()
    (tmp_path / ".taskchat/running.json").write_text(
        '{"url": "http://127.0.0.1:9", "token": "a.eyJzdWIiOiJkZW1vIn0.c", "pid": 1}'
    )
    done = taskchat("chat", "hello", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("taskchat: nothing answers at http://127.0.0.1:9; does it still run?\n")


async def test_a_token_that_proves_nothing_is_told_in_one_sentence(
    service: str, tmp_path: Path
) -> None:
    given = ("--url", service, "--token", "a.eyJzdWIiOiJkZW1vIn0.c")
    done = await asyncio.to_thread(taskchat, "chat", *given, "hello", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"taskchat: {service} refuses: ")
    assert len(done.stderr.splitlines()) == 1
