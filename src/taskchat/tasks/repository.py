"""SQL of the tasks table. Every statement names the owner."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, func, select, text

from taskchat.errors import UserGone
from taskchat.postgres.database import AnyRow, Connection
from taskchat.postgres.tables import table_of
from taskchat.principal import Principal
from taskchat.tasks.effects import TaskEffect
from taskchat.tasks.models import Task
from taskchat.tasks.schemas import TaskFilter, TaskOut

_tasks = table_of(Task)
_columns = [_tasks.c[name] for name in TaskOut.model_fields]

_SHOWN: Final = ", ".join(TaskOut.model_fields)
_INSERT: Final = text(f"SELECT {_SHOWN} FROM task_add_1(:owner, :title, :description)")
_CHANGE: Final = text(
    f"SELECT {_SHOWN} FROM task_change_1(:owner, :task_id, :title, :description, :completed)"
)
_DELETE: Final = text(f"SELECT {_SHOWN} FROM task_delete_1(:owner, :task_id)")
_COUNTED_ALONE: Final = text("SELECT id FROM users WHERE id = :owner FOR NO KEY UPDATE")
# A statement of its own: one that waits for the lock goes on with an older snapshot.
_COUNTED: Final = text(
    "SELECT count(*) FROM (SELECT FROM tasks WHERE user_id = :owner LIMIT :most) AS there"
)
_FIND = select(*_columns).where(
    _tasks.c.user_id == bindparam("owner"), _tasks.c.id == bindparam("task_id")
)


def _task(row: AnyRow) -> TaskOut:
    return TaskOut.model_construct(**row)


async def insert_task(
    connection: Connection, principal: Principal, *, title: str, description: str
) -> TaskOut:
    """Add a task under the user's next number.

    Raises:
        UserGone: the user's row was deleted.
    """
    result = await connection.execute(
        _INSERT,
        {"owner": principal.user_id, "title": title, "description": description},
    )
    row = result.one_or_none()
    if row is None:
        raise UserGone(retry_after_s=1)
    return _task(row)


async def have_room(
    connection: Connection, principal: Principal, *, tasks_max: int, more: int = 1
) -> bool:
    """Whether the user may have so many more tasks; until the transaction ends, nobody adds any.

    Raises:
        UserGone: the user's row was deleted.
    """
    values = {"owner": principal.user_id, "most": tasks_max}
    if await connection.scalar(_COUNTED_ALONE, values) is None:
        raise UserGone(retry_after_s=1)
    return int(await connection.scalar(_COUNTED, values) or 0) + more <= tasks_max


async def find_task(connection: Connection, principal: Principal, task_id: int) -> TaskOut | None:
    """The principal's task of that number, if there is one."""
    result = await connection.execute(_FIND, {"owner": principal.user_id, "task_id": task_id})
    row = result.one_or_none()
    return _task(row) if row else None


async def list_tasks(
    connection: Connection,
    principal: Principal,
    *,
    status: TaskFilter,
    limit: int,
    after: int = 0,
) -> Sequence[TaskOut]:
    """Tasks by number, starting behind `after`."""
    statement = (
        select(*_columns)
        .where(_tasks.c.user_id == principal.user_id, _tasks.c.id > after)
        .order_by(_tasks.c.id)
        .limit(limit)
    )
    if status != "all":
        statement = statement.where(_tasks.c.completed.is_(status == "completed"))
    return [_task(row) for row in await connection.execute(statement)]


async def count_tasks(connection: Connection, principal: Principal, *, status: TaskFilter) -> int:
    """How many tasks match the filter."""
    statement = (
        select(func.count()).select_from(_tasks).where(_tasks.c.user_id == principal.user_id)
    )
    if status != "all":
        statement = statement.where(_tasks.c.completed.is_(status == "completed"))
    return int(await connection.scalar(statement) or 0)


async def change_task(
    connection: Connection,
    principal: Principal,
    task_id: int,
    *,
    title: str | None = None,
    description: str | None = None,
    completed: bool | None = None,
) -> TaskOut | None:
    """Change the fields that are given; None if there is no such task."""
    values = {"title": title, "description": description, "completed": completed}
    result = await connection.execute(
        _CHANGE, {"owner": principal.user_id, "task_id": task_id, **values}
    )
    row = result.one_or_none()
    return _task(row) if row else None


async def delete_task(connection: Connection, principal: Principal, task_id: int) -> TaskOut | None:
    """Delete a task and return what it was; None if there is no such task."""
    result = await connection.execute(_DELETE, {"owner": principal.user_id, "task_id": task_id})
    row = result.one_or_none()
    return _task(row) if row else None


_PERFORM: Final = text(
    "SELECT task_effect_1(:owner, :effect, :done, :task, :title, :description, :completed,"
    " :listed_max)"
)


async def perform(connection: Connection, principal: Principal, effect: TaskEffect) -> str | None:
    """Carry out an effect that belongs to no turn.

    Returns:
        Its answer, as JSON; None if there is no such task.
    """
    answer: str | None = await connection.scalar(
        _PERFORM, {"owner": principal.user_id, **effect.values()}
    )
    return answer
