"""Finding messages by meaning: never in the way of finding them by words."""

import re
import time
from collections.abc import Sequence
from typing import Final

import structlog

from taskchat.assistant.embedding import Embedder, EmbeddingError, EmbeddingRefused
from taskchat.embeddings.repository import nearest
from taskchat.postgres.database import Database
from taskchat.principal import Principal
from taskchat.search.ranking import Found, Scored
from taskchat.search.repository import Asked
from taskchat.settings import Settings
from taskchat.telemetry import metrics
from taskchat.texts import is_visible

log = structlog.get_logger()

REST_S: Final = 10.0
"""After a failure searches go by words alone for so long, and none of them waits."""

REST_S_MAX: Final = 300.0
"""Nor for longer, whatever the model asks for."""

TAKEN_AS_IT_IS: Final = re.compile(r'["“”„«»]|(?:^|\s)-+\w')
"""A phrase, or a word that is to be left out: a meaning has neither."""


class Meaning:
    """Compares what is searched for with the vectors of a user's messages.

    Args:
        database: Where they are.
        embedder: The model that made them.
        settings: For limits.
    """

    def __init__(self, database: Database, embedder: Embedder, settings: Settings) -> None:
        self._database = database
        self._embedder = embedder
        self._timeout_s = settings.embedding_query_timeout_s
        self._compared_max = settings.search_compared_max
        self._found_max = settings.search_ranked_max
        self._similarity_min = settings.search_similarity_min
        self._rests_until = float("-inf")

    async def ranking(self, principal: Principal, asked: Asked) -> Sequence[Scored] | None:
        """Messages by the nearness of their meaning; None if it is not compared.

        Raises:
            DatabaseError: the database is away or too slow.
        """
        vector = await self._vector(asked.text)
        if vector is None:
            return None
        rows = await nearest(
            self._database,
            principal,
            self._embedder.key,
            vector,
            conversation=asked.conversation_id,
            until=asked.until,
            compared_max=self._compared_max,
            found_max=self._found_max,
            similarity_min=self._similarity_min,
        )
        if rows is None:
            return None
        return [Scored(Found(*(row[name] for name in Found.__slots__)), row.score) for row in rows]

    async def _vector(self, text: str) -> Sequence[float] | None:
        has_meaning = is_visible(text) and not TAKEN_AS_IT_IS.search(text)
        if not has_meaning or time.monotonic() < self._rests_until:
            return None
        try:
            [vector] = await self._embedder.vectors([text], timeout_s=self._timeout_s)
        except EmbeddingError as error:
            if not isinstance(error, EmbeddingRefused):
                rest_s = min(REST_S_MAX, max(REST_S, error.retry_after_s))
                self._rests_until = time.monotonic() + rest_s
            metrics.EMBEDDING_FAILURES.labels(error.reason).inc()
            log.warning("search.words_only", reason=error.reason)
            return None
        return vector
