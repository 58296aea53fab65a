"""The task server: five MCP tools over the rules of `tasks.service`. One object for the app's life.

No tool takes a user id. Who acts is the `ToolCaller` that was bound around the call, by the turn
that runs or by a verified request; a model, a header or an argument can't name another.
"""

import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Protocol, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from taskchat.postgres.database import Connection
from taskchat.principal import Principal
from taskchat.tasks import service
from taskchat.tasks.models import DESCRIPTION_CHARS_MAX, TITLE_CHARS_MAX
from taskchat.tasks.schemas import TaskFilter

LISTED_MAX = 200
"""Tasks in one answer of list_tasks: some 8,000 tokens, as much as the whole history may have."""


class TaskDone(BaseModel):
    """What a tool that changes one task answers."""

    task_id: int
    status: Literal["created", "completed", "deleted", "updated"]
    title: str


class ListedTask(BaseModel):
    """One task as the model sees it."""

    id: int
    title: str
    description: str
    completed: bool


class TaskList(BaseModel):
    """What list_tasks answers: the oldest `LISTED_MAX` that fit the filter."""

    tasks: list[ListedTask]
    total: int = Field(description="How many tasks fit the filter, shown here or not.")


Result = TypeVar("Result", bound=BaseModel)
Effect = Callable[[Connection, Principal], Awaitable[Result]]


class ToolFailure(Exception):
    """A tool refused. Its text is one sentence that tells the model what to do next."""


class ToolCaller(Protocol):
    """Who calls a tool, and what else is committed with its effect."""

    @property
    def principal(self) -> Principal:
        """Whose tasks these are."""
        ...

    async def perform(self, effect: Effect[Result], result_type: type[Result]) -> Result:
        """Run the effect in a transaction of the principal's and return its result.

        Raises:
            ToolFailure: the effect refused.
            ServiceError: the effect could not run at all.
        """
        ...


_caller: ContextVar[ToolCaller] = ContextVar("tool_caller")


@contextlib.contextmanager
def calling_as(caller: ToolCaller) -> Iterator[None]:
    """Bind who acts, for the calls made inside the block."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


async def _perform(effect: Effect[Result], result_type: type[Result]) -> Result:
    async def explained(connection: Connection, principal: Principal) -> Result:
        try:
            return await effect(connection, principal)
        except service.TaskNotFound as error:
            raise ToolFailure(
                f"No task {error.task_id}. Call list_tasks to see the ids."
            ) from error
        except service.InvalidTask as error:
            raise ToolFailure(error.message) from error

    try:
        return await _caller.get().perform(explained, result_type)
    except ToolFailure as failure:
        raise ToolError(str(failure)) from failure


_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", re.ASCII)
"""A number as JSON writes it, of an exponent that a task's number could have."""


def _integer(given: object) -> object:
    """What JSON Schema calls an integer, as a number or as its text; anything else as it is."""
    if isinstance(given, str) and _NUMBER.fullmatch(given.strip()):
        number = Decimal(given.strip())
        return int(number) if number == number.to_integral_value() else given
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given


TaskId = Annotated[
    int,
    Field(strict=True, ge=1, le=service.TASK_ID_MAX, description="The task's number."),
    BeforeValidator(_integer),
]
Title = Annotated[
    str,
    Field(max_length=TITLE_CHARS_MAX, description="What is to be done, in the person's words."),
]
Description = Annotated[
    str | None,
    Field(
        max_length=DESCRIPTION_CHARS_MAX,
        description="More about it; only what the person said.",
    ),
]


async def add_task(title: Title, description: Description = None) -> TaskDone:
    """Add a task to the list. Returns its number."""

    async def effect(connection: Connection, principal: Principal) -> TaskDone:
        task = await service.add_task(
            connection, principal, title=title, description=description or ""
        )
        return TaskDone(task_id=task.id, status="created", title=task.title)

    return await _perform(effect, TaskDone)


