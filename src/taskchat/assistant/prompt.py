"""The prompt builder: the configured template and the facts of one turn become instructions."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from taskchat.assistant.circumstances import LANGUAGE_UNKNOWN, Circumstances
from taskchat.assistant.instructions import AgentConfig, variables_of
from taskchat.moments import utc_now


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """What the instructions of one turn are made from.

    Attributes:
        circumstances: What the request says about its sender.
        open_tasks: How many open tasks they have; None if no template asks.
        summary: A summary of what was said before the history; None if nothing fell out of it.
    """

    circumstances: Circumstances
    open_tasks: int | None = None
    summary: str | None = None


def wants_open_tasks(config: AgentConfig) -> bool:
    """Whether the template asks for the number, which costs a query a turn."""
    return "open_tasks" in variables_of(config.instructions)


def build_prompt(config: AgentConfig, facts: PromptFacts) -> str:
    """What the model is told before a turn. The date is the sender's, not the server's."""
    who = facts.circumstances
    prompt = config.instructions.format(
        today=utc_now().astimezone(ZoneInfo(who.time_zone)).date().isoformat(),
        time_zone=who.time_zone,
        language=who.language or LANGUAGE_UNKNOWN,
        open_tasks="unknown" if facts.open_tasks is None else facts.open_tasks,
    )
    if facts.summary:
        introduction = config.history.summary.introduction.format(summary=facts.summary)
        prompt = f"{prompt.rstrip()}\n\n{introduction}"
    return prompt
