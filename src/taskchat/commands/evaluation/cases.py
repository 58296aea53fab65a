"""Phrasing files: JSON lines, each a conversation and the changes that it must make.

    {"id": "complete-by-title-03", "intent": "complete",
     "tasks": [{"title": "Buy groceries"}, {"title": "Call mom", "completed": true}],
     "turns": [{"say": "I got the groceries, tick that off",
                "calls": [{"tool": "complete_task", "task": "Buy groceries"}]}]}

`tasks` is the list before the first turn. `calls` are the changes that a turn must make, in order,
and no others; `task` is the title that a task had before the turn. Looking at the list is always
allowed; a turn whose `calls` name list_tasks must look at it with that `status`. If there is
`says`, one of its texts must be in the reply.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

ARTICLES: Final = frozenset({"a", "an", "the", "my"})
"""Words that may stand in front of a title or not."""

QUOTES: Final = "\"'“”‘’"

Tool = Literal["add_task", "list_tasks", "complete_task", "delete_task", "update_task"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeedTask(_Part):
    """A task that is there before the first turn."""

    title: str
    description: str = ""
    completed: bool = False


class Call(_Part):
    """One tool call: wanted, or made."""

    tool: Tool
    task: str | None = None
    title: str | None = None
    description: str | None = None
    status: Literal["all", "pending", "completed"] | None = None

    def comparable(self) -> dict[str, str]:
        """What two calls are compared by."""
        return {
            name: value if name in {"tool", "status"} else plain(value)
            for name, value in self.model_dump(exclude_none=True).items()
        }

    def told(self) -> str:
        """The call as it is shown to a person."""
        given = self.model_dump(exclude_none=True, exclude={"tool"})
        return f"{self.tool}({', '.join(f'{name}={value!r}' for name, value in given.items())})"


class Turn(_Part):
    """What is said, and what must come of it."""

    say: str
    calls: list[Call]
    says: list[str] = []


class Case(_Part):
    """One conversation."""

    id: str
    intent: str
    tasks: list[SeedTask] = []
    turns: list[Turn] = Field(min_length=1)


class CasesError(Exception):
    """The file can't be read; the message names the line."""


def read_cases(path: Path) -> list[Case]:
    """The cases of a file.

    Raises:
        CasesError: it is missing, or a line is not a valid case.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CasesError(f"{path} can't be read: {error}") from error
    cases = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            cases.append(Case.model_validate_json(line))
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise CasesError(f"{path}, line {number}: {where}: {problem['msg']}") from error
    if not cases:
        raise CasesError(f"{path} holds no case")
    return cases


def plain(text: str) -> str:
    """A title as it is compared: without case, quotes, an article, and marks at its end."""
    bare = text.casefold().strip().lstrip(QUOTES).rstrip(f"{QUOTES}.,!?;: ")
    words = bare.split()
    return " ".join(words[1:] if words and words[0] in ARTICLES else words)


def problem_of(turn: Turn, made: Sequence[Call], reply: str) -> str | None:
    """What is wrong with the outcome of a turn; None if nothing is."""
    wanted = [call.comparable() for call in turn.calls if call.tool != "list_tasks"]
    changes = [call.comparable() for call in made if call.tool != "list_tasks"]
    if changes != wanted:
        return f"wanted {_told(turn.calls)}, got {_told(made)}"
    looks = [call.status for call in made if call.tool == "list_tasks"]
    for call in turn.calls:
        if call.tool == "list_tasks" and call.status not in looks:
            return f"wanted a look at {call.status} tasks, got {_told(made)}"
    if turn.says and not any(text.casefold() in reply.casefold() for text in turn.says):
        return f"wanted one of {turn.says} in the reply"
    return None if reply else "there was no reply"


def _told(calls: Sequence[Call]) -> str:
    return ", ".join(call.told() for call in calls) or "no change"


def made_call(tool_name: str, parameters: dict[str, Any], titles: dict[int, str]) -> Call:
    """A tool call that was made, with the title of its task before the turn."""
    given = {
        name: value
        for name, value in parameters.items()
        if name in {"title", "description"} and value is not None
    }
    if tool_name == "list_tasks":
        given["status"] = parameters.get("status") or "all"
    elif "task_id" in parameters:
        number = parameters["task_id"]
        given["task"] = titles.get(number, f"task {number}")
    return Call.model_validate({"tool": tool_name, **given})
