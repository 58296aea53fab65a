"""Node with the clients of others."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.clients import node

RunNode = Callable[..., Awaitable[str]]

CLIENT_S = 120
"""Much longer than any of the programs takes."""


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The packages that the lock names, installed."""
    return node.install()


@pytest.fixture
def run_node(node_modules: Path) -> RunNode:
    """Runs a program in this folder and gives what it prints; it has to end with 0.

    Its arguments are the program's name and what it is told; by name, variables of its environment.
    """

    async def run(program: str, *arguments: str, **variables: str) -> str:
        process = await asyncio.create_subprocess_exec(
            node.node(),
            node_modules.parent / program,
            *arguments,
            cwd=node_modules.parent,
            env={**node.environment(), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(CLIENT_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"{out.decode()}\n{err.decode()}"
        return out.decode()

    return run
