"""A list that is read from either end: behind `after`, or up to `before`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Query

from taskchat.errors import Detail, InvalidRequest
from taskchat.http.pages import decode_cursor

NEWEST: Final = "end"
"""Stands in `before` for the place behind the newest row. No cursor looks like this."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which page was asked for.

    Attributes:
        cursor: Where it begins or ends; None for the end of the list that it is read from.
        backwards: Whether it is the page before that place.
    """

    cursor: str | None
    backwards: bool

    def place(self, parts: int) -> Sequence[int] | None:
        """The numbers in the cursor; None for an end of the list.

        Raises:
            InvalidRequest: no list ever returned this cursor.
        """
        if self.cursor is None:
            return None
        field = "before" if self.backwards else "after"
        return [int(part) for part in decode_cursor(self.cursor, *[int] * parts, field=field)]


async def window(
    after: Annotated[
        str | None, Query(description="Cursor: the messages that follow it, oldest first.")
    ] = None,
    before: Annotated[
        str | None,
        Query(
            description="Cursor: the newest messages before it, in order. `end` means the newest "
            "of all."
        ),
    ] = None,
) -> Window:
    """The page that the query asks for.

    Raises:
        InvalidRequest: it asks for both directions.
    """
    if after is not None and before is not None:
        raise InvalidRequest(
            "Give after or before, not both.",
            details=[Detail("before", "can't be combined with after")],
        )
    if before is not None:
        return Window(None if before == NEWEST else before, backwards=True)
    return Window(after, backwards=False)


CurrentWindow = Annotated[Window, Depends(window)]
