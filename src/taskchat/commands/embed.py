"""`taskchat embed`: the vectors of what was said before there was a model for them."""

import sys
from dataclasses import dataclass

import click

from taskchat.assistant.embedding import Embedder
from taskchat.embeddings import filling
from taskchat.embeddings.making import EmbeddingMaker
from taskchat.embeddings.repository import has_vectors
from taskchat.errors import DatabaseError
from taskchat.postgres.database import Database
from taskchat.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended.

    Attributes:
        done: Whether nothing lacks a vector.
        text: What is said of it.
    """

    done: bool
    text: str


async def fill(settings: Settings, *, forget: bool) -> Outcome:
    """Make the vectors of all messages that lack one, and show how far it is.

    Args:
        settings: With the model, and a database of the schema of this release.
        forget: Whether the vectors of all other models are deleted once all are made.
    """
    assert settings.database_url is not None  # noqa: S101 - the command has looked
    database = Database(settings.database_url.get_secret_value(), settings)
    embedder = Embedder(settings)
    try:
        return await _filled(database, embedder, settings, forget=forget)
    except DatabaseError as error:
        return Outcome(False, f"{error.message} What was made is kept.")
    finally:
        await embedder.close()
        await database.close()


async def _filled(
    database: Database, embedder: Embedder, settings: Settings, *, forget: bool
) -> Outcome:
    model = embedder.key
    async with database.system_transaction() as connection:
        if not await has_vectors(connection):
            return Outcome(
                False, "The database has no extension vector; run CREATE EXTENSION vector in it."
            )
    await filling.queue_all(database, model)
    waiting, _ = await filling.count_unmade(database, model)
    maker = EmbeddingMaker(database, embedder, settings)
    with click.progressbar(length=waiting, label="Messages", file=sys.stderr) as bar:
        done = await filling.make_all(
            database, maker, model, progress=lambda left: bar.update(waiting - left - bar.pos)
        )
    left, left_alone = await filling.count_unmade(database, model)
    if not done:
        reason = maker.failure.reason if maker.failure else "unknown"
        return Outcome(
            False, f"{model} gave no vectors ({reason}); {left} messages wait. Run it again."
        )
    if left_alone:
        return Outcome(
            False, f"{waiting - left_alone} made; {model} does not take {left_alone} messages."
        )
    forgotten = await filling.forget_others(database, model) if forget else 0
    told = f"; {forgotten} of other models deleted" if forget else ""
    return Outcome(True, f"{waiting} made by {model}{told}")
