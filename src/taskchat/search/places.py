"""How far a ranking has been read, and where it goes on: it is made anew for each page.

What stood last on a page may be gone by the next one. Then it is ranked once more by the scores
that it had, so that what stood behind it is neither left out nor shown twice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from taskchat.http.pages import decode_cursor, encode_cursor, foreign_cursor
from taskchat.search.ranking import Found, Scored, fused

Rankings = Sequence[Sequence[Scored] | None]
"""By words and by meaning; None if meaning can't be compared."""

NO_SCORE: Final = ""
"""Of what is not in a ranking."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far the rankings have been read as one.

    Attributes:
        until: What came later is not in them.
        number: How many things were read.
        last: The last of them, by `Found.key`.
        made_at: When that was made.
        scores: What it had in each ranking; None of one that did not have it.
    """

    until: datetime
    number: int
    last: str
    made_at: datetime
    scores: Sequence[float | None]


def place_of(last: Found, rankings: Rankings, *, number: int, until: datetime) -> Place:
    """The place behind a thing, the last of so many."""
    scores = [
        next((one.score for one in ranking or () if one.found.key == last.key), None)
        for ranking in rankings
    ]
    return Place(until, number, last.key, last.created_at, scores)


def rest(rankings: Rankings, place: Place | None) -> list[Scored]:
    """What follows a place, the best first; all there is if there is no place."""
    if place is None:
        return fused(*(ranking or () for ranking in rankings))
    if not any(one.found.key == place.last for ranking in rankings for one in ranking or ()):
        gone = _thing(place)
        rankings = [
            ranking if ranking is None or score is None else [*ranking, Scored(gone, score)]
            for ranking, score in zip(rankings, place.scores, strict=True)
        ]
    whole = fused(*(ranking or () for ranking in rankings))
    keys = [one.found.key for one in whole]
    # It is nowhere if it was found by meaning, which can't be compared any more.
    return whole[keys.index(place.last) + 1 if place.last in keys else place.number :]


def encode_place(digest: str, place: Place) -> str:
    """The cursor of a place in the ranking of the search with this digest."""
    return encode_cursor(
        digest,
        place.until.isoformat(),
        place.number,
        place.last,
        place.made_at.isoformat(),
        *(NO_SCORE if score is None else repr(score) for score in place.scores),
    )


def decode_place(cursor: str, digest: str) -> Place:
    """The place that a cursor of this search names.

    Raises:
        InvalidRequest: it is not one of this search.
    """
    of, until, number, last, made_at, *scores = decode_cursor(
        cursor, str, str, int, str, str, str, str, field="after"
    )
    try:
        place = Place(
            _moment(until),
            int(number),
            str(last),
            _moment(made_at),
            [None if score == NO_SCORE else float(score) for score in scores],
        )
        known = _thing(place).key == last
    except (ValueError, OverflowError):
        raise foreign_cursor("after") from None
    if of != digest or not known or not all(map(math.isfinite, filter(None, place.scores))):
        raise foreign_cursor("after")
    return place


def _moment(said: str | int) -> datetime:
    return datetime.fromisoformat(str(said)).astimezone(UTC)


def _thing(place: Place) -> Found:
    """The thing that a place names, as it stands in a ranking.

    Raises:
        ValueError: there is no such thing.
    """
    kind, _, number = place.last.partition(" ")
    match kind:
        case "message":
            return Found("message", None, None, UUID(number), None, place.made_at)
        case "conversation":
            return Found("conversation", UUID(number), None, None, None, place.made_at)
        case "task":
            return Found("task", None, None, None, int(number), place.made_at)
    raise ValueError("no kind of thing")
