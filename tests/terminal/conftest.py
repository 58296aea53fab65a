"""A terminal that a program runs in, and a service for it to talk to."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.processes import environment
from tests.factories import Person
from tests.live.served import PATIENCE_S
from tests.nursery import NURSERY
from tests.python_client.conftest import service

__all__ = ["service"]

COLUMNS, ROWS = 80, 40

_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")
"""What prompt-toolkit sends to draw."""


class Terminal:
    """A command in a terminal of its own.

    Attributes:
        raw: All that it wrote.
    """

    def __init__(self, master: int, pid: int) -> None:
        self._master, self.pid = master, pid
        self.raw = b""
        self._came = asyncio.Event()
        self._read = 0
        asyncio.get_running_loop().add_reader(master, self._take)

    def _take(self) -> None:
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.raw += data
        self._came.set()

    @property
    def plain(self) -> str:
        """What it wrote, without what draws it."""
        return _CONTROLS.sub("", self.raw.decode(errors="replace"))

    async def until(self, text: str) -> None:
        """Wait until this comes, behind what was waited for before."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (place := self.plain.find(text, self._read)) < 0:
                    assert self.exit_code is None, self.plain
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"no {text!r} behind {self.plain[self._read :]!r}") from None
        self._read = place + len(text)

    async def idle(self) -> None:
        """Wait until a prompt is drawn with nothing under way above it."""
        async with asyncio.timeout(PATIENCE_S):
            while "…\n" in self.plain.split("›")[-2]:
                self._came.clear()
                await self._came.wait()

    def type(self, keys: str) -> None:
        """Type something; `\\r` is Enter, `\\x03` Ctrl-C, `\\x04` Ctrl-D."""
        os.write(self._master, keys.encode())

    @property
    def exit_code(self) -> int | None:
        return NURSERY.poll(self.pid)

    async def exited(self) -> int:
        """Its exit code, once it has one."""
        async with asyncio.timeout(PATIENCE_S):
            while (code := self.exit_code) is None:
                await asyncio.sleep(0.01)
        return code

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        if self.exit_code is None:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._master)


@contextlib.contextmanager
def chatting(
    url: str, person: Person, folder: Path, *arguments: str, **variables: str
) -> Iterator[Terminal]:
    """`taskchat chat` with a service, in a terminal."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (ROWS, COLUMNS))
    given = environment(
        TASKCHAT_URL=url,
        TASKCHAT_TOKEN=token_of(person),
        # Nobody answers where the cursor is.
        PROMPT_TOOLKIT_NO_CPR="1",
        **{"TERM": "xterm", **variables},
    )
    pid = NURSERY.start(
        "taskchat",
        ["chat", "--data-dir", str(folder), *arguments],
        env=given,
        folder=folder,
        descriptors=(slave, slave, slave),
    )
    os.close(slave)
    terminal = Terminal(master, pid)
    try:
        yield terminal
    finally:
        terminal.close()


def token_of(person: Person) -> str:
    return person.headers["Authorization"].removeprefix("Bearer ")


async def piped(
    url: str, person: Person, folder: Path, *arguments: str, said: str = ""
) -> tuple[int, str, str]:
    """`taskchat chat` between pipes: its exit code, stdout and stderr."""
    given = environment(TASKCHAT_URL=url, TASKCHAT_TOKEN=token_of(person))
    (folder / "in").write_text(said, encoding="utf-8")
    with (
        (folder / "in").open() as stdin,
        (folder / "out").open("w") as stdout,
        (folder / "err").open("w") as stderr,
    ):
        pid = NURSERY.start(
            "taskchat",
            ["chat", "--data-dir", str(folder), *arguments],
            env=given,
            folder=folder,
            descriptors=(stdin.fileno(), stdout.fileno(), stderr.fileno()),
        )
        async with asyncio.timeout(PATIENCE_S):
            while (code := NURSERY.poll(pid)) is None:
                await asyncio.sleep(0.01)
    return code, (folder / "out").read_text("utf-8"), (folder / "err").read_text("utf-8")


def json_lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]