async def list_tasks(
    status: Annotated[
        TaskFilter,
        Field(description="Which tasks: pending ones, completed ones, or all of them."),
    ] = "all",
) -> TaskList:
    """Show the tasks with their numbers, oldest first."""

    async def effect(connection: Connection, principal: Principal) -> TaskList:
        tasks = await service.list_tasks(connection, principal, status=status, limit=LISTED_MAX)
        total = len(tasks)
        if total == LISTED_MAX:
            total = await service.count_tasks(connection, principal, status=status)
        return TaskList(
            tasks=[
                ListedTask(
                    id=task.id,
                    title=task.title,
                    description=task.description,
                    completed=task.completed,
                )
                for task in tasks
            ],
            total=total,
        )

    return await _perform(effect, TaskList)


async def complete_task(task_id: TaskId) -> TaskDone:
    """Mark a task as done."""

    async def effect(connection: Connection, principal: Principal) -> TaskDone:
        task = await service.change_task(connection, principal, task_id, completed=True)
        return TaskDone(task_id=task.id, status="completed", title=task.title)

    return await _perform(effect, TaskDone)


async def delete_task(task_id: TaskId) -> TaskDone:
    """Remove a task from the list for good."""

    async def effect(connection: Connection, principal: Principal) -> TaskDone:
        task = await service.delete_task(connection, principal, task_id)
        return TaskDone(task_id=task.id, status="deleted", title=task.title)

    return await _perform(effect, TaskDone)


async def update_task(
    task_id: TaskId,
    title: Annotated[str | None, Field(max_length=TITLE_CHARS_MAX)] = None,
    description: Description = None,
) -> TaskDone:
    """Change a task's title, its description, or both. What is not given stays."""

    async def effect(connection: Connection, principal: Principal) -> TaskDone:
        task = await service.change_task(
            connection, principal, task_id, title=title, description=description
        )
        return TaskDone(task_id=task.id, status="updated", title=task.title)

    return await _perform(effect, TaskDone)


TOOLS: Sequence[tuple[Callable[..., Awaitable[BaseModel]], ToolAnnotations]] = (
    (add_task, ToolAnnotations(destructive_hint=False, open_world_hint=False)),
    (list_tasks, ToolAnnotations(read_only_hint=True, open_world_hint=False)),
    (complete_task, ToolAnnotations(destructive_hint=False, idempotent_hint=True)),
    (delete_task, ToolAnnotations(destructive_hint=True, idempotent_hint=True)),
    (update_task, ToolAnnotations(destructive_hint=True, idempotent_hint=True)),
)

TOOL_NAMES = frozenset(function.__name__ for function, _ in TOOLS)


class _AsWritten(FuncMetadata):
    """Arguments as the caller wrote them.

    The SDK's own class reads a text once more as JSON if a parameter is not plainly `str`: a
    description of `["milk"]` would arrive as a list, and `null` as no description.
    """

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments unchanged."""
        return data


def _tool(function: Callable[..., Awaitable[BaseModel]], annotations: ToolAnnotations) -> Tool:
    tool = Tool.from_function(function, annotations=annotations)
    tool.fn_metadata = _AsWritten(**dict(tool.fn_metadata))
    return tool


class TaskServer(MCPServer[Any]):
    """The MCP server of the five tools, with errors that a model can act on."""

    def __init__(self) -> None:
        tools = [_tool(function, annotations) for function, annotations in TOOLS]
        super().__init__("taskchat", title="To-do list", log_level="WARNING", tools=tools)

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        context: Context[Any, Any] | None = None,
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool.

        A `user_id` that came along is accepted if it is the caller's own, because other services'
        tools take one, and refused otherwise; no tool ever sees it.

        Raises:
            ToolError: with one sentence, without the SDK's prefix.
        """
        if "user_id" in arguments:
            arguments = dict(arguments)
            if arguments.pop("user_id") != _caller.get().principal.user_id:
                raise ToolError("Leave user_id out: a tool only ever acts for its caller.")
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            raise ToolError(_sentence(error, name)) from error.__cause__


def _sentence(error: ToolError, name: str) -> str:
    """The failure without the SDK's wording around it, and without the refused values."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'arguments'}: {problem['msg']}"
            for problem in cause.errors(include_input=False, include_url=False)
        )
        return f"The arguments of {name} do not fit: {problems}. Call it again, corrected."
    if isinstance(cause, ToolError):
        return str(cause)
    return no_such_tool(name)


def no_such_tool(name: str) -> str:
    """What the model reads about a call that names no tool; it may have written any name."""
    return f"There is no tool {name[:64]!r}. Use one of those you were given."
