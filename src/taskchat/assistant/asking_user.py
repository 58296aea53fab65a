"""The agent's own tool: it asks its user, and goes on when there is an answer.

It is no tool of the task server's, because it does nothing; a client of that server has other ways
to ask.
"""

from collections.abc import Mapping
from typing import Any, Final

from mcp.types import Tool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taskchat.tasks.tools import problems_in

QUESTION_CHARS_MAX: Final = 1000
CHOICES_MAX: Final = 20
CHOICE_CHARS_MAX: Final = 200


class UserQuestion(BaseModel):
    """What the model asks."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(
        min_length=1, max_length=QUESTION_CHARS_MAX, description="In the person's language."
    )
    choices: list[str] = Field(
        default_factory=list,
        max_length=CHOICES_MAX,
        description="Likely answers, if there are some; the person may give another.",
    )


ASK_USER: Final = Tool(
    name="ask_user",
    description="Ask the person a question that you can't go on without, and get their answer.",
    input_schema=UserQuestion.model_json_schema(),
)


def problem_with(arguments: Mapping[str, Any]) -> str | None:
    """What the model is told of arguments that are no question; None if they are one."""
    try:
        asked = UserQuestion.model_validate(arguments)
    except ValidationError as error:
        problems = problems_in(error)
        return f"The arguments of {ASK_USER.name} do not fit: {problems}. Call it again, corrected."
    if any(len(choice) > CHOICE_CHARS_MAX for choice in asked.choices):
        return f"A choice may have {CHOICE_CHARS_MAX} characters. Call {ASK_USER.name} again."
    return None
