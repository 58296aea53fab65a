"""The rules of tasks. The MCP tools and the REST routes both come through here."""

from collections.abc import Sequence

from taskchat.errors import Detail, InvalidRequest, NotFound, TooManyTasks
from taskchat.postgres.database import Connection
from taskchat.principal import Principal
from taskchat.tasks import repository
from taskchat.tasks.models import DESCRIPTION_CHARS_MAX, TITLE_CHARS_MAX
from taskchat.tasks.schemas import TaskFilter, TaskOut
from taskchat.texts import is_storable, title_of

TASK_ID_MAX = 2**31 - 1
"""The column's range; a larger number can't be anybody's task."""


class TaskNotFound(NotFound):
    """The principal has no task of that number."""

    def __init__(self, task_id: int) -> None:
        self.task_id = task_id
        super().__init__(f"No task {task_id}. List the tasks to see their ids.")


class InvalidTask(InvalidRequest):
    """A title or description that can't be kept."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"The {field} {problem}.", details=[Detail(field=field, problem=problem)])


async def add_task(
    connection: Connection,
    principal: Principal,
    *,
    title: str,
    description: str = "",
    tasks_max: int | None = None,
) -> TaskOut:
    """Add a pending task.

    Raises:
        InvalidTask: the title or the description breaks a rule.
        TooManyTasks: the user has as many as they may.
    """
    title, description = checked_title(title), checked_description(description)
    if tasks_max is not None and not await repository.have_room(
        connection, principal, tasks_max=tasks_max
    ):
        raise TooManyTasks
    return await repository.insert_task(
        connection,
        principal,
        title=title,
        description=description,
    )


async def list_tasks(
    connection: Connection,
    principal: Principal,
    *,
    status: TaskFilter = "all",
    limit: int,
    after: int = 0,
) -> Sequence[TaskOut]:
    """Tasks by number, oldest first."""
    return await repository.list_tasks(
        connection, principal, status=status, limit=limit, after=after
    )


async def count_tasks(connection: Connection, principal: Principal, *, status: TaskFilter) -> int:
    """How many tasks match the filter."""
    return await repository.count_tasks(connection, principal, status=status)


async def read_task(connection: Connection, principal: Principal, task_id: int) -> TaskOut:
    """One task.

    Raises:
        TaskNotFound: the principal has none of that number.
    """
    task = (
        await repository.find_task(connection, principal, task_id)
        if task_id <= TASK_ID_MAX
        else None
    )
    if task is None:
        raise TaskNotFound(task_id)
    return task


async def change_task(
    connection: Connection,
    principal: Principal,
    task_id: int,
    *,
    title: str | None = None,
    description: str | None = None,
    completed: bool | None = None,
) -> TaskOut:
    """Change the fields that are given.

    Raises:
        InvalidTask: nothing is given, or a text breaks a rule.
        TaskNotFound: the principal has none of that number.
    """
    if title is None and description is None and completed is None:
        raise nothing_to_change()
    task = (
        await repository.change_task(
            connection,
            principal,
            task_id,
            title=None if title is None else checked_title(title),
            description=None if description is None else checked_description(description),
            completed=completed,
        )
        if task_id <= TASK_ID_MAX
        else None
    )
    if task is None:
        raise TaskNotFound(task_id)
    return task


def nothing_to_change() -> InvalidTask:
    """The error of a change that changes nothing."""
    return InvalidTask("change", "needs at least one of title, description and completed")


async def delete_task(connection: Connection, principal: Principal, task_id: int) -> TaskOut:
    """Delete a task for good; its number is not given again.

    Raises:
        TaskNotFound: the principal has none of that number.
    """
    task = (
        await repository.delete_task(connection, principal, task_id)
        if task_id <= TASK_ID_MAX
        else None
    )
    if task is None:
        raise TaskNotFound(task_id)
    return task


def checked_title(title: str) -> str:
    """The title as it is kept: one line, trimmed.

    Raises:
        InvalidTask: empty, too long, or not storable.
    """
    try:
        return title_of(title, chars_max=TITLE_CHARS_MAX)
    except ValueError as error:
        raise InvalidTask("title", str(error)) from None


def checked_description(description: str) -> str:
    """The description as it is kept: trimmed, line breaks included.

    Raises:
        InvalidTask: too long, or not storable.
    """
    if not is_storable(description):
        raise InvalidTask("description", "must not contain NUL or unpaired surrogates")
    description = description.strip()
    if len(description) > DESCRIPTION_CHARS_MAX:
        raise InvalidTask("description", f"must have at most {DESCRIPTION_CHARS_MAX} characters")
    return description
