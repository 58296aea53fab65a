"""A program in this folder that does what it is told, line by line."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.clients import node
from tests.clients.conftest import CLIENT_S


class Talking:
    """One that runs: each line is an order, and each gets a line of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **order: Any) -> Any:
        """What became of an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        async with asyncio.timeout(CLIENT_S):
            told = await self._process.stdout.readline()
        assert told, "it ended; what it complained of is on stderr"
        return json.loads(told)


@contextlib.asynccontextmanager
async def talking(program: str, *arguments: str) -> AsyncIterator[Talking]:
    """Runs a program until the block ends."""
    process = await asyncio.create_subprocess_exec(
        node.node(),
        node.HERE / program,
        *arguments,
        cwd=node.HERE,
        env=node.environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield Talking(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
