"""Whether this process lives, whether it should be given requests, and its figures.

None of it asks a model.
"""

from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy import text

from taskchat.db import Database
from taskchat.errors import DatabaseError, DatabaseUnwritable
from taskchat.migrations import schema_of

router = APIRouter(tags=["health"])


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


@router.get("/readyz", responses={503: {"model": Ready}}, response_model_exclude_none=True)
async def readyz(request: Request, response: Response) -> Ready:
    """Whether it should be given requests: database, migrations, not draining.

    A process that was ready stays so when the next release migrates: each migration lets the
    release before it go on, and else there would be nobody to send requests to until that one has
    started.
    """
    state = request.app.state
    schema, problem = None, None
    try:
        schema = await schema_of(state.database)
        if schema.standing in ("fits", "newer"):
            await _check_writable(state.database)
    except DatabaseError as error:
        problem = error.message
    ready = Ready(
        status="ok",
        database=problem is None,
        migrations=schema is not None and schema.standing == "fits",
        draining=state.turns.jobs.draining,
        problem=problem or (schema and schema.problem),
    )
    if ready.migrations:
        state.has_fitted = True
    outgrown = schema is not None and schema.standing == "newer" and state.has_fitted
    if not (ready.migrations or outgrown) or not ready.database or ready.draining:
        ready.status = "not_ready"
        response.status_code = 503
    return ready


async def _check_writable(database: Database) -> None:
    """Raise unless the database takes writes, as far as it can be known without one."""
    async with database.system_transaction() as connection:
        read_only = await connection.scalar(text("SELECT current_setting('transaction_read_only')"))
    if read_only == "on" or database.refused_a_write:
        raise DatabaseUnwritable


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics() -> Response:
    """This process's figures, as Prometheus reads them."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
