"""What the time of a request went to, for its `Server-Timing` header.

A turn's job is begun by a request and shares its account, so that an answer tells of the run, too.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Final, Literal, TypeAlias, get_args

Part: TypeAlias = Literal["queue", "line", "db", "model", "tool"]

PARTS: Final[tuple[Part, ...]] = get_args(Part)
"""Waiting for earlier turns and for a connection; holding one; models; tools with their commits."""

_account: ContextVar[dict[Part, float] | None] = ContextVar("time_spent", default=None)


@contextlib.contextmanager
def accounted() -> Iterator[Mapping[Part, float]]:
    """Keep account of what time is spent on inside the block, in seconds."""
    account: dict[Part, float] = {}
    token = _account.set(account)
    try:
        yield account
    finally:
        _account.reset(token)


def spend(part: Part, seconds: float) -> None:
    """Add to the account of the current request, if there is one."""
    account = _account.get()
    if account is not None:
        account[part] = account.get(part, 0.0) + seconds


@contextlib.contextmanager
def spending(part: Part) -> Iterator[None]:
    """Add the time of the block."""
    began = time.monotonic()
    try:
        yield
    finally:
        spend(part, time.monotonic() - began)


def server_timing(account: Mapping[Part, float], total_s: float) -> str:
    """The header's value, in milliseconds; parts that took no time are left out.

    Source: W3C, Server Timing.
    """
    spent = [f"{part};dur={account[part] * 1000:.1f}" for part in PARTS if part in account]
    return ", ".join([f"total;dur={total_s * 1000:.1f}", *spent])
