"""Whether this process lives, whether it should be given requests, and its figures.

None of it asks a model.
"""

import contextlib
from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from taskchat.errors import DatabaseError
from taskchat.migrations import schema_of

router = APIRouter(tags=["health"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether requests should come here, and why not.

    `problem` is there where the schema is not the one that this code was made for.
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


@router.get("/readyz", responses={503: {"model": Ready}}, response_model_exclude_none=True)
async def readyz(request: Request, response: Response) -> Ready:
    """Whether it should be given requests: database, migrations, not draining.

    A process that was ready stays so when the next release migrates: each migration lets the
    release before it go on, and else there would be nobody to send requests to until that one has
    started.
    """
    state = request.app.state
    schema = None
    with contextlib.suppress(DatabaseError):
        schema = await schema_of(state.database)
    ready = Ready(
        status="ok",
        database=schema is not None,
        migrations=schema is not None and schema.standing == "fits",
        draining=state.turns.jobs.draining,
        problem=schema and schema.problem,
    )
    if ready.migrations:
        state.has_fitted = True
    outgrown = schema is not None and schema.standing == "newer" and state.has_fitted
    if not (ready.migrations or outgrown) or ready.draining:
        ready.status = "not_ready"
        response.status_code = 503
    return ready


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics() -> Response:
    """This process's figures, as Prometheus reads them."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
