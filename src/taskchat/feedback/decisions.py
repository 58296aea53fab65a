"""What was decided on the calls of a request, and what the model is told of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

EXPIRED: Final = "The person was asked and did not answer in time, so nothing was done."
WITHDRAWN: Final = "The person went on without answering, so nothing was done."


@dataclass(frozen=True, slots=True)
class AskedCall:
    """A call that waits for its user.

    Attributes:
        id: Its id, as it is told.
        call_id: The model's own id of it.
        tool_name: The tool.
        arguments: What the model wrote.
        subject: The title of the task that it is about, if it names one.
    """

    id: UUID
    call_id: str
    tool_name: str
    arguments: Mapping[str, Any]
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on one call.

    Attributes:
        answer: `approve` or `reject`; `answer` for a question; `expired` if nobody answered.
        text: The answer to a question.
        comment: What the person said besides.
        arguments: Those that take the place of the model's; None if they stay.
    """

    answer: Literal["approve", "reject", "answer", "expired"]
    text: str | None = None
    comment: str | None = None
    arguments: Mapping[str, Any] | None = None

    @property
    def refusal(self) -> str | None:
        """What the model reads in place of a result; None if there is one."""
        if self.answer == "expired":
            return EXPIRED
        if self.answer != "reject":
            return None
        said = f" They said: {self.comment}" if self.comment else ""
        return f"The person was asked and refused this, so nothing was done.{said}"

    @property
    def note(self) -> str | None:
        """What the model reads besides the result of the call; None if there is nothing to tell."""
        notes = []
        if self.arguments is not None:
            notes.append("The person changed the arguments before they approved.")
        if self.answer in ("approve", "answer") and self.comment:
            notes.append(f"They said: {self.comment}")
        return " ".join(notes) or None


Decisions = Mapping[str, Decision]
"""By the model's ids of the calls."""


def question_about(calls: Iterable[tuple[str, Mapping[str, Any], str | None]]) -> str:
    """The question whether some calls may be made, for people who read no JSON.

    Args:
        calls: Tool, arguments, and the title of the task that it is about, if there is one.
    """
    return f"May I do this? {'; '.join(_shown(*call) for call in calls)}"


def _shown(tool_name: str, arguments: Mapping[str, Any], subject: str | None) -> str:
    given = [
        f"{value} “{subject}”" if name == "task_id" and subject else f"{name} “{value}”"
        for name, value in arguments.items()
    ]
    return " ".join([tool_name.replace("_", " "), ", ".join(given)])
