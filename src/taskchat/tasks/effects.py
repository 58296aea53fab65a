"""What a tool does to its caller's tasks, as the database carries it out."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from taskchat.settings import Settings

LISTED_MAX: Final = 200
"""Tasks in one answer of list_tasks: some 8,000 tokens, as much as the whole history may have."""


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """How much there may be; None is any amount.

    Attributes:
        tasks_max: Tasks of one user.
        listed_chars_max: Characters of the titles and descriptions that one list shows.
    """

    tasks_max: int | None = None
    listed_chars_max: int | None = None


def task_limits(settings: Settings) -> TaskLimits:
    """As it is configured."""
    return TaskLimits(settings.tasks_max, settings.listed_chars_max)


@dataclass(frozen=True, slots=True)
class TaskEffect:
    """One change of a user's tasks, or a look at them; checked before it comes here.

    Attributes:
        effect: What to do; None for a call that was refused before. To schedule is to keep a
            message: its text is the title, the rest is the description, as JSON.
        done: What its answer calls it.
        task: The task's number.
        title: The title that it gets.
        description: The description that it gets.
        completed: Whether it is done from now on; of a list, which tasks to show.
        refusal: The answer if there is no such task, or nothing to do.
        most: Of an addition, how many tasks there may be; of a list, how many characters it may
            show; None is any number.
    """

    effect: Literal["add", "change", "delete", "list", "schedule"] | None
    done: str = ""
    task: int | None = None
    title: str | None = None
    description: str | None = None
    completed: bool | None = None
    refusal: str = ""
    most: int | None = None

    def values(self) -> dict[str, Any]:
        """The parameters of the database's function, `LISTED_MAX` among them."""
        values = asdict(self)
        most = values.pop("most")
        # What adds and what lists is of no task: there the database's function takes this.
        return {**values, "task": self.task if most is None else most, "listed_max": LISTED_MAX}
