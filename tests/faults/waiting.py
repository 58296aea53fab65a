"""Waiting for something to be true, with an end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")

STEP_S = 0.02
"""Between two looks; a test waits no longer than this for what is true already."""


async def until(
    look: Callable[[], Awaitable[Value | None]], *, within_s: float = 15, what: str = ""
) -> Value:
    """Look until there is something true to be seen, and return it.

    Raises:
        AssertionError: it did not become true in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        seen = await look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what or look}")
        await asyncio.sleep(STEP_S)
