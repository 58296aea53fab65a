"""How far somebody has followed: each event once, in order, whatever comes first."""

import random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from taskchat.live.rows import Place
from taskchat.turns.events import StoredEvent


def event(number: int, seq: int, *, last: bool = False) -> StoredEvent:
    type_ = "turn_completed" if last else "stream_chunk"
    return StoredEvent(UUID(int=number), number, seq, type_, f"{number}.{seq}")


def turn(number: int, length: int) -> list[StoredEvent]:
    return [event(number, seq, last=seq == length) for seq in range(1, length + 1)]


def test_what_was_seen_is_not_new() -> None:
    place = Place(1)
    events = turn(1, 4)
    assert place.take(events[:2]) == events[:2]
    assert place.take(events[:3]) == events[2:3]
    assert place.take(events[:3]) == []
    assert place.take(events) == events[3:]
    assert place.take(events) == []
    assert (place.first, place.seen, place.over) == (2, {}, set())


def test_what_is_missing_is_noticed() -> None:
    place = Place(1)
    assert place.take([event(1, 2)]) is None
    assert place.take([event(1, 1)])
    assert place.take([event(1, 3)]) is None


def test_a_later_turn_may_be_over_first() -> None:
    place = Place(1)
    place.take(turn(1, 5)[:2])
    assert place.take(turn(2, 3)) == turn(2, 3)
    assert (place.first, place.seen, place.over) == (1, {1: 2}, {2})
    place.take(turn(1, 5))
    assert (place.first, place.seen, place.over) == (3, {}, set())


def test_going_back_makes_what_followed_new_and_keeps_what_came_before() -> None:
    place = Place(1)
    place.take(turn(1, 5)[:2])
    place.take(turn(2, 3))
    place.take(turn(3, 4)[:1])
    back = place.rewound(2, 1)
    assert (back.first, back.seen, back.over) == (1, {1: 2, 2: 1}, set())
    assert back.take(turn(2, 3)) == turn(2, 3)[1:]
    assert back.take(turn(3, 4)) == turn(3, 4)
    # What stands is not changed by one that goes back.
    assert place.seen == {1: 2, 3: 1}
    far = Place(9).rewound(4, 0)
    assert far.first == 4
    assert far.take(turn(4, 2)) == turn(4, 2)


@given(st.integers(0, 2**32), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_however_events_arrive_each_is_taken_once_and_in_order(
    seed: int, lengths: list[int]
) -> None:
    turns = [turn(number, length) for number, length in enumerate(lengths, 1)]
    chance, place, taken = random.Random(seed), Place(1), []
    while place.first <= len(turns):
        events = chance.choice(turns)
        start = chance.randrange(len(events))
        batch = events[start : start + chance.randint(1, 3)]
        fresh = place.take(batch)
        if fresh is None:
            fresh = place.take(events[: start + 1]) or []
        taken += fresh
    for events in turns:
        assert [one for one in taken if one.number == events[0].number] == events
