"""Pages that are loaded anew at random moments of a running turn, each time on another process.

`python -m tests.ag_ui.reloads` does it with three `taskchat serve` processes on one database. After
each look the AG-UI client must have the whole history, and of the live turn the beginning, each
word once; at the end, all of it.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.ag_ui.runs import path_of
from tests.clients import node
from tests.clients.talking import Talking, talking
from tests.factories import Person
from tests.faults.cluster import Cluster
from tests.faults.processes import Fleet

WORDS = 60
"""Of each reply; no two are the same, so that one that is missing or doubled shows."""

PACE_S = 0.02

LOOKS = 8
"""At one turn, until it is read to its end."""

TURNS = 5
"""Of one conversation: so long its history gets."""


def reply_of(turn: int) -> list[str]:
    return [f"{turn}.{word} " for word in range(WORDS - 1)] + ["end."]


def script_of(turn: int) -> str:
    """What the model does in a turn: adds a task, and tells a long story, at its pace."""
    call = {"tool": "add_task", "arguments": {"title": f"Task {turn}"}}
    return json.dumps([{"call": call}, {"say": reply_of(turn), "pace_s": PACE_S}])


def told_of(turn: int, told: str) -> list[tuple[str, str]]:
    """A turn's messages, by who says them and what they say."""
    return [
        ("user", f"Say {turn}."),
        ("assistant", f"add_task Task {turn}"),
        ("tool", f"Task {turn}"),
        ("assistant", told),
    ]


def shown(message: dict[str, Any]) -> tuple[str, str]:
    """The same of a client's message."""
    content = message.get("content") or ""
    for call in message.get("toolCalls", ()):
        arguments = json.loads(call["function"]["arguments"])
        content = f"{call['function']['name']} {arguments['title']}"
    if message["role"] == "tool":
        content = json.loads(content)["title"]
    return message["role"], content


def problem(messages: list[dict[str, Any]], turn: int, *, is_over: bool) -> str | None:
    """What is wrong with what a client has, during a turn or behind it."""
    found = [shown(message) for message in messages]
    whole = [one for before in range(turn) for one in told_of(before, "".join(reply_of(before)))]
    if found[: len(whole)] != whole:
        return f"the history is {found[: len(whole)]}"
    reply = "".join(reply_of(turn))
    live, expected = found[len(whole) :], told_of(turn, reply)
    if is_over:
        return None if live == expected else f"at the end there is {live}"
    if not live or len(live) > len(expected):
        return f"of the live turn there is {live}"
    *before, (role, text) = live
    if before != expected[: len(before)] or role != expected[len(before)][0]:
        return f"of the live turn there is {live}"
    if not expected[len(before)][1].startswith(text):
        return f"of the reply there is {text!r}"
    return None


async def converse(
    page: Talking, person: Person, urls: Sequence[str], turns: int, chance: random.Random
) -> int:
    """Say something, and load the page anew until it is answered; returns how often.

    Raises:
        AssertionError: something was lost or doubled.
    """
    reloads = 0
    at = chance.randrange(len(urls))
    for turn in range(turns):
        run: dict[str, Any] = {
            "thread": "a thread",
            "say": f"Say {turn}.",
            "id": f"m {turn}",
            "headers": {"X-Taskchat-Script": script_of(turn)},
        }
        for look in range(LOOKS + 1):
            is_last = look == LOOKS
            # The first look may come before anything is told, the last is to the end.
            leave = None if is_last else chance.randrange(1, WORDS // 2)
            done = await page.ask(do="run", url=urls[at] + path_of(person), leave=leave, **run)
            is_over = done["outcome"] is not None
            if is_last:
                assert is_over, done["error"]
                assert done["outcome"]["type"] == "success"
            wrong = problem(done["messages"], turn, is_over=is_over)
            assert wrong is None, f"look {look} at turn {turn}: {wrong}"
            if is_last:
                break
            await page.ask(do="new")
            reloads += 1
            at = (at + chance.randrange(1, len(urls))) % len(urls)
            run = {"thread": "a thread"}
    return reloads


async def campaign(reloads: int, seed: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="taskchat-reloads-"))
    cluster = Cluster(folder)
    database = await cluster.make_database("reloads")
    environment = {"TASKCHAT_MODEL": "offline", "TASKCHAT_SCRIPT_ALLOWED": "true"}
    fleet = Fleet(folder, database, "", environment)
    chance = random.Random(seed)
    done, began = 0, time.monotonic()
    try:
        services = [fleet.launch() for _ in range(3)]
        urls = [(await service.ready()).url for service in services]
        while done < reloads:
            person = Person()
            token = person.headers["Authorization"].removeprefix("Bearer ")
            async with talking("ag-ui.mjs", urls[0], token) as page:
                done += await converse(page, person, urls, TURNS, chance)
            print(f"{done} reloads in {time.monotonic() - began:.0f} s, nothing lost or doubled")
    finally:
        await fleet.close()
        cluster.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reloads", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}")
    node.install()
    asyncio.run(campaign(options.reloads, seed))


if __name__ == "__main__":
    main()
