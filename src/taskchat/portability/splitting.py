"""A body, line by line: memory does not grow with it."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from taskchat.errors import PayloadTooLarge

STAYS: Final = "What stood before it is imported; sending it again doubles nothing."
"""Said of whatever ends an import before its end."""


async def lines_in(
    chunks: AsyncIterable[bytes], *, line_bytes_max: int
) -> AsyncIterator[tuple[int, bytes]]:
    """The lines of a body with their numbers, from 1.

    Raises:
        PayloadTooLarge: one of them is too long.
    """
    number, rest = 0, bytearray()
    async for chunk in chunks:
        rest += chunk
        if b"\n" in chunk:
            *whole, rest = rest.split(b"\n")
            for line in whole:
                number += 1
                _check_length(len(line), number, line_bytes_max)
                yield number, bytes(line)
        _check_length(len(rest), number + 1, line_bytes_max)
    if rest:
        yield number + 1, bytes(rest)


def _check_length(length: int, number: int, line_bytes_max: int) -> None:
    if length > line_bytes_max:
        raise PayloadTooLarge(
            f"A line may have {line_bytes_max} bytes at most, and line {number} has more. {STAYS}"
        )
