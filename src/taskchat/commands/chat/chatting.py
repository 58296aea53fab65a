"""`taskchat chat`: lines from a person at a terminal, from a pipe, or one from the command line."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from typing import Final

from taskchat import __version__
from taskchat.commands.chat.place import ChatPlace
from taskchat.commands.chat.sinks import JsonLines, Printed, Sink
from taskchat.commands.chat.talk import Left, Talk
from taskchat.commands.chat.terminal import Terminal
from taskchat.commands.chat.texts import on_a_line
from taskchat.refusals import CannotStart
from taskchat.signals import BROKEN_OFF, end_on_signals
from taskchat_client import Client, ConnectionLost, Refused, TaskchatError

PATIENCE_S: Final = 600
"""Longer than a deployment takes; whoever waits at a terminal can leave."""

DONE, FAILED, INTERRUPTED = 0, 1, 130


async def chat(place: ChatPlace, message: str | None, *, as_json: bool, new: bool) -> int:
    """Talk until there is nothing left to say; returns the exit code.

    Args:
        place: With which service, as whom.
        message: What to say; None reads lines.
        as_json: Whether to print events.
        new: Whether to begin another conversation.

    Raises:
        CannotStart: the service does not answer, or does not take the token.
    """
    typing = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    terminal = Terminal(place.history()) if typing and message is None else None
    sink: Sink = terminal or (JsonLines() if as_json else Printed(streams=sys.stdout.isatty()))

    def waits(error: TaskchatError, wait_s: float) -> None:
        sink.status(f"{on_a_line(error.message)} Trying again in {wait_s:.0f} s")

    try:
        client = Client(
            place.url,
            place.token,
            headers=_headers(),
            patience_s=PATIENCE_S,
            on_retry=waits,
        )
    except ValueError as error:
        raise CannotStart(f"{place.url}: {error}") from error
    async with client:
        await _check(place)
        kept = None if new else place.conversation(client.user_id)
        talk = Talk(client, place, sink, kept)
        try:
            if terminal is not None:
                # The keyboard gets back the mode that it had.
                end_on_signals(BROKEN_OFF)
                return await _typed(place, client, talk, terminal)
            return await _said(talk, message)
        finally:
            await talk.aclose()


async def _check(place: ChatPlace) -> None:
    """See that there is a service that knows the caller, without waiting for one that is away."""
    async with Client(place.url, place.token, patience_s=0) as hasty:
        try:
            await hasty.conversations(newest=1)
        except ConnectionLost as error:
            raise CannotStart(f"nothing answers at {place.url}; does it still run?") from error
        except Refused as error:
            raise CannotStart(f"{place.url} refuses: {on_a_line(error.message, 500)}") from error
        except TaskchatError as error:
            raise CannotStart(on_a_line(error.message, 500)) from error


class _Taker:
    """Does what lines mean, one after another, while the next ones are typed.

    Args:
        talk: The conversation.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._taking: asyncio.Task[None] | None = None

    def put(self, line: str) -> None:
        """A line that was typed."""
        self._lines.put_nowait(line)

    def stop(self) -> bool:
        """Break off what is being done; returns whether there was anything."""
        if self._taking is None:
            return False
        return self._taking.cancel()

    async def run(self) -> None:
        """Take lines until one says goodbye."""
        await self._begin(self._talk.resume())
        while True:
            await self._begin(self._talk.take(await self._lines.get()))

    async def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._taking = asyncio.create_task(work)
        try:
            await asyncio.wait({self._taking})
        finally:
            self._taking.cancel()
        if not self._taking.cancelled() and (error := self._taking.exception()) is not None:
            raise error
        self._taking = None


async def _typed(place: ChatPlace, client: Client, talk: Talk, terminal: Terminal) -> int:
    """Somebody types, also while a turn runs."""
    who = f"{on_a_line(client.user_id)} at {on_a_line(place.url)}"
    terminal.line([("strong", f"taskchat {__version__}"), ("dim", f"  {who}  /help")])
    taker = _Taker(talk)
    with terminal.own_keyboard():
        taking = asyncio.create_task(taker.run())
        taking.add_done_callback(lambda _: terminal.leave())
        try:
            await _keys(talk, terminal, taker, taking)
        finally:
            taking.cancel()
            with contextlib.suppress(asyncio.CancelledError, Left):
                await taking
        if talk.is_running:
            terminal.line([("dim", "The turn goes on; taskchat chat shows it when you come back.")])
        await terminal.printed()
    return DONE


async def _keys(talk: Talk, terminal: Terminal, taker: _Taker, taking: asyncio.Task[None]) -> None:
    """Lines, and what Ctrl-C and Ctrl-D mean at each moment."""
    leaving = False
    stopping: set[asyncio.Task[bool]] = set()
    while not taking.done():
        try:
            taker.put(await terminal.typed())
            leaving = False
        except EOFError:
            return
        except KeyboardInterrupt:
            # What stood in the line is gone; that is enough for once.
            if terminal.has_typed:
                continue
            if leaving:
                return
            leaving = True
            if taker.stop() or talk.can_be_stopped:
                # Not waited for: the service may be away, and the next Ctrl-C has to be heard.
                stopping.add(asyncio.create_task(talk.interrupt()))
                continue
            terminal.line([("dim", "Ctrl-C again, or Ctrl-D, leaves.")])


async def _said(talk: Talk, message: str | None) -> int:
    """Lines one after another, each when the turn before is over or asks."""
    failed = interrupted = False
    lines = iter(sys.stdin.readline, "") if message is None else _one_and_answers(message)
    with _interrupts(talk), contextlib.suppress(Left):
        while (line := await asyncio.to_thread(next, lines, None)) is not None:
            await talk.take(line)
            await talk.settled()
            failed |= talk.failed
            interrupted |= talk.stopped
            if message is not None and not talk.is_asked:
                break
    if talk.is_asked:
        # Nobody is left to answer; it stays open.
        failed = True
    return INTERRUPTED if interrupted else FAILED if failed else DONE


def _one_and_answers(message: str) -> Iterator[str]:
    """The message; and then what is typed, for what the agent asks."""
    yield message
    yield from iter(sys.stdin.readline, "")


@contextlib.contextmanager
def _interrupts(talk: Talk) -> Iterator[None]:
    """Ctrl-C stops the turn; where there is none, and the second time, it ends the command."""
    loop = asyncio.get_running_loop()
    stopping: set[asyncio.Task[bool]] = set()

    def interrupted() -> None:
        if stopping or not talk.is_running:
            # Whatever waits for a line can't be told otherwise.
            os._exit(INTERRUPTED)
        stopping.add(loop.create_task(talk.interrupt()))

    try:
        loop.add_signal_handler(signal.SIGINT, interrupted)
    except NotImplementedError:
        # Windows: Ctrl-C ends the command, and the turn goes on.
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _headers() -> dict[str, str]:
    """What the service may know of who talks: the time zone, where its name is known."""
    zone = os.environ.get("TZ", "")
    if not zone:
        # As systemd and macOS have it.
        target = os.path.realpath("/etc/localtime")
        zone = target.partition("zoneinfo/")[2]
    return {"Time-Zone": zone} if zone.isascii() and zone.isprintable() and zone else {}
