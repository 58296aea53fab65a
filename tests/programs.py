"""Programs of others, run to their end."""

import asyncio
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAM_S = 180
"""Much longer than any of them takes; then it is given up."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended: its exit code, and what it printed and complained about."""

    code: int
    out: str
    err: str

    def well(self) -> str:
        """What it printed; it has to have ended with 0."""
        assert self.code == 0, f"{self.out}\n{self.err}"
        return self.out


async def run(
    *command: str | Path, env: Mapping[str, str], folder: Path | None = None, said: str = ""
) -> Ended:
    """Run a program.

    Args:
        command: The program and its arguments.
        env: Its whole environment.
        folder: Where it runs.
        said: What it is told on its standard input.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PROGRAM_S):
            out, err = await process.communicate(said.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())
