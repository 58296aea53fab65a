"""A search from what was typed to a page: rankings, one ranking of them, and what is shown of it.

The ranking is made anew for each page, of what there was when the first page was asked for. So a
message that is written meanwhile moves nothing, and what is deleted is left out.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from taskchat.errors import Detail, InvalidRequest
from taskchat.moments import utc_now
from taskchat.postgres.database import Database
from taskchat.principal import Principal
from taskchat.search import repository
from taskchat.search.excerpts import excerpt_of
from taskchat.search.meaning import Meaning
from taskchat.search.places import decode_place, encode_place, place_of, rest
from taskchat.search.ranking import Found, Scored
from taskchat.search.repository import Asked, Shown
from taskchat.search.schemas import Hit, HitPage
from taskchat.search.spelling import corrected
from taskchat.settings import Settings
from taskchat.telemetry import metrics
from taskchat.texts import is_storable

DIGEST_CHARS: Final = 12
"""Enough to notice that a cursor belongs to another search."""


class Search:
    """Searches a user's messages, conversations and tasks.

    Args:
        database: Where they are.
        meaning: What compares meaning; None if nothing does.
        settings: For languages and limits.
    """

    def __init__(self, database: Database, meaning: Meaning | None, settings: Settings) -> None:
        self._database = database
        self._meaning = meaning
        self._languages = settings.languages
        self._chars_max = settings.search_chars_max
        self._ranked_max = settings.search_ranked_max

    def checked(self, q: str) -> str:
        """What is searched for; of white space at its end one is left, for the last word is whole.

        Raises:
            InvalidRequest: there is nothing in it, too much, or what no text can hold.
        """
        text = q.strip()
        problem = None
        if not is_storable(text):
            problem = "must not contain NUL or unpaired surrogates"
        elif not text:
            problem = "must not be empty"
        elif len(text) > self._chars_max:
            problem = f"must have at most {self._chars_max} characters"
        if problem:
            raise InvalidRequest(f"The parameter q {problem}.", details=[Detail("q", problem)])
        return text + " " * (q != q.rstrip())

    async def page(
        self, principal: Principal, asked: Asked, *, limit: int, after: str | None
    ) -> HitPage:
        """One page of what is found, the best first.

        Args:
            principal: Whose things are searched.
            asked: What for; `until` is the cursor's.
            limit: The most on the page.
            after: The cursor of the page before.

        Raises:
            InvalidRequest: the cursor is not one of this search.
            DatabaseError: the database is away or too slow.
        """
        place = None if after is None else decode_place(after, _digest(asked))
        began = utc_now()
        if place is not None:
            asked = replace(asked, until=place.until)
        by_words, by_meaning = await self._rankings(principal, asked)
        instead = None
        if not by_words:
            instead, by_words = await self._corrected(principal, asked)
        metrics.SEARCHES.labels("words" if by_meaning is None else "words and meaning").inc()
        rankings = (by_words, by_meaning)
        follows = rest(rankings, place)
        here = follows[:limit]
        shown = await repository.show(
            self._database,
            principal,
            instead or asked.text,
            [one.found for one in here],
            languages=self._languages,
        )
        has_more = len(follows) > limit
        cursor = None
        if has_more:
            # By the database's clock or by this one: what is on the page was there.
            newest = max(one.found.created_at for one in follows)
            until = asked.until or max(began, newest)
            number = len(here) + (place.number if place else 0)
            last = place_of(here[-1].found, rankings, number=number, until=until)
            cursor = encode_place(_digest(asked), last)
        return HitPage(
            data=[_hit(one, shown[one.found.key]) for one in here if one.found.key in shown],
            has_more=has_more,
            next_cursor=cursor,
            semantic=by_meaning is not None,
            corrected=instead and instead.strip(),
        )

    async def _rankings(
        self, principal: Principal, asked: Asked
    ) -> tuple[Sequence[Scored], Sequence[Scored] | None]:
        """What is found by words, and by meaning; None if meaning can't be compared."""
        words = self._by_words(principal, asked)
        if self._meaning is None or "message" not in asked.kinds:
            return await words, None
        by_meaning = asyncio.ensure_future(self._meaning.ranking(principal, asked))
        try:
            return await words, await by_meaning
        finally:
            by_meaning.cancel()

    async def _by_words(self, principal: Principal, asked: Asked) -> Sequence[Scored]:
        return await repository.find_words(
            self._database,
            principal,
            asked,
            languages=self._languages,
            each_max=self._ranked_max,
        )

    async def _corrected(
        self, principal: Principal, asked: Asked
    ) -> tuple[str | None, Sequence[Scored]]:
        """What may be meant by words that nothing has, and what is found by it."""
        instead = corrected(
            await repository.find_vocabulary(
                self._database,
                principal,
                asked,
                languages=self._languages,
                each_max=self._ranked_max,
            )
        )
        if instead is None:
            return None, ()
        found = await self._by_words(principal, replace(asked, text=instead))
        return (instead, found) if found else (None, ())


def _hit(scored: Scored, shown: Shown) -> Hit:
    found = scored.found
    return Hit(
        **{name: getattr(found, name) for name in Found.__slots__},
        role=shown.role,
        title=shown.title,
        excerpt=excerpt_of(shown.said, shown.words),
        score=scored.score,
    )


def _digest(asked: Asked) -> str:
    """What a search is known by in its cursors."""
    said = "\0".join([asked.text, *sorted(asked.kinds), str(asked.conversation_id)])
    return hashlib.sha256(said.encode()).hexdigest()[:DIGEST_CHARS]
