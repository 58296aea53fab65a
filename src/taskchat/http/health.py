"""Whether this process lives, whether it should be given requests, and its figures.

None of it asks a model.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from taskchat.errors import DatabaseError
from taskchat.http.dependencies import CurrentDatabase, given
from taskchat.postgres.migrations import schema_of

router = APIRouter(tags=["health"])

figures = APIRouter(tags=["health"])
"""What can be switched off."""


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether requests should come here, and why not.

    `database` is whether it answers and takes writes. `problem` is there where it does not, and
    where the schema is not the one that this code was made for.
    """

    status: Literal["ok", "not_ready"]
    database: bool
    migrations: bool
    draining: bool
    problem: str | None = None


@router.get("/livez")
async def livez() -> Live:
    """Whether the process lives."""
    return Live()


class Readiness:
    """What is known of this process besides what its database says.

    Args:
        is_draining: Whether it takes no more turns.

    Attributes:
        has_fitted: Whether the schema was once the one that this code was made for.
    """

    def __init__(self, is_draining: Callable[[], bool]) -> None:
        self.is_draining = is_draining
        self.has_fitted = False


@router.get("/readyz", responses={503: {"model": Ready}}, response_model_exclude_none=True)
async def readyz(
    database: CurrentDatabase,
    readiness: Annotated[Readiness, Depends(given(Readiness))],
    response: Response,
) -> Ready:
    """Whether it should be given requests: database, migrations, not draining.

    A process that was ready stays so when the next release migrates: each migration lets the
    release before it go on, and else there would be nobody to send requests to until that one has
    started.
    """
    schema, problem = None, None
    try:
        schema = await schema_of(database)
        if schema.standing in ("fits", "newer"):
            await database.check_writable()
    except DatabaseError as error:
        problem = error.message
    ready = Ready(
        status="ok",
        database=problem is None,
        migrations=schema is not None and schema.standing == "fits",
        draining=readiness.is_draining(),
        problem=problem or (schema and schema.problem),
    )
    if ready.migrations:
        readiness.has_fitted = True
    outgrown = schema is not None and schema.standing == "newer" and readiness.has_fitted
    if not (ready.migrations or outgrown) or not ready.database or ready.draining:
        ready.status = "not_ready"
        response.status_code = 503
    return ready


@figures.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics() -> Response:
    """This process's figures, as Prometheus reads them."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
