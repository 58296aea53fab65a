"""One ranking made of several, by reciprocal rank fusion.

Scores of different rankings can't be compared, places in them can: each thing gets 1 / (60 + its
place) from each ranking that has it.

Source: Cormack, Clarke and Büttcher, Reciprocal rank fusion outperforms Condorcet, SIGIR 2009.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from taskchat.search.schemas import HitKind

RANK_CONSTANT: Final = 60
"""The paper's: how little the first places count for more than those that follow."""


@dataclass(frozen=True, slots=True)
class Found:
    """A thing that was found, by its ids.

    Attributes:
        kind: What it is.
        conversation_id: Its conversation; None of a task.
        turn_id: The turn of a message.
        message_id: Of a message.
        task_id: Of a task.
        created_at: When it was made.
    """

    kind: HitKind
    conversation_id: UUID | None
    turn_id: UUID | None
    message_id: UUID | None
    task_id: int | None
    created_at: datetime

    @property
    def key(self) -> str:
        """What it is known by in a ranking."""
        return f"{self.kind} {self.message_id or self.task_id or self.conversation_id}"


@dataclass(frozen=True, slots=True)
class Scored:
    """A thing with its score; a higher one is better."""

    found: Found
    score: float


def fused(*rankings: Sequence[Scored]) -> list[Scored]:
    """The rankings as one, the best first; among equals the newest."""
    scores: dict[str, float] = {}
    things: dict[str, Found] = {}
    for ranking in rankings:
        for place, scored in enumerate(in_order(ranking), 1):
            key = scored.found.key
            things[key] = scored.found
            scores[key] = scores.get(key, 0.0) + 1 / (RANK_CONSTANT + place)
    return in_order([Scored(things[key], score) for key, score in scores.items()])


def in_order(ranking: Sequence[Scored]) -> list[Scored]:
    """By score; nothing in it ties, so that pages join."""
    return sorted(
        ranking,
        key=lambda one: (-one.score, -one.found.created_at.timestamp(), one.found.key),
    )
