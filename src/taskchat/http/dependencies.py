"""What routes are given besides the principal: the app's long-lived objects.

Every dependency is `async`, here and elsewhere: FastAPI sends a plain function to a thread.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection

from taskchat.postgres.database import Database
from taskchat.settings import Settings

Part = TypeVar("Part")


def provide(app: FastAPI, *parts: object) -> None:
    """Give the app its objects; there is one of each type."""
    app.state.parts = {type(part): part for part in parts}


def part_of(app: FastAPI, kind: type[Part]) -> Part:
    """The app's object of a type, once it is started."""
    part = app.state.parts[kind]
    assert isinstance(part, kind)  # noqa: S101 - narrowed for the type checker
    return part


def given(kind: type[Part]) -> Callable[[HTTPConnection], Awaitable[Part]]:
    """A dependency that gives the app's object of a type."""

    async def current(connection: HTTPConnection) -> Part:
        return part_of(connection.app, kind)

    return current


CurrentSettings = Annotated[Settings, Depends(given(Settings))]
CurrentDatabase = Annotated[Database, Depends(given(Database))]
