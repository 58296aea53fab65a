"""SQL of following a conversation: where it stands, and what is new since then."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text

from taskchat.postgres.database import Connection
from taskchat.principal import Principal
from taskchat.turns.events import StoredEvent
from taskchat.turns.models import UNFINISHED, one_of
from taskchat.turns.store.events import EVENTS_MAX

_LAST_TURN = text(
    "SELECT last_turn FROM conversations WHERE user_id = :owner AND id = :conversation"
)
_UNFINISHED = text(
    "SELECT t.id, t.number, (SELECT coalesce(max(e.seq), 0) FROM turn_events AS e"
    " WHERE e.user_id = t.user_id AND e.turn_id = t.id) AS seq"
    " FROM turns AS t WHERE t.user_id = :owner AND t.conversation_id = :conversation"
    f" AND {one_of('t.status', UNFINISHED)} ORDER BY t.number"
)
_SINCE = text(
    "SELECT t.id, t.number, e.seq, e.type, e.data FROM turns AS t"
    " JOIN turn_events AS e ON e.user_id = t.user_id AND e.turn_id = t.id"
    " LEFT JOIN unnest(CAST(:numbers AS int[]), CAST(:seqs AS int[])) AS seen(number, seq)"
    " ON seen.number = t.number"
    " WHERE t.user_id = :owner AND t.conversation_id = :conversation AND t.number >= :first"
    " AND t.number <> ALL (CAST(:over AS int[])) AND e.seq > coalesce(seen.seq, 0)"
    " ORDER BY t.number, e.seq LIMIT :rows_max"
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


async def place_now(connection: Connection, principal: Principal, conversation_id: UUID) -> Place:
    """Where a conversation stands at this moment."""
    values = {"owner": principal.user_id, "conversation": conversation_id}
    last_turn = int(await connection.scalar(_LAST_TURN, values) or 0)
    unfinished = (await connection.execute(_UNFINISHED, values)).all()
    first = unfinished[0].number if unfinished else last_turn + 1
    return Place(
        first,
        {row.number: row.seq for row in unfinished},
        set(range(first, last_turn + 1)) - {row.number for row in unfinished},
    )


async def unfinished_turns(
    connection: Connection, principal: Principal, conversation_id: UUID
) -> list[UUID]:
    """The turns of a conversation that are under way or wait, in order."""
    rows = await connection.execute(
        _UNFINISHED, {"owner": principal.user_id, "conversation": conversation_id}
    )
    return [row.id for row in rows]


async def events_since(
    connection: Connection, principal: Principal, conversation_id: UUID, place: Place
) -> list[StoredEvent]:
    """The events since a place, turn by turn; as many as are read at once."""
    rows = await connection.execute(
        _SINCE,
        {
            "owner": principal.user_id,
            "conversation": conversation_id,
            "first": place.first,
            "over": list(place.over),
            "numbers": list(place.seen.keys()),
            "seqs": list(place.seen.values()),
            "rows_max": EVENTS_MAX,
        },
    )
    return [StoredEvent(row.id, row.number, row.seq, row.type, row.data) for row in rows]
