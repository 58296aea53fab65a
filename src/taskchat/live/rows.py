"""SQL of following a conversation: where it stands, and what is new since then."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from taskchat.postgres.database import Database, Function
from taskchat.principal import Principal
from taskchat.turns.events import StoredEvent
from taskchat.turns.store.events import EVENTS_MAX

PLACE: Final = Function("conversation_place_1", "conversation")
SINCE: Final = Function(
    "events_since_1", "conversation", "first", "over", "numbers", "seqs", "rows_max"
)


@dataclass(slots=True)
class Place:
    """How far somebody has followed a conversation.

    Of turns before `first` and of those in `over`, everything has been seen. For the others, `seen`
    has the last event that was seen, by the turn's number.

    Attributes:
        first: The first turn of which something may be new.
        seen: The last event seen of each turn; a turn of which none was seen is missing.
        over: Turns from `first` on of which nothing more will come.
    """

    first: int
    seen: dict[int, int] = field(default_factory=dict)
    over: set[int] = field(default_factory=set)

    @classmethod
    def of(
        cls, last_turn: int, numbers: Sequence[int] | None, seqs: Sequence[int] | None
    ) -> "Place":
        """Where a conversation stands.

        Args:
            last_turn: How many turns it has.
            numbers: Its unfinished turns, in order.
            seqs: The last event of each of these.
        """
        seen = dict(zip(numbers or (), seqs or (), strict=True))
        first = min(seen, default=last_turn + 1)
        return cls(first, seen, set(range(first, last_turn + 1)) - seen.keys())

    def knows(self, number: int) -> bool:
        """Whether anything of this turn has been seen."""
        return number < self.first or number in self.over or number in self.seen

    def take(self, events: Sequence[StoredEvent]) -> list[StoredEvent] | None:
        """Note events of one turn; returns the new ones, or None if some are missing."""
        number = events[0].number
        if number < self.first or number in self.over:
            return []
        seen = self.seen.get(number, 0)
        fresh = [event for event in events if event.seq > seen]
        if fresh and fresh[0].seq != seen + 1:
            return None
        self.note(fresh)
        return fresh

    def note(self, events: Sequence[StoredEvent]) -> None:
        """Note that these events, of any turns, have been seen."""
        for event in events:
            self.seen[event.number] = event.seq
            if event.ends_turn:
                del self.seen[event.number]
                self.over.add(event.number)
        while self.first in self.over:
            self.over.remove(self.first)
            self.first += 1

    def rewound(self, number: int, seq: int) -> "Place":
        """The place after an event of a turn: what followed it, in later turns too, is new."""
        return Place(
            min(self.first, number),
            {**{n: at for n, at in self.seen.items() if n < number}, number: seq},
            {n for n in self.over if n < number},
        )

    def copy(self) -> "Place":
        """The same place, to go on from independently."""
        return Place(self.first, dict(self.seen), set(self.over))


async def place_now(database: Database, principal: Principal, conversation_id: UUID) -> Place:
    """Where a conversation stands at this moment: conversation_place_1.sql.

    Raises:
        DatabaseError: it can't be read at the moment.
    """
    row = await database.call(principal, PLACE, {"conversation": conversation_id})
    return Place.of(row.last_turn or 0, row.numbers, row.seqs)


async def events_since(
    database: Database, principal: Principal, conversation_id: UUID, place: Place
) -> list[StoredEvent]:
    """The events since a place, turn by turn; as many as are read at once: events_since_1.sql.

    Raises:
        DatabaseError: they can't be read at the moment.
    """
    rows = await database.call_for_rows(
        principal,
        SINCE,
        {
            "conversation": conversation_id,
            "first": place.first,
            "over": list(place.over),
            "numbers": list(place.seen.keys()),
            "seqs": list(place.seen.values()),
            "rows_max": EVENTS_MAX,
        },
    )
    return [StoredEvent(row.turn, row.number, row.seq, row.type, row.data) for row in rows]
