"""How much of what should be found is among the first five, by words, by meaning, by both."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.factories import Person, person_in
from tests.search.endpoint import Endpoint
from tests.search.writing import wrote

from benchmarks.search.model import Vectors
from taskchat.assistant.embedding import Embedder
from taskchat.embeddings.filling import make_all, queue_all
from taskchat.embeddings.making import EmbeddingMaker
from taskchat.postgres.database import Database
from taskchat.search import repository
from taskchat.search.meaning import Meaning
from taskchat.search.ranking import Scored, fused
from taskchat.search.repository import Asked
from taskchat.settings import Settings

DATA = Path(__file__).parent / "data"
FIRST = 5
"""What somebody sees without scrolling."""


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


async def measure(
    database: Database, settings: Settings, vectors: Vectors | None
) -> dict[str, dict[str, float]]:
    """Recall at 5, by ranking and by what a query has in common with what it should find."""
    endpoint = Endpoint() if vectors is None else Endpoint(vectors=vectors)
    async with endpoint.serving():
        asked = settings.model_copy(
            update={"embedding_model": "bench", "embedding_base_url": endpoint.url}
        )
        embedder = Embedder(asked)
        person = await person_in(database)
        messages = lines("messages.jsonl")
        await wrote(database, person, *[message["text"] for message in messages])
        await queue_all(database, embedder.key)
        maker = EmbeddingMaker(database, embedder, asked)
        await make_all(database, maker, embedder.key, progress=lambda _: None)
        try:
            return await _recalls(database, asked, embedder, person)
        finally:
            await embedder.close()


async def _recalls(
    database: Database, settings: Settings, embedder: Embedder, person: Person
) -> dict[str, dict[str, float]]:
    ids = {message["text"]: message["id"] for message in lines("messages.jsonl")}
    meaning = Meaning(database, embedder, settings)
    found: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for query in lines("queries.jsonl"):
        asked = Asked(query["q"], ("message",), None, None)
        by_words = await repository.find_words(
            database, person.principal, asked, languages=settings.languages, each_max=200
        )
        by_meaning = await meaning.ranking(person.principal, asked) or ()
        for name, ranking in (
            ("words", fused(by_words)),
            ("meaning", fused(by_meaning)),
            ("fused", fused(by_words, by_meaning)),
        ):
            shown = await _ids(database, settings, person, asked, ranking[:FIRST], ids)
            share = len(shown & set(query["finds"])) / len(query["finds"])
            for kind in (query["by"], "all"):
                found[name][kind].append(share)
    return {
        name: {kind: sum(shares) / len(shares) for kind, shares in sorted(kinds.items())}
        for name, kinds in found.items()
    }


async def _ids(
    database: Database,
    settings: Settings,
    person: Person,
    asked: Asked,
    ranking: Sequence[Scored],
    ids: dict[str, int],
) -> set[int]:
    """The numbers of the messages in a ranking."""
    things = [one.found for one in ranking]
    shown = await repository.show(
        database, person.principal, asked.text, things, languages=settings.languages
    )
    assert all(isinstance(one.message_id, UUID) for one in things)
    return {ids[one.said] for one in shown.values()}
