"""Pages of a list: an opaque cursor names the last row seen, so that pages join without a gap."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel

from taskchat.errors import Detail, InvalidRequest

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200
"""Rows in one page; a page of messages at their longest is a megabyte."""

CURSOR_CHARS_MAX: Final = 256
"""A cursor of ours is far shorter."""

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page. `next_cursor` is what `after` takes for the next."""

    data: list[Item]
    has_more: bool
    next_cursor: str | None


def encode_cursor(*key: str | int) -> str:
    """The cursor after the row with this sort key."""
    text = json.dumps(key, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type[str] | type[int], field: str) -> Sequence[str | int]:
    """The sort key in a cursor.

    Args:
        cursor: A cursor from a list's answer.
        types: The types of the key's parts.
        field: The parameter's name, for the error.

    Raises:
        InvalidRequest: no list ever returned this cursor.
    """
    try:
        if len(cursor) > CURSOR_CHARS_MAX:
            raise ValueError("too long")
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(key, list) or [type(part) for part in key] != list(types):
            raise ValueError("another list's cursor")
        if any(isinstance(part, int) and not 0 <= part < 2**31 for part in key):
            raise ValueError("no row has such a number")
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise foreign_cursor(field) from error
    return key


def encode_moment(moment: datetime, id_: UUID) -> str:
    """The cursor after a row that is sorted by a moment, and by its id if several share it."""
    return encode_cursor(moment.isoformat(), str(id_))


def decode_moment(cursor: str, *, field: str) -> tuple[datetime, UUID]:
    """The moment and the id in such a cursor.

    Raises:
        InvalidRequest: no list ever returned this cursor.
    """
    moment, id_ = decode_cursor(cursor, str, str, field=field)
    try:
        return datetime.fromisoformat(str(moment)).astimezone(UTC), UUID(str(id_))
    except (ValueError, OverflowError):
        raise foreign_cursor(field) from None


def foreign_cursor(field: str) -> InvalidRequest:
    """The error for a cursor that no list ever returned."""
    problem = "must be the next_cursor of an earlier page of this list"
    return InvalidRequest(
        f"The parameter {field} {problem}.", details=[Detail(field=field, problem=problem)]
    )
