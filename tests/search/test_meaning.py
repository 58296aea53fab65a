"""Searching by meaning: vectors that are made after a turn, and a ranking made of two."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from structlog.testing import capture_logs
from tests.conftest import AppMaker, MakeDatabase, in_a_task_of_its_own
from tests.factories import Person, person_in
from tests.search.endpoint import Endpoint
from tests.search.writing import found, joined, searched, wrote

from taskchat.assistant.embedding import Embedder, EmbeddingError
from taskchat.embeddings import filling, repository
from taskchat.embeddings.making import EmbeddingMaker
from taskchat.moments import new_id
from taskchat.postgres.connect import open_engine
from taskchat.postgres.database import Database
from taskchat.settings import Settings


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    async with endpoint.serving():
        yield endpoint


@pytest.fixture(autouse=True)
def _at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors are made when a test says so, but for the test of the job that makes them."""
    monkeypatch.setattr("taskchat.app.EMBEDDING_S", 3600)


@pytest.fixture
async def configured(
    settings: Settings, endpoint: Endpoint, database: Database
) -> AsyncIterator[Settings]:
    """A model of its own for each test: what others have queued is none of its business."""
    configured = settings.model_copy(
        update={"embedding_model": f"m-{new_id().hex}", "embedding_base_url": endpoint.url}
    )
    yield configured
    await forget_queue(database, configured)


@contextlib.asynccontextmanager
async def maker_of(database: Database, settings: Settings) -> AsyncIterator[EmbeddingMaker]:
    embedder = Embedder(settings)
    try:
        yield EmbeddingMaker(database, embedder, settings)
    finally:
        await embedder.close()


@pytest.fixture
async def fresh_database(
    settings: Settings, migrated_database: MakeDatabase
) -> AsyncIterator[Database]:
    """One in which nothing was said: filling up goes over all that was."""
    async with migrated_database() as url:
        database = Database(url, settings)
        yield database
        await database.close()


@pytest.fixture
async def maker(database: Database, configured: Settings) -> AsyncIterator[EmbeddingMaker]:
    async with maker_of(database, configured) as maker:
        # From here on messages are queued.
        await maker.work()
        yield maker


