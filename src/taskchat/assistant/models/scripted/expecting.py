"""What a script expects the model to be given, held against what it is given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.items import TResponseInputItem

from taskchat.assistant.models.scripted.script import Expectation

_TELLING: Final = ("content", "name", "arguments", "output")
"""Fields of an item that hold what was said, called or answered."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a model is given at one call.

    Attributes:
        instructions: The instructions.
        history: Items of earlier turns.
        turn: Items of this turn: its message first.
        tools: Names of the tools that are offered.
    """

    instructions: str
    history: Sequence[TResponseInputItem]
    turn: Sequence[TResponseInputItem]
    tools: Sequence[str]

    @property
    def message(self) -> str:
        """What the user said."""
        return _text_of(self.turn[:1])


def unmet(expected: Expectation, given: Given) -> str | None:
    """The first expectation that is not met, as the end of a sentence; None if all are."""
    history, turn = _text_of(given.history), _text_of(given.turn)
    for name, wanted, text in (
        ("the instructions", expected.instructions, given.instructions),
        ("the history", expected.history, history),
        ("the turn", expected.turn, turn),
    ):
        for one in wanted:
            if one not in text:
                return f"“{one}” in {name}, where it is not"
    everything = "\n".join((given.instructions, history, turn))
    for one in expected.absent:
        if one in everything:
            return f"no “{one}” in what the model is given, where it is"
    for tool in expected.tools:
        if tool not in given.tools:
            return f"the tool {tool} to be offered; offered are {', '.join(given.tools)}"
    messages = sum(item.get("role") == "user" for item in given.history)
    if expected.messages_before not in (None, messages):
        return f"{expected.messages_before} messages of the user before this turn, not {messages}"
    return None


def _text_of(items: Iterable[Mapping[str, Any]]) -> str:
    """All that the items tell, a line each."""
    return "\n".join(_written(item[field]) for item in items for field in _TELLING if field in item)


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "".join(str(part.get("text", "")) for part in value if isinstance(part, dict))
