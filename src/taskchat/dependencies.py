"""What routes are given besides the principal: the app's long-lived objects.

Every dependency is `async`, here and elsewhere: FastAPI sends a plain function to a thread.
"""

from typing import Annotated, cast

from fastapi import Depends, Request

from taskchat.db import Database


async def current_database(request: Request) -> Database:
    """The app's database."""
    return cast(Database, request.app.state.database)


CurrentDatabase = Annotated[Database, Depends(current_database)]
