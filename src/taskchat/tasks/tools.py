"""The task server: five MCP tools over the rules of `tasks.service`. One object for the app's life.

For whom they act: `tasks.calling`.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from mcp.server.mcpserver import (
    AcceptedElicitation,
    Context,
    Elicit,
    ElicitationResult,
    MCPServer,
    Resolve,
)
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from taskchat.errors import TooManyTasks
from taskchat.tasks import service
from taskchat.tasks.calling import Result, ToolFailure, current_caller
from taskchat.tasks.effects import TaskEffect, TaskLimits
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
    """What list_tasks answers: the oldest that fit the filter, as many as may be shown."""

    tasks: list[ListedTask]
    total: int = Field(description="How many tasks fit the filter, shown here or not.")


class Approval(BaseModel):
    """What a client shows its user, as the protocol has it, before a call that needs their yes."""

    approve: bool = Field(description="Whether this may be done.")


_called: ContextVar[tuple[str, Mapping[str, Any]]] = ContextVar("tool_called")
_limits: ContextVar[TaskLimits] = ContextVar("task_limits")


async def _approval() -> Approval | Elicit[Approval]:
    """Ask the client's user, if this call has to be asked about.

    The SDK does it in the way of the protocol that the client speaks, and refuses the call of one
    that can't ask anybody.
    """
    question = current_caller().question_about(*_called.get())
    return Approval(approve=True) if question is None else Elicit(question, Approval)


Approved = Annotated[ElicitationResult[Approval], Resolve(_approval)]
"""What the user has said to a call, if they were asked. No argument of the tool's."""


async def perform_effect(
    effect: TaskEffect, result_type: type[Result], approved: ElicitationResult[Approval]
) -> Result:
    """Carry out a tool's effect for whoever calls it, unless their user has refused it.

    Raises:
        ToolError: with what the model is told.
    """
    if not isinstance(approved, AcceptedElicitation) or not approved.data.approve:
        raise ToolError("The person was asked and refused this, so nothing was done.")
    try:
        return await current_caller().perform(effect, result_type)
    except ToolFailure as failure:
        raise ToolError(str(failure)) from failure


def _checked(check: Callable[[str], str], value: str) -> str:
    """The value as it is kept.

    Raises:
        ToolError: it breaks a rule.
    """
    try:
        return check(value)
    except service.InvalidTask as error:
        raise ToolError(error.message) from error


def _unknown(task_id: int) -> str:
    return f"No task {task_id}. Call list_tasks to see the ids."


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


def task_number(given: object) -> int | None:
    """The number of a task in an argument of a call; None if it can't be one."""
    number = _integer(given)
    if isinstance(number, bool) or not isinstance(number, int):
        return None
    return number if 1 <= number <= service.TASK_ID_MAX else None


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


async def add_task(
    title: Title, description: Description = None, *, approved: Approved
) -> TaskDone:
    """Add a task to the list. Returns its number."""
    effect = TaskEffect(
        "add",
        done="created",
        title=_checked(service.checked_title, title),
        description=_checked(service.checked_description, description or ""),
        refusal=TooManyTasks.default,
        most=_limits.get().tasks_max,
    )
    return await perform_effect(effect, TaskDone, approved)


async def list_tasks(
    status: Annotated[
        TaskFilter,
        Field(description="Which tasks: pending ones, completed ones, or all of them."),
    ] = "all",
    *,
    approved: Approved,
) -> TaskList:
    """Show the tasks with their numbers, oldest first."""
    shown = None if status == "all" else status == "completed"
    effect = TaskEffect("list", completed=shown, most=_limits.get().listed_chars_max)
    return await perform_effect(effect, TaskList, approved)


async def complete_task(task_id: TaskId, *, approved: Approved) -> TaskDone:
    """Mark a task as done."""
    effect = TaskEffect(
        "change", done="completed", task=task_id, completed=True, refusal=_unknown(task_id)
    )
    return await perform_effect(effect, TaskDone, approved)


async def delete_task(task_id: TaskId, *, approved: Approved) -> TaskDone:
    """Remove a task from the list for good."""
    effect = TaskEffect("delete", done="deleted", task=task_id, refusal=_unknown(task_id))
    return await perform_effect(effect, TaskDone, approved)


