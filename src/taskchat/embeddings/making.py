"""Makes what vectors lack: in batches, with no connection held while the model is asked.

Any process takes what waits, by a lease that ends if it dies. A model that can't be asked is left
alone for longer each time, and as long as it asks for. If it takes none of a batch, smaller ones
follow, until the text that it does not take stands alone.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from taskchat.assistant.embedding import Embedder, EmbeddingError, EmbeddingRefused
from taskchat.embeddings import repository
from taskchat.embeddings.repository import Place
from taskchat.errors import DatabaseError
from taskchat.postgres.database import Database
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal
from taskchat.settings import Settings
from taskchat.telemetry import metrics
from taskchat.texts import is_visible

log = structlog.get_logger()

EVERY_S: Final = 5.0
"""How often to look for messages without a vector: until then they are found by their words."""

REST_S: Final = 5.0
"""How long a model that failed is left alone; twice as long each time."""

REST_S_MAX: Final = 300.0
"""A model that is away for hours need not be asked more often."""

LEASE_MARGIN_S: Final = 60.0
"""What a lease lasts longer than asking may: reading and writing wait for everybody else."""


class EmbeddingMaker:
    """Makes vectors of messages.

    Args:
        database: Where they are kept.
        embedder: The model.
        settings: For the limits.
    """

    def __init__(self, database: Database, embedder: Embedder, settings: Settings) -> None:
        self._database = database
        self._embedder = embedder
        self._batch_max = self._batch = settings.embedding_batch_max
        self._chars_max = settings.embedding_message_chars_max
        self._timeout_s = settings.embedding_timeout_s
        self._lease_s = LEASE_MARGIN_S + self._timeout_s
        self._rests_until = float("-inf")
        self._rest_s = REST_S
        self._told_of_lack = False
        self.failure: EmbeddingError | None = None
        """Why the model gave no vectors when it was last asked; None if it did."""

    async def work(self) -> None:
        """Make what there is to make, unless the model is being left alone.

        Raises:
            DatabaseError: the database is away, or too busy.
        """
        if not await self._can_work() or time.monotonic() < self._rests_until:
            return
        while await self.make_some() and self.failure is None:
            pass

    async def make_some(self) -> int:
        """Make one batch.

        Returns:
            How many messages were taken from the queue; 0 if nothing waits.

        Raises:
            DatabaseError: the database is away, or too busy.
        """
        model, began = self._embedder.key, time.monotonic()
        async with self._database.spare_transaction() as connection:
            places = await repository.claim(
                connection, model, rows_max=self._batch, lease_s=self._lease_s
            )
        if not places:
            return 0
        texts = await self._texts(places)
        # A model has nothing to say of what nobody sees.
        refused = [place for place, said in texts.items() if not is_visible(said)]
        asked = [place for place in texts if place not in refused]
        vectors: Sequence[Sequence[float]] = ()
        try:
            if asked:
                vectors = await self._embedder.vectors(
                    [texts[place] for place in asked], timeout_s=self._timeout_s
                )
        except asyncio.CancelledError:
            # Who goes on need not wait for the lease to end.
            with contextlib.suppress(DatabaseError):
                await self._let_go(places)
            raise
        except EmbeddingRefused as error:
            self.failure = None
            if len(asked) > 1:
                self._batch = max(1, len(places) // 4)
                await self._let_go(places)
                return len(places)
            log.warning("embeddings.refused", reason=error.reason)
            refused += asked
        except EmbeddingError as error:
            self._failed(error)
            await self._let_go(places)
            return len(places)
        made = dict(zip(asked, vectors, strict=False))
        for user_id, of_user in _by_user(made).items():
            principal = Principal(user_id)
            async with self._database.transaction(principal, Precedence.SPARE) as connection:
                await repository.keep(connection, principal, model, of_user)
        if refused:
            async with self._database.spare_transaction() as connection:
                await repository.leave_alone(connection, model, refused)
        self._batch = min(self._batch_max, self._batch * 2)
        self.failure, self._rest_s = None, REST_S
        metrics.EMBEDDINGS.labels("made").inc(len(made))
        metrics.EMBEDDINGS.labels("refused").inc(len(refused))
        log.info(
            "embeddings.made",
            messages=len(made),
            refused=len(refused),
            duration_ms=round((time.monotonic() - began) * 1000),
        )
        return len(places)

    async def _can_work(self) -> bool:
        async with self._database.spare_transaction() as connection:
            has_vectors = await repository.has_vectors(connection)
            if has_vectors:
                await repository.want(connection, self._embedder.key)
        if not has_vectors and not self._told_of_lack:
            log.warning("embeddings.no_extension")
        self._told_of_lack = not has_vectors
        return has_vectors

    async def _texts(self, places: Sequence[Place]) -> Mapping[Place, str]:
        """What the messages say, without those that are gone."""
        texts: dict[Place, str] = {}
        of_users: defaultdict[str, list[UUID]] = defaultdict(list)
        for place in places:
            of_users[place.user_id].append(place.message_id)
        for user_id, messages in of_users.items():
            principal = Principal(user_id)
            async with self._database.transaction(principal, Precedence.SPARE) as connection:
                found = await repository.read_texts(
                    connection, principal, messages, chars_max=self._chars_max
                )
            texts |= {Place(user_id, message): said for message, said in found.items()}
        return texts

    def _failed(self, error: EmbeddingError) -> None:
        self.failure = error
        rest_s = min(REST_S_MAX, max(self._rest_s, error.retry_after_s))
        self._rests_until = time.monotonic() + rest_s
        metrics.EMBEDDING_FAILURES.labels(error.reason).inc()
        log.warning("embeddings.failed", reason=error.reason, rest_s=rest_s)
        self._rest_s = min(REST_S_MAX, self._rest_s * 2)

    async def _let_go(self, places: Sequence[Place]) -> None:
        async with self._database.spare_transaction() as connection:
            await repository.let_go(connection, self._embedder.key, places)


def _by_user(
    made: Mapping[Place, Sequence[float]],
) -> Mapping[str, dict[UUID, Sequence[float]]]:
    by_user: defaultdict[str, dict[UUID, Sequence[float]]] = defaultdict(dict)
    for place, vector in made.items():
        by_user[place.user_id][place.message_id] = vector
    return by_user
