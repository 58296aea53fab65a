"""The kinds of turn that are measured on both sides."""

from dataclasses import dataclass
from typing import Final

OVER_HTTP, IN_PROCESS = "over HTTP", "in the process"
"""Where the model is."""


@dataclass(frozen=True)
class Case:
    """A kind of turn.

    Attributes:
        model: Where its model is.
        before: How many turns its conversation has had.
        query: Of the request. The lean server ignores it: its answer always holds only the turn.
    """

    model: str
    before: int
    query: str = ""

    @property
    def name(self) -> str:
        return f"{self.before} before{' ' if self.query else ''}{self.query}, {self.model}"


CASES: Final = (
    Case(OVER_HTTP, before=0),
    Case(OVER_HTTP, before=30),
    Case(OVER_HTTP, before=30, query="?messages=turn"),
    Case(IN_PROCESS, before=0),
    Case(IN_PROCESS, before=9),
    Case(IN_PROCESS, before=30),
)
