"""Ids as they come in: one spelling, in a path, a query or a body."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from taskchat.errors import NotFound
from taskchat.texts import uuid_of


def _plain_uuid(value: object) -> UUID:
    # pydantic's own parsing is laxer, and its error repeats the offending character.
    parsed = uuid_of(value) if isinstance(value, str) else value
    if not isinstance(parsed, UUID):
        raise PydanticCustomError("uuid", "must be a UUID such as 0199f3a0-…")
    return parsed


PlainUUID = Annotated[UUID, BeforeValidator(_plain_uuid)]
"""An id in its only accepted spelling."""


def path_id(name: str, what: str) -> Any:
    """A dependency: the id of that name in the path, in its only accepted spelling.

    It raises NotFound where nothing can have such an id.

    Args:
        name: Of the path's parameter.
        what: It is the id of.
    """

    async def parsed(id_: Annotated[str, Path(alias=name)]) -> UUID:
        found = uuid_of(id_)
        if found is None:
            raise NotFound(f"No such {what}.")
        return found

    return Depends(parsed)
