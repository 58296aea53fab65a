"""Which tool calls need the user's yes: the rules of the agent's configuration."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from taskchat.tasks.tools import OPTIONAL_NAMES, TOOL_NAMES


class ApprovalRule(BaseModel):
    """Calls that need approval.

    Attributes:
        tool: The tool that is called.
        more_than: How many calls of it a turn may make without asking.
        arguments: Patterns, by argument: only calls whose arguments match all of them count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str
    more_than: int = Field(0, ge=0)
    arguments: Mapping[str, re.Pattern[str]] = Field(default_factory=dict)

    @field_validator("tool")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value not in TOOL_NAMES | OPTIONAL_NAMES:
            raise ValueError(f"there is no tool {value}")
        return value

    def covers(self, tool_name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether the rule speaks of such a call."""
        return tool_name == self.tool and all(
            name in arguments and pattern.search(str(arguments[name]))
            for name, pattern in self.arguments.items()
        )


Called = tuple[str, str, Mapping[str, Any]]
"""A call: its id, its tool, its arguments."""


def needing_approval(
    rules: Iterable[ApprovalRule], made: Sequence[Called], decided: Sequence[Called]
) -> frozenset[str]:
    """The ids of those calls that need the user's yes.

    Args:
        rules: Of the configuration.
        made: Calls of the turn that are on record.
        decided: What the model wants now, none of it made. If a rule allows less than that and what
            was made, none of what it covers is made unasked.
    """
    asked: set[str] = set()
    for rule in rules:
        before = sum(rule.covers(name, arguments) for _, name, arguments in made)
        covered = [id_ for id_, name, arguments in decided if rule.covers(name, arguments)]
        if before + len(covered) > rule.more_than:
            asked.update(covered)
    return frozenset(asked)