async def update_task(
    task_id: TaskId,
    title: Annotated[str | None, Field(max_length=TITLE_CHARS_MAX)] = None,
    description: Description = None,
    *,
    approved: Approved,
) -> TaskDone:
    """Change a task's title, its description, or both. What is not given stays."""
    if title is None and description is None:
        raise ToolError(service.nothing_to_change().message)
    effect = TaskEffect(
        "change",
        done="updated",
        task=task_id,
        title=None if title is None else _checked(service.checked_title, title),
        description=None
        if description is None
        else _checked(service.checked_description, description),
        refusal=_unknown(task_id),
    )
    return await perform_effect(effect, TaskDone, approved)


ToolSpec = tuple[Callable[..., Awaitable[BaseModel]], ToolAnnotations]
"""A tool: its function, and what clients are told of it."""

TOOLS: Sequence[ToolSpec] = (
    (add_task, ToolAnnotations(destructive_hint=False, open_world_hint=False)),
    (list_tasks, ToolAnnotations(read_only_hint=True, open_world_hint=False)),
    (
        complete_task,
        ToolAnnotations(destructive_hint=False, idempotent_hint=True, open_world_hint=False),
    ),
    (
        delete_task,
        ToolAnnotations(destructive_hint=True, idempotent_hint=True, open_world_hint=False),
    ),
    (
        update_task,
        ToolAnnotations(destructive_hint=True, idempotent_hint=True, open_world_hint=False),
    ),
)

TOOL_NAMES = frozenset(function.__name__ for function, _ in TOOLS)

OPTIONAL_NAMES: Final = frozenset({"schedule_message"})
"""Tools that the server is given by others; a model is offered those its configuration names."""

LOOKING = frozenset(function.__name__ for function, hints in TOOLS if hints.read_only_hint)
"""Tools that change nothing."""


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


_TOOLS: Final = {function.__name__: _tool(function, hints) for function, hints in TOOLS}
"""Made once: most of the time in which an app starts would go into it."""


class TaskServer(MCPServer[Any]):
    """The MCP server of the five tools, with errors that a model can act on.

    Args:
        more: Further tools.
        limits: How much there may be; by default any amount.
        options: Of the SDK's own server.
    """

    def __init__(
        self, more: Sequence[ToolSpec] = (), *, limits: TaskLimits | None = None, **options: Any
    ) -> None:
        self._task_limits = limits or TaskLimits()
        tools = [*_TOOLS.values(), *(_tool(function, hints) for function, hints in more)]
        super().__init__(
            "taskchat", title="To-do list", log_level="WARNING", tools=tools, **options
        )

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
            if arguments.pop("user_id") != current_caller().principal.user_id:
                raise ToolError("Leave user_id out: a tool only ever acts for its caller.")
        token = _called.set((name, arguments))
        limits = _limits.set(self._task_limits)
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            raise ToolError(_sentence(error, name)) from error.__cause__
        finally:
            _limits.reset(limits)
            _called.reset(token)


def problem_with_arguments(name: str, arguments: dict[str, Any]) -> str | None:
    """What is wrong with the arguments of a call, without their values; None if they fit.

    Those of tools that the server is given by others are checked when they are called.
    """
    if name not in _TOOLS:
        return None
    reads = _TOOLS[name].fn_metadata.arg_model
    if unknown := arguments.keys() - reads.model_fields.keys():
        return f"{', '.join(sorted(unknown))}: no argument of {name}"
    try:
        reads.model_validate(arguments)
    except ValidationError as error:
        return problems_in(error)
    return None


def problems_in(error: ValidationError) -> str:
    """What is wrong with arguments, without their values."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    )


def _sentence(error: ToolError, name: str) -> str:
    """The failure without the SDK's wording around it, and without the refused values."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        return (
            f"The arguments of {name} do not fit: {problems_in(cause)}. Call it again, corrected."
        )
    if isinstance(cause, ToolError):
        return str(cause)
    return no_such_tool(name)


def no_such_tool(name: str) -> str:
    """What the model reads about a call that names no tool; it may have written any name."""
    return f"There is no tool {name[:64]!r}. Use one of those you were given."
