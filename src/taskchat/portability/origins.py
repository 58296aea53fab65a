"""Ids of what is imported: made from where it came from, so that a repeat makes the same ones.

The user is part of it: nobody can choose an id, or get one that another user's rows have.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def derived_id(user_id: str, at: datetime, *origin: object) -> UUID:
    """A UUID of version 8: 48 bits of Unix milliseconds, then 74 bits of a hash.

    It sorts by time among the ids of `moments.new_id`.

    Args:
        user_id: Whose it will be.
        at: When it was made, where it came from.
        origin: What it was there; JSON values.

    Source: RFC 9562, section 5.8.
    """
    digest = hashlib.sha256(json.dumps([user_id, *origin]).encode()).digest()
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(digest[:10])
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def task_origin(user_id: str, number: int, at: datetime) -> UUID:
    """What identifies a task that was made here: numbers begin anew once all is deleted."""
    return derived_id(user_id, at, "task", number, at.astimezone(UTC).isoformat())
