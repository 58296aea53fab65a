"""`/api/{user_id}/tasks`: the tasks themselves, by the same rules as the tools."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import NotFound
from taskchat.http.dependencies import CurrentDatabase, CurrentSettings
from taskchat.http.pages import LIMIT_DEFAULT, LIMIT_MAX, Page, decode_cursor, encode_cursor
from taskchat.http.requests import AcceptsJson, body_schema, json_body
from taskchat.tasks import service
from taskchat.tasks.schemas import NewTask, TaskChange, TaskFilter, TaskOut

router = APIRouter(
    prefix="/api/{user_id}/tasks", tags=["tasks"], dependencies=[Authenticated, AcceptsJson]
)

_TASK_ID: Final = re.compile(r"[1-9][0-9]{0,18}")


async def path_task_id(task_id: str) -> int:
    """The number in a path, in its only accepted spelling.

    Raises:
        NotFound: no task can have such a number.
    """
    # pydantic would accept `+1`, `1_0` and `1.0` as numbers, too.
    if not _TASK_ID.fullmatch(task_id):
        raise NotFound("No such task. List the tasks to see their ids.")
    return int(task_id)


TaskId = Annotated[int, Depends(path_task_id)]


@router.get("")
async def list_tasks(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    status: Annotated[TaskFilter, Query(description="Which tasks.")] = "all",
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
) -> Page[TaskOut]:
    """The user's tasks by number, oldest first."""
    last = 0
    if after is not None:
        last = int(decode_cursor(after, int, field="after")[0])
    async with database.transaction(principal) as connection:
        tasks = list(
            await service.list_tasks(
                connection, principal, status=status, limit=limit + 1, after=last
            )
        )
    has_more = len(tasks) > limit
    tasks = tasks[:limit]
    return Page(
        data=tasks,
        has_more=has_more,
        next_cursor=encode_cursor(tasks[-1].id) if has_more else None,
    )


@router.post("", status_code=201, openapi_extra=body_schema(NewTask))
async def create_task(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    settings: CurrentSettings,
    task: Annotated[NewTask, Depends(json_body(NewTask))],
) -> TaskOut:
    """Add a task."""
    async with database.transaction(principal) as connection:
        return await service.add_task(
            connection,
            principal,
            title=task.title,
            description=task.description,
            tasks_max=settings.tasks_max,
        )


@router.get("/{task_id}")
async def read_task(
    principal: CurrentPrincipal, database: CurrentDatabase, task_id: TaskId
) -> TaskOut:
    """One task."""
    async with database.transaction(principal) as connection:
        return await service.read_task(connection, principal, task_id)


@router.patch("/{task_id}", openapi_extra=body_schema(TaskChange))
async def change_task(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    # Before the id: a bad body is reported before a task that does not exist.
    change: Annotated[TaskChange, Depends(json_body(TaskChange))],
    task_id: TaskId,
) -> TaskOut:
    """Change a task's title, description or state."""
    async with database.transaction(principal) as connection:
        return await service.change_task(
            connection,
            principal,
            task_id,
            title=change.title,
            description=change.description,
            completed=change.completed,
        )


@router.delete("/{task_id}", status_code=204)
async def delete_task(
    principal: CurrentPrincipal, database: CurrentDatabase, task_id: TaskId
) -> Response:
    """Delete a task; its number is not given again."""
    async with database.transaction(principal) as connection:
        await service.delete_task(connection, principal, task_id)
    return Response(status_code=204)
