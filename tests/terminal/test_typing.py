"""A person at a terminal, through the real command in a pty."""

import stat
from pathlib import Path

from tests.conftest import AppMaker
from tests.factories import Person
from tests.live.served import Speaker, served
from tests.terminal.conftest import chatting, token_of

import taskchat_client


async def test_somebody_talks_leaves_and_comes_back(service: str, tmp_path: Path) -> None:
    person = Person()
    with chatting(service, person, tmp_path) as terminal:
        await terminal.until(f"{person.user_id} at {service}")
        terminal.type("add task: Milk\r")
        await terminal.until("› add task: Milk")
        await terminal.until("✓ add_task title=“Milk”  ")
        await terminal.until(" ms")
        await terminal.until("Added “Milk”.")
        terminal.type("/tasks\r")
        await terminal.until("1 · Milk")
        terminal.type("/what\r")
        await terminal.until("There is no /what")
        terminal.type("/cancel\r")
        await terminal.until("Nothing runs.")
        terminal.type("/help\r")
        await terminal.until("Ctrl-C twice leaves.")
        # What stood in the line is thrown away first.
        terminal.type("half a sen\x03")
        terminal.type("\x03")
        await terminal.until("Ctrl-C again")
        terminal.type("\x03")
        assert await terminal.exited() == 0
    assert b"\x1b[3" not in terminal.raw, "NO_COLOR is set"
    for name in ("chat-history", "chat.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert "+add task: Milk" in (tmp_path / "chat-history").read_text(encoding="utf-8")
    with chatting(service, person, tmp_path, NO_COLOR="") as terminal:
        await terminal.until("Going on with “add task: Milk”, 1 turn.")
        terminal.type("/history\r")
        await terminal.until("› add task: Milk")
        await terminal.until("✓ add_task")
        await terminal.until("Added “Milk”.")
        # What was typed in the session before is some keys away.
        terminal.type("\x1b[A" * 5 + "\r")
        await terminal.until("1 · Milk")
        terminal.type("/new\r")
        await terminal.until("another conversation.")
        terminal.type("hello\r")
        await terminal.until("› hello")
        terminal.type("/quit\r")
        assert await terminal.exited() == 0
    assert b"\x1b[9" in terminal.raw or b"\x1b[0;9" in terminal.raw
    token = token_of(person)
    async with taskchat_client.Client(service, token) as client:
        assert len(await client.conversations()) == 2


async def test_what_needs_a_yes_is_asked_and_refused_with_a_reason(
    service: str, tmp_path: Path
) -> None:
    person = Person()
    async with taskchat_client.Client(service, token_of(person)) as client:
        for title in ("Milk", "Eggs"):
            await client.send(f"Add task: {title}")
        with chatting(service, person, tmp_path) as terminal:
            terminal.type("delete all tasks\r")
            await terminal.until("? May I do this?")
            await terminal.until("delete_task task_id=1")
            await terminal.until("/cancel withdraws it")
            terminal.type("perhaps\r")
            await terminal.until("Type y or n")
            terminal.type("no, I need those\r")
            await terminal.until("rejected")
            terminal.type("delete all tasks\r")
            await terminal.until("/cancel withdraws it")
            terminal.type("y\r")
            await terminal.until("✓ delete_task task_id=1")
            await terminal.until("✓ delete_task task_id=2")
            terminal.type("/tasks\r")
            await terminal.until("The list is empty.")
            terminal.type("\x04")
            assert await terminal.exited() == 0
        asked = await client.feedback()
    assert [(one.status, one.comment) for one in asked] == [
        ("approved", None),
        ("rejected", "I need those"),
    ]


async def test_a_turn_is_told_more_stopped_and_found_again(
    running_app: AppMaker, tmp_path: Path
) -> None:
    speaker = Speaker("\x1b]0;owned\x07One,", " two,\n", "three.")
    person = Person()
    async with running_app(chain=speaker.chain) as running, served(running) as url:
        with chatting(url, person, tmp_path) as terminal:
            terminal.type("Count\r")
            speaker.let(2)
            await terminal.until("␛]0;owned␇One, two,")
            terminal.type("Slower\r")
            await terminal.until("› Slower")
            await terminal.until("told; it reads that next")
            speaker.let(2)
            await terminal.until("(never mind the text above: it begins anew)")
            await terminal.until("it has read: Slower")
            speaker.let()
            await terminal.until("three.")
            await terminal.idle()
            # A turn that is left goes on, and whoever comes back follows it.
            terminal.type("Count again\r")
            await terminal.until("› Count again")
            speaker.let(2)
            await terminal.until("␛]0;owned␇One, two,")
            terminal.type("\x04")
            await terminal.until("The turn goes on")
            assert await terminal.exited() == 0
        with chatting(url, person, tmp_path) as again:
            await again.until("Going on with “Count”, 2 turns.")
            await again.until("› Count again")
            await again.until("␛]0;owned␇One, two,")
            again.type("\x03")
            await again.until("Stopped. What was done stays.")
            again.type("\x03")
            assert await again.exited() == 0
        assert b"\x1b]0;owned" not in terminal.raw + again.raw
        async with taskchat_client.Client(url, token_of(person)) as client:
            [conversation] = await client.conversations()
            turns = await client.turns(conversation.id)
            assert [turn.status for turn in turns] == ["completed", "cancelled"]


async def test_a_terminal_that_can_do_nothing_is_enough(service: str, tmp_path: Path) -> None:
    with chatting(service, Person(), tmp_path, TERM="dumb") as terminal:
        terminal.type("add task: Milk\r")
        await terminal.until("Added “Milk”.")
        terminal.type("\x04")
        assert await terminal.exited() == 0
