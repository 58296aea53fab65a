"""Whether this process lives, whether it should be given requests, and its figures.

None of it asks a model.
"""

import asyncio
from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from taskchat.errors import DatabaseError
from taskchat.migrations import applied_revision, head

router = APIRouter(tags=["health"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether requests should come here, and why not."""

    status: Literal["ok", "not_ready"]
    database: bool
    migrations: bool
    draining: bool


@router.get("/livez")
async def livez() -> Live:
    """Whether the process lives."""
    return Live()


@router.get("/readyz", responses={503: {"model": Ready}})
async def readyz(request: Request, response: Response) -> Ready:
    """Whether it should be given requests: database, migrations, not draining."""
    state = request.app.state
    revision = None
    try:
        revision = await applied_revision(state.database)
        database = True
    except DatabaseError:
        database = False
    expected = await asyncio.to_thread(head)
    ready = Ready(
        status="ok",
        database=database,
        migrations=revision == expected,
        draining=state.turns.jobs.draining,
    )
    if not (ready.database and ready.migrations) or ready.draining:
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
