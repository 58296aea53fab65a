"""What a campaign has asked, and what it has found."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What was asked, and what was found.

    Attributes:
        counted: Requests by part and class of answer.
        found: What is wrong, and how to repeat it.
    """

    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: dict[str, str] = field(default_factory=dict)

    def find(self, what: str, how: str) -> None:
        """Keep a finding; the first of its kind stands for the others."""
        self.found.setdefault(what, how)

    def shown(self) -> str:
        """As a table, the findings below it."""
        rows = [f"{part:10} {kind:12} {n:>10,}" for (part, kind), n in sorted(self.counted.items())]
        return "\n".join([*rows, *(f"FOUND {what}\n  {how}" for what, how in self.found.items())])
