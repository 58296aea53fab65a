"""How many tokens a text has, by what its model says it was charged for.

A tokenizer of our own would be right for one vendor's models and a download on every machine. The
model itself counts every input that it gets: what it counted is how dense its tokens are.
"""

from collections.abc import Iterable
from typing import Any, Final

from taskchat.conversations.history import BYTES_PER_TOKEN

LEAST_BYTES_PER_TOKEN: Final = 1.0
"""No tokenizer has fewer; a count that says so includes something else besides."""

WEIGHT: Final = 0.2
"""Weight of the newest count: a few calls settle it, and one odd message does not upset it."""


class TokenCount:
    """How many bytes of input one model's token has, learned from its answers.

    It only ever becomes stricter than the estimate that it starts from: a vendor that counts too
    little, or caches, must not let the history grow past its budget.
    """

    def __init__(self) -> None:
        self._learned = float(BYTES_PER_TOKEN)

    @property
    def bytes_per_token(self) -> float:
        """At most `BYTES_PER_TOKEN`."""
        return min(self._learned, BYTES_PER_TOKEN)

    def note(self, sent_bytes: int, tokens: int) -> None:
        """Learn from one answer.

        Args:
            sent_bytes: The size of the whole input, instructions and tools included.
            tokens: What the model counted for it; 0 if it does not count.
        """
        if tokens <= 0:
            return
        found = min(max(sent_bytes / tokens, LEAST_BYTES_PER_TOKEN), float(BYTES_PER_TOKEN))
        self._learned += WEIGHT * (found - self._learned)


def bytes_of_items(items: Iterable[Any]) -> int:
    """The size of items of an input, as far as a model counts it."""
    return sum(
        len(value.encode()) for item in items for value in item.values() if isinstance(value, str)
    )


def bytes_of_tools(tools: Iterable[Any]) -> int:
    """The size of what a model is told of its tools."""
    return sum(
        len(tool.name) + len(tool.description or "") + len(str(tool.params_json_schema))
        for tool in tools
    )
