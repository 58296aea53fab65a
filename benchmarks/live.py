"""What live connections cost, and how long people wait on them.

One process of the service, as `taskchat serve` runs it, with Postgres, the model and all clients in
processes of their own.
"""

import argparse
import asyncio
import atexit
import contextlib
import dataclasses
import json
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import uvloop

from benchmarks.live_clients import open_socket
from benchmarks.live_figures import Chat, Delay, Found, Idle, Readers, report, table
from benchmarks.live_sockets import SOCKETS_EACH, chat, close_all, open_idle, warm_up
from benchmarks.live_stage import Stage, staged
from benchmarks.live_tokens import measure_readers, measure_ways
from benchmarks.token_server import Recitation


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        sockets: That are open.
        idle_s: How long they are looked at while nothing is said.
        chatting: How many of them chat.
        chat_s: For how long.
        rounds: Of everything that is repeated.
        tokens: Of one text.
        read_tokens: Of the text that many read at once.
        readers: How many.
        thorough: Whether to measure also what takes long: sockets without a conversation, and how
            many transactions readers cost.
    """

    sockets: int = 1000
    idle_s: float = 15
    chatting: int = 50
    chat_s: float = 15
    rounds: int = 3
    tokens: int = 100
    read_tokens: int = 200
    readers: int = 100
    thorough: bool = True


SHORT = Size(
    sockets=100,
    idle_s=0.5,
    chatting=10,
    chat_s=2,
    rounds=1,
    tokens=20,
    read_tokens=25,
    readers=20,
    thorough=False,
)
INTERVALS_S = (0.05, 0.01)
"""How often at most streamed text is told: the default first."""
LONGEST_S = 900
"""Something hangs if it takes as long as that."""


def say(what: str) -> None:
    print(what, end="", file=sys.stderr, flush=True)


def step() -> None:
    say(".")


async def measure_sockets(stage: Stage, size: Size) -> tuple[list[Idle], list[Chat]]:
    """Idle sockets at conversations, then some of them chatting; and sockets without any."""
    people = [stage.person(f"user-{number}") for number in range(-(-size.sockets // SOCKETS_EACH))]
    say(f"{size.sockets} sockets ")
    chats: list[Chat] = []
    with stage.serving() as server:
        await warm_up(stage, server)
        places = await stage.conversations(people, SOCKETS_EACH)
        idle, sockets = await open_idle(server, places, address="conversations", idle_s=size.idle_s)
        step()
        pinger = await open_socket(server, stage.person("pinger"))
        # One of each user while there are enough of them: a user's rows are not contended for.
        chatters = sockets[:: max(1, len(sockets) // size.chatting)][: size.chatting]
        for _ in range(size.rounds):
            chats.append(await chat(stage, server, chatters, pinger, size.chat_s))
            step()
        await close_all([*sockets, pinger])
    found = [idle]
    if size.thorough:
        with stage.serving() as server:
            await warm_up(stage, server)
            new = [(person, "new") for person, _ in places]
            idle, sockets = await open_idle(server, new, address="/new", idle_s=size.idle_s)
            found.append(idle)
            step()
            await close_all(sockets)
    return found, chats


async def measure_tokens(stage: Stage, size: Size) -> tuple[list[Delay], list[Readers]]:
    """Tokens on every way, then one and many readers of one turn in alternation."""
    say(" tokens ")
    readers: list[Readers] = []
    with stage.vendor() as vendor, contextlib.ExitStack() as stack:
        servers = {
            interval_s: stack.enter_context(stage.serving(vendor=vendor, interval_s=interval_s))
            for interval_s in INTERVALS_S
        }
        for server in servers.values():
            await server.ready()
        delays = await measure_ways(
            stage, vendor, servers, Recitation(size.tokens), rounds=size.rounds, progress=step
        )
        say(" readers ")
        for number in range(size.rounds):
            for many in (1, size.readers):
                count = size.thorough and number == 0
                readers.append(
                    await measure_readers(
                        stage,
                        servers[INTERVALS_S[0]],
                        size.read_tokens,
                        readers=many,
                        count=count,
                    )
                )
                step()
    say("\n")
    return delays, readers


async def measure(size: Size, folder: Path) -> Found:
    async with asyncio.timeout(LONGEST_S):
        stage = await staged(folder)
        idle, chats = await measure_sockets(stage, size)
        delays, readers = await measure_tokens(stage, size)
    return Found(
        idle,
        chats,
        delays,
        readers,
        chatting=size.chatting,
        tokens_interval_ms=Recitation(size.tokens).interval_ms,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a little of everything, in 20 s")
    parser.add_argument("--rounds", type=int, help="rounds of what is repeated [3; short: 1]")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    options = parser.parse_args()
    size = SHORT if options.short else Size()
    if options.rounds is not None:
        if options.rounds < 1:
            parser.error("--rounds must be at least 1")
        size = dataclasses.replace(size, rounds=options.rounds)
    # What is told to stop stops all that it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The servers inherit it.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder = Path(tempfile.mkdtemp(prefix="taskchat-bench-"))
    # Registered before the cluster starts, so that it runs after the cluster has stopped.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found = uvloop.run(measure(size, folder))
    print(json.dumps(report(found), indent=2) if options.json else table(found))


if __name__ == "__main__":
    main()
