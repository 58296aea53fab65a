"""Asks a model for vectors of texts, over OpenAI's interface, and trusts nothing in the answer."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any, Final

from openai import APIStatusError, AsyncOpenAI, OpenAIError

from taskchat.assistant.models.vendor import vendor_client
from taskchat.assistant.traced import of_embeddings
from taskchat.settings import Settings
from taskchat.telemetry.traces import inner_span

REFUSALS: Final = frozenset({400, 413, 422})
"""Statuses that are about the texts: others, or fewer, may well be taken."""

LASTING: Final = frozenset({401, 403, 404})
"""Statuses that stay until somebody configures something else."""


class EmbeddingError(Exception):
    """There are no vectors.

    Attributes:
        reason: HTTP status, “timeout”, or kind of error.
        retry_after_s: For how long the model wants to be left alone; 0 if it says nothing.
        lasts: Whether asking again is of no use.
    """

    def __init__(self, reason: str, *, retry_after_s: float = 0.0, lasts: bool = False) -> None:
        super().__init__(f"The embedding model gave no vectors: {reason}.")
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.lasts = lasts


class EmbeddingRefused(EmbeddingError):
    """The model does not take these texts; asked for others, it may answer."""


class Embedder:
    """An embedding model.

    Args:
        settings: Which model, and where it is; it must be set.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.embedding_model is not None  # noqa: S101 - the caller's to look at
        self.model = settings.embedding_model
        self._dimensions = settings.embedding_dimensions
        self.key = settings.embedding_key
        """What its vectors are known by: those of other lengths are another model's."""
        self._client = _client(settings)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def vectors(self, texts: Sequence[str], *, timeout_s: float) -> list[list[float]]:
        """The texts' vectors, in their order and all of one length.

        Args:
            texts: At least one; none of them blank.
            timeout_s: The longest that this may take.

        Raises:
            EmbeddingRefused: the model takes no such texts.
            EmbeddingError: it did not answer, or answered what are no vectors.
        """
        with inner_span(f"embeddings {self.model}", of_embeddings(self.model), kind="client"):
            return await self._asked(texts, timeout_s)

    async def _asked(self, texts: Sequence[str], timeout_s: float) -> list[list[float]]:
        options = {"dimensions": self._dimensions} if self._dimensions else {}
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._client.embeddings.create(
                    model=self.model,
                    input=list(texts),
                    # The client's own default is not known to every vendor.
                    encoding_format="float",
                    **options,  # type: ignore[arg-type]
                )
        except TimeoutError:
            raise EmbeddingError("timeout") from None
        except APIStatusError as error:
            kind = EmbeddingRefused if error.status_code in REFUSALS else EmbeddingError
            raise kind(
                str(error.status_code),
                retry_after_s=_retry_after_s(error),
                lasts=error.status_code in LASTING,
            ) from error
        except (OpenAIError, ValueError) as error:
            raise EmbeddingError(type(error).__name__) from error
        return _read(answer, len(texts))


def _retry_after_s(error: APIStatusError) -> float:
    """What the answer says of when to ask again; 0 if that is not a number of seconds."""
    said = error.response.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdecimal() else 0.0


def _client(settings: Settings) -> AsyncOpenAI:
    options: dict[str, Any] = {}
    if settings.embedding_base_url:
        options["base_url"] = settings.embedding_base_url
    if settings.embedding_api_key:
        options["api_key"] = settings.embedding_api_key.get_secret_value()
    return vendor_client(settings, **options)


def _read(answer: Any, count: int) -> list[list[float]]:
    """The vectors of an answer, of which nothing has been checked.

    Raises:
        EmbeddingError: they are not as many vectors of one length as there were texts.
    """
    listed = getattr(answer, "data", None)
    if not isinstance(listed, list) or len(listed) != count:
        raise EmbeddingError("not as many vectors as texts")
    by_index: dict[int, list[float]] = {}
    for place, item in enumerate(listed):
        index, vector = getattr(item, "index", None), getattr(item, "embedding", None)
        by_index[index if isinstance(index, int) else place] = _vector(vector)
    if set(by_index) != set(range(count)):
        raise EmbeddingError("indexes that are not those of the texts")
    vectors = [by_index[index] for index in range(count)]
    if len({len(vector) for vector in vectors}) != 1:
        raise EmbeddingError("vectors of different lengths")
    return vectors


DIMENSIONS_MAX: Final = 16_000
"""As many as Postgres' extension compares."""


def _vector(found: object) -> list[float]:
    if not isinstance(found, list) or not 0 < len(found) <= DIMENSIONS_MAX:
        raise EmbeddingError("no vector")
    if not all(type(one) in (int, float) and abs(one) < 1e30 for one in found):
        raise EmbeddingError("a vector of what are no numbers")
    length = math.sqrt(sum(one * one for one in found))
    if not length:
        raise EmbeddingError("a vector without a direction")
    return [one / length for one in found]