@pytest.fixture
async def client(
    running_app: AppMaker, configured: Settings, maker: EmbeddingMaker
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that compares meaning; what it lacks is made when a test says so."""
    app = running_app(
        embedding_model=configured.embedding_model,
        embedding_base_url=configured.embedding_base_url,
    )
    async with in_a_task_of_its_own(app) as running:
        yield running.client


@pytest.fixture
async def person(database: Database) -> Person:
    return await person_in(database)


async def unmade(database: Database, settings: Settings) -> tuple[int, int]:
    return await filling.count_unmade(database, settings.embedding_key)


async def forget_queue(database: Database, settings: Settings) -> None:
    """What is written from here on is queued for this model no longer."""
    async with database.system_transaction() as connection:
        await connection.execute(
            text("DELETE FROM embedding_models WHERE starts_with(id, :model)"),
            {"model": settings.embedding_model},
        )


async def test_what_is_meant_is_found_without_its_words(
    client: httpx.AsyncClient, database: Database, maker: EmbeddingMaker, person: Person
) -> None:
    await wrote(database, person, "my tooth", "cheese", "the beach")
    page = await searched(client, person, "dentist ")
    # There is no vector yet, and none of the words.
    assert (page["data"], page["semantic"]) == ([], True)
    await maker.work()
    page = await searched(client, person, "dentist ")
    [hit] = page["data"]
    assert hit["excerpt"] == [{"text": "my tooth", "match": False}]
    assert (hit["kind"], page["semantic"]) == ("message", True)
    for more in ({"kind": "message"}, {"conversation_id": hit["conversation_id"]}):
        assert await found(client, person, "dentist ", **more) == ["my tooth"]
    assert await found(client, person, "dentist ", conversation_id=str(new_id())) == []
    page = await searched(client, person, "dentist ", kind="task")
    assert (page["data"], page["semantic"]) == ([], False)


async def test_what_both_rankings_have_comes_first_and_nothing_comes_twice(
    client: httpx.AsyncClient, database: Database, maker: EmbeddingMaker, person: Person
) -> None:
    await wrote(database, person, "milk", "cheese dairy", "milk of magnesia and other things else")
    await maker.work()
    page = await searched(client, person, "milk")
    texts = ["".join(part["text"] for part in hit["excerpt"]) for hit in page["data"]]
    assert texts[0] == "milk"
    assert sorted(texts) == sorted(
        {"milk", "cheese dairy", "milk of magnesia and other things else"}
    )
    assert page["data"][0]["score"] == pytest.approx(1 / 61 + 1 / 62)


@pytest.mark.parametrize("asked", ['"dentist"', "dentist -tooth ", "-tooth dentist ", "«dentist»"])
async def test_what_is_to_be_taken_as_it_is_is_looked_for_by_words_alone(
    client: httpx.AsyncClient,
    database: Database,
    maker: EmbeddingMaker,
    person: Person,
    endpoint: Endpoint,
    asked: str,
) -> None:
    await wrote(database, person, "my tooth", "the dentist")
    await maker.work()
    before = len(endpoint.asked)
    page = await searched(client, person, asked)
    assert ([joined(hit) for hit in page["data"]], page["semantic"]) == (["the dentist"], False)
    assert len(endpoint.asked) == before
    for whole in ("well-known dentist ", "dentist - tooth "):
        assert (await searched(client, person, whole))["semantic"] is True


async def test_pages_of_both_rankings_join(
    client: httpx.AsyncClient, database: Database, maker: EmbeddingMaker, person: Person
) -> None:
    await wrote(database, person, *["milk", "cheese", "dairy", "milk two", "cheese three"])
    await maker.work()
    whole = await found(client, person, "milk")
    assert len(whole) == 5
    seen: list[str] = []
    after: dict[str, Any] = {}
    for count in (2, 2, 1):
        page = await searched(client, person, "milk", limit=2, **after)
        seen += ["".join(part["text"] for part in hit["excerpt"]) for hit in page["data"]]
        after = {"after": page["next_cursor"]}
        assert len(page["data"]) == count
        await wrote(database, person, "milk dairy cheese")
        await maker.work()
    assert seen == whole


async def test_vectors_that_are_made_while_somebody_reads_on_move_nothing(
    client: httpx.AsyncClient, database: Database, maker: EmbeddingMaker, person: Person
) -> None:
    await wrote(database, person, *["milk", "cheese", "dairy milk", "milk two", "milk of cheese"])
    whole = await found(client, person, "milk")
    assert len(whole) == 4
    page = await searched(client, person, "milk", limit=2)
    await maker.work()
    rest = await found(client, person, "milk", after=page["next_cursor"])
    assert [joined(hit) for hit in page["data"]] + rest == whole
    assert len(await found(client, person, "milk")) == 5


async def test_a_reply_is_queued_with_its_message_in_the_transactions_of_the_turn(
    client: httpx.AsyncClient, maker: EmbeddingMaker, superuser: AsyncEngine, configured: Settings
) -> None:
    person = Person()
    await person.say(client, "Add task: see the tooth")
    async with superuser.connect() as connection:
        queued = await connection.execute(
            text(
                "SELECT m.role FROM message_embeddings AS e JOIN messages AS m"
                " ON m.user_id = e.user_id AND m.id = e.message_id"
                " WHERE e.user_id = :owner AND e.model = :model ORDER BY m.position"
            ),
            {"owner": person.user_id, "model": configured.embedding_key},
        )
        assert [row.role for row in queued] == ["user", "assistant"]
    await maker.work()
    hits = (await searched(client, person, "teeth ", kind="message"))["data"]
    assert {hit["role"] for hit in hits} == {"user", "assistant"}


async def test_nobody_finds_what_another_user_meant(
    client: httpx.AsyncClient, database: Database, maker: EmbeddingMaker, person: Person
) -> None:
    stranger = await person_in(database)
    await wrote(database, person, "my secret tooth")
    await maker.work()
    assert await found(client, person, "dentist ") == ["my secret tooth"]
    assert await found(client, stranger, "dentist ") == []
    # Nor where the SQL forgets to name the owner.
    async with database.transaction(stranger.principal) as connection:
        rows = await connection.execute(text("SELECT * FROM message_embeddings"))
        assert rows.all() == []


async def test_without_a_model_nothing_is_queued_or_asked(
    running_app: AppMaker, database: Database, superuser: AsyncEngine
) -> None:
    async with superuser.begin() as connection:
        await connection.execute(text("UPDATE embedding_models SET wanted_until = '-infinity'"))
    person = Person()
    async with running_app() as running:
        await person.say(running.client, "my tooth")
        page = await searched(running.client, person, "dentist")
    assert (page["data"], page["semantic"]) == ([], False)
    async with database.transaction(person.principal) as connection:
        assert await connection.scalar(text("SELECT count(*) FROM message_embeddings")) == 0


async def test_a_service_makes_vectors_by_itself(
    running_app: AppMaker, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskchat.app.EMBEDDING_S", 0.01)
    person = Person()
    async with running_app(
        embedding_model=configured.embedding_model,
        embedding_base_url=configured.embedding_base_url,
    ) as running:
        await person.say(running.client, "cheese")
        # The first one may have come before the model was known to the database.
        async with asyncio.timeout(30):
            while not await found(running.client, person, "milk ", kind="message"):
                await person.say(running.client, "dairy")


# --- a model that fails ---


async def test_a_search_goes_on_with_words_alone_if_the_model_is_away_and_says_so(
    client: httpx.AsyncClient,
    database: Database,
    maker: EmbeddingMaker,
    person: Person,
    endpoint: Endpoint,
) -> None:
    await wrote(database, person, "my tooth", "the dentist")
    await maker.work()
    endpoint.status = 500
    asked = len(endpoint.asked)
    for _ in range(3):
        page = await searched(client, person, "dentist ")
        assert ([hit["excerpt"][0]["text"] for hit in page["data"]], page["semantic"]) == (
            ["the "],
            False,
        )
    # After the first one none waits for it.
    assert len(endpoint.asked) == asked + 1


async def test_a_search_waits_for_the_model_no_longer_than_its_limit(
    running_app: AppMaker, database: Database, configured: Settings, endpoint: Endpoint
) -> None:
    person = await person_in(database)
    await wrote(database, person, "the dentist")
    endpoint.held.clear()
    async with running_app(
        embedding_model=configured.embedding_model,
        embedding_base_url=endpoint.url,
        embedding_query_timeout_s=0.05,
    ) as running:
        page = await searched(running.client, person, "dentist")
    assert (len(page["data"]), page["semantic"]) == (1, False)


async def test_no_connection_is_held_while_the_model_is_asked(
    database: Database, configured: Settings, endpoint: Endpoint, maker: EmbeddingMaker
) -> None:
    single = Database(
        configured.database_url.get_secret_value() if configured.database_url else "",
        configured.model_copy(update={"db_pool_size": 1}),
    )
    person = await person_in(database)
    await wrote(database, person, "my tooth")
    endpoint.held.clear()
    endpoint.arrived.clear()
    async with maker_of(single, configured) as other:
        making = asyncio.create_task(other.make_some())
        async with asyncio.timeout(10):
            await endpoint.arrived.wait()
            async with single.transaction(person.principal) as connection:
                assert await connection.scalar(text("SELECT 1")) == 1
        endpoint.held.set()
        await making
    await single.close()


async def test_what_failed_is_made_when_the_model_is_back(
    database: Database, configured: Settings, endpoint: Endpoint, maker: EmbeddingMaker
) -> None:
    person = await person_in(database)
    await wrote(database, person, "my tooth")
    await forget_queue(database, configured)
    endpoint.status = 503
    for _ in range(10):
        assert await maker.make_some() > 0
        assert maker.failure is not None
        assert maker.failure.reason == "503"
    # It was no attempt of the message's.
    waiting, left_alone = await unmade(database, configured)
    assert (waiting > 0, left_alone) == (True, 0)
    asked = len(endpoint.asked)
    await maker.work()
    assert len(endpoint.asked) == asked, "a model that failed is left alone for a while"
    endpoint.status = 200
    while await maker.make_some():
        pass
    assert maker.failure is None
    assert await unmade(database, configured) == (0, 0)


async def test_a_text_that_the_model_does_not_take_holds_up_no_other(
    database: Database, configured: Settings, endpoint: Endpoint, maker: EmbeddingMaker
) -> None:
    person = await person_in(database)
    await wrote(database, person, *[f"tooth {n}" for n in range(9)], "poison", "\u200b", "teeth")
    await forget_queue(database, configured)
    endpoint.refuses = "poison"
    while await maker.make_some():
        pass
    assert maker.failure is None
    assert await unmade(database, configured) == (0, 2)
    async with database.transaction(person.principal) as connection:
        made = await connection.scalar(
            text(
                "SELECT count(embedding) FROM message_embeddings"
                " WHERE user_id = :owner AND model = :model"
            ),
            {"owner": person.user_id, "model": configured.embedding_key},
        )
    assert made == 10


@pytest.mark.parametrize(
    "answer",
    [
        *({}, [], "text", None, {"data": None}, {"data": []}, {"data": [{}, {}]}),
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]},
        {"data": [{"index": 0, "embedding": [0.0]}, {"index": 1, "embedding": [0.0]}]},
        {"data": [{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [float("nan")]}, {"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1e40]}, {"index": 1, "embedding": [1.0]}]},
    ],
)
async def test_an_answer_of_what_are_no_vectors_is_a_failure_of_the_model(
    configured: Settings, endpoint: Endpoint, answer: Any
) -> None:
    endpoint.answer = answer if answer is not None else 0
    embedder = Embedder(configured)
    with pytest.raises(EmbeddingError):
        await embedder.vectors(["one", "two"], timeout_s=10)
    await embedder.close()


async def test_the_model_is_asked_as_it_is_configured(
    configured: Settings, endpoint: Endpoint, settings: Settings
) -> None:
    embedder = Embedder(
        configured.model_copy(
            update={
                "embedding_dimensions": 8,
                "embedding_api_key": Settings(
                    _env_file=None, embedding_api_key="k"
                ).embedding_api_key,
            }
        )
    )
    await embedder.vectors(["one"], timeout_s=10)
    await embedder.close()
    assert endpoint.bodies[-1] == {
        "model": configured.embedding_model,
        "input": ["one"],
        "encoding_format": "float",
        "dimensions": 8,
    }
    assert endpoint.keys[-1] == "Bearer k"
    assert embedder.key == f"{configured.embedding_model} 8"


# --- several processes ---


async def test_two_processes_make_each_vector_once(
    database: Database, configured: Settings, endpoint: Endpoint, maker: EmbeddingMaker
) -> None:
    person = await person_in(database)
    await wrote(database, person, *[f"tooth {number}" for number in range(40)])
    await forget_queue(database, configured)
    small = configured.model_copy(update={"embedding_batch_max": 3})
    async with maker_of(database, small) as one, maker_of(database, small) as other:

        async def run(maker: EmbeddingMaker) -> None:
            while await maker.make_some():
                pass

        await asyncio.gather(run(one), run(other))
    assert await unmade(database, configured) == (0, 0)
    own = [said for batch in endpoint.asked for said in batch if said.startswith("tooth ")]
    assert sorted(own) == sorted(f"tooth {number}" for number in range(40))
    assert max(map(len, endpoint.asked)) <= 3


async def test_what_a_dead_process_took_is_made_by_another_once_its_lease_ended(
    database: Database, configured: Settings, maker: EmbeddingMaker, superuser: AsyncEngine
) -> None:
    person = await person_in(database)
    await wrote(database, person, "my tooth")
    await forget_queue(database, configured)
    async with database.system_transaction() as connection:
        taken = await repository.claim(
            connection, configured.embedding_key, rows_max=1000, lease_s=600
        )
    assert person.user_id in {place.user_id for place in taken}
    # It died here.
    assert await maker.make_some() == 0
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE message_embeddings SET claimed_until = now() WHERE model = :model"),
            {"model": configured.embedding_key},
        )
    while await maker.make_some():
        pass
    assert await unmade(database, configured) == (0, 0)


async def test_what_was_taken_by_work_that_is_stopped_can_be_taken_at_once(
    database: Database, configured: Settings, endpoint: Endpoint, maker: EmbeddingMaker
) -> None:
    person = await person_in(database)
    await wrote(database, person, "my tooth")
    await forget_queue(database, configured)
    endpoint.arrived.clear()
    endpoint.held.clear()
    making = asyncio.create_task(maker.make_some())
    async with asyncio.timeout(10):
        await endpoint.arrived.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    endpoint.held.set()
    assert await maker.make_some() > 0
    assert await unmade(database, configured) == (0, 0)


async def test_a_message_with_which_processes_die_is_left_alone(
    database: Database, configured: Settings, maker: EmbeddingMaker
) -> None:
    person = await person_in(database)
    await wrote(database, person, "deadly")
    await forget_queue(database, configured)
    for _ in range(5):
        async with database.system_transaction() as connection:
            assert await repository.claim(
                connection, configured.embedding_key, rows_max=1000, lease_s=-1
            )
    assert await maker.make_some() == 0
    waiting, left_alone = await unmade(database, configured)
    assert (waiting, left_alone > 0) == (0, True)


async def test_the_system_role_sees_the_queue_and_no_vector(database: Database) -> None:
    async with database.system_transaction() as connection:
        await connection.execute(text("SELECT user_id, made_at FROM message_embeddings LIMIT 1"))
    with pytest.raises(Exception, match="permission denied"):
        async with database.system_transaction() as connection:
            await connection.execute(text("SELECT embedding FROM message_embeddings"))


async def test_vectors_go_with_their_message(
    client: httpx.AsyncClient, database: Database, maker: EmbeddingMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    turn = (await person.say(client, "my tooth")).json()
    await maker.work()
    counted = text("SELECT count(*) FROM message_embeddings WHERE user_id = :owner")
    async with superuser.connect() as connection:
        assert await connection.scalar(counted, {"owner": person.user_id})
    path = f"/api/{person.user_id}/conversations/{turn['conversation_id']}"
    assert (await client.delete(path, headers=person.headers)).status_code == 204
    async with superuser.connect() as connection:
        assert await connection.scalar(counted, {"owner": person.user_id}) == 0


# --- filling up ---


async def test_what_was_said_before_is_filled_up_and_a_change_of_the_model_makes_all_anew(
    fresh_database: Database, configured: Settings, endpoint: Endpoint
) -> None:
    one, other = await person_in(fresh_database), await person_in(fresh_database)
    own = [f"tooth {new_id()}" for _ in range(5)]
    await wrote(fresh_database, one, *own[:3])
    await wrote(fresh_database, other, *own[3:])
    changed = configured.model_copy(update={"embedding_dimensions": 7})
    for times, model in enumerate((configured, configured, changed), 1):
        async with maker_of(fresh_database, model) as maker:
            lefts: list[int] = []
            await filling.queue_all(fresh_database, model.embedding_key)
            assert await filling.make_all(
                fresh_database, maker, model.embedding_key, progress=lefts.append
            )
        assert lefts[-1] == 0
        asked = [said for batch in endpoint.asked for said in batch if said in own]
        # Once by each model: what has a vector of it is not asked for again.
        assert sorted(asked) == sorted(own * (1 if times < 3 else 2))


@pytest.mark.parametrize(
    ("status", "asked"), [(500, filling.FAILURES_MAX), (429, filling.FAILURES_MAX), (401, 1)]
)
async def test_filling_up_ends_if_the_model_is_away_and_at_once_if_it_will_stay_away(
    fresh_database: Database,
    configured: Settings,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    asked: int,
) -> None:
    monkeypatch.setattr(filling, "LOOK_S", 0)
    person = await person_in(fresh_database)
    await wrote(fresh_database, person, "my tooth")
    endpoint.status = status
    async with maker_of(fresh_database, configured) as maker:
        await filling.queue_all(fresh_database, configured.embedding_key)
        assert not await filling.make_all(
            fresh_database, maker, configured.embedding_key, progress=lambda _: None
        )
    assert len(endpoint.asked) == asked


async def test_filling_up_outlasts_a_model_that_is_away_for_a_while(
    fresh_database: Database,
    configured: Settings,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filling, "LOOK_S", 0)
    person = await person_in(fresh_database)
    await wrote(fresh_database, person, "my tooth")
    endpoint.status, endpoint.fails = 429, filling.FAILURES_MAX - 1
    async with maker_of(fresh_database, configured) as maker:
        await filling.queue_all(fresh_database, configured.embedding_key)
        assert await filling.make_all(
            fresh_database, maker, configured.embedding_key, progress=lambda _: None
        )


def test_a_model_is_asked_again_later_each_time_and_no_sooner_than_it_says() -> None:
    failures = range(1, filling.FAILURES_MAX)
    away = EmbeddingError("500")
    assert [filling.rest_s(away, number) for number in failures] == [1, 2, 4, 8, 16, 32]
    busy = EmbeddingError("429", retry_after_s=5)
    assert [filling.rest_s(busy, number) for number in failures] == [5, 5, 5, 8, 16, 32]
    assert filling.rest_s(EmbeddingError("429", retry_after_s=99_999), 1) == 300


@pytest.mark.parametrize(
    ("said", "rest_s"), [("77", 77), ("1", 5), ("99999", 300), ("soon", 5), ("-7", 5), ("²", 5)]
)
async def test_a_model_is_left_alone_as_long_as_it_asks_for(
    database: Database,
    configured: Settings,
    endpoint: Endpoint,
    maker: EmbeddingMaker,
    said: str,
    rest_s: float,
) -> None:
    person = await person_in(database)
    await wrote(database, person, "my tooth")
    await forget_queue(database, configured)
    endpoint.status, endpoint.retry_after = 429, said
    with capture_logs() as logs:
        await maker.make_some()
    [failed] = [line for line in logs if line["event"] == "embeddings.failed"]
    assert (failed["reason"], failed["rest_s"]) == ("429", rest_s)


async def test_a_database_without_the_extension_is_searched_by_words_alone_until_it_has_it(
    migrated_database: MakeDatabase, running_app: AppMaker, configured: Settings, endpoint: Endpoint
) -> None:
    async with migrated_database() as url:
        engine = open_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(text("DROP EXTENSION vector"))
        own = configured.model_copy(update={"database_url": SecretStr(url)})
        database = Database(url, own)
        person = await person_in(database)
        async with (
            maker_of(database, own) as maker,
            running_app(
                database_url=own.database_url,
                embedding_model=own.embedding_model,
                embedding_base_url=own.embedding_base_url,
            ) as running,
        ):
            await maker.work()
            await wrote(database, person, "my tooth", "the dentist")
            await maker.work()
            page = await searched(running.client, person, "dentist ")
            assert (len(page["data"]), page["semantic"]) == (1, False)
            # Messages are sent nowhere, and wait for nothing.
            assert endpoint.asked == [["dentist "]]
            assert await unmade(database, own) == (0, 0)
            async with engine.begin() as connection:
                await connection.execute(text("CREATE EXTENSION vector"))
            await filling.queue_all(database, own.embedding_key)
            await maker.work()
            page = await searched(running.client, person, "dentist ")
            assert (len(page["data"]), page["semantic"]) == (2, True)
        await database.close()
        await engine.dispose()
