"""Time and identity made by the app: aware UTC, and keys that sort by creation."""

import secrets
import time
from datetime import UTC, datetime
from uuid import UUID


def utc_now() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """A UUID of version 7: 48 bits of Unix milliseconds, then 74 random bits.

    Source: RFC 9562, section 5.7. (The standard library has it from Python 3.14 on.)
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
