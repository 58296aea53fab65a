"""Node with the clients of others."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests import programs
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
        ended = await programs.run(
            node.node(),
            node_modules.parent / program,
            *arguments,
            folder=node_modules.parent,
            env={**node.environment(), **variables},
        )
        return ended.well()

    return run
