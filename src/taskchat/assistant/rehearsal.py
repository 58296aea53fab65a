"""A run of the agent before the first turn, so that no user waits for what is made only once.

The SDK, its models of answers and the task server's client build and import much of themselves when
they are first used. Nobody is asked and nothing is kept: the offline model answers, and the tool
that it calls ends here.
"""

from collections.abc import Sequence
from typing import Any, Final

from taskchat.assistant.record import Answer, RunRecord
from taskchat.principal import Principal
from taskchat.tasks.effects import TaskEffect
from taskchat.tasks.tools import Result

MESSAGE: Final = "Add task: rehearse"
"""Understood by the offline model as one call of `add_task`."""

MODEL_CALLS: Final = 2
"""The call of the tool, and the reply."""


class _Call:
    """A tool call that has no effect."""

    recorded = True
    principal = Principal("rehearsal")

    async def perform(self, effect: TaskEffect, result_type: type[Result]) -> Result:
        """Answer as if it had been done."""
        return result_type.model_validate({"task_id": 1, "status": "created", "title": "rehearse"})

    async def record_refusal(self, text: str) -> None:
        """Keep nothing."""


class Rehearsal(RunRecord):
    """The record of a run that belongs to no turn."""

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self.calls = 0

    @property
    def answers(self) -> Sequence[Answer]:
        """None."""
        return ()

    def answered(self, answer: Answer) -> None:
        """Keep nothing."""

    def call(self, call_id: str, tool_name: str, arguments: dict[str, Any]) -> _Call:
        """A call without an effect."""
        self.calls += 1
        return _Call()
