"""Real Postgres, the real app, the real MCP server; the only fake is the model at its boundary."""

import asyncio
import contextlib
import functools
import gc
import itertools
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from tests.apps import make_apps_quickly
from tests.factories import UNLIMITED
from tests.hashes import hash_quickly

from taskchat.app import create_app
from taskchat.assistant.models.asking import NamedModel
from taskchat.http.dependencies import part_of
from taskchat.moments import new_id
from taskchat.postgres.connect import open_engine
from taskchat.postgres.database import Database
from taskchat.postgres.embedded import ephemeral_data_dir, start_postgres
from taskchat.postgres.listener import Listener
from taskchat.postgres.migrations import upgrade
from taskchat.settings import OFFLINE, Settings
from taskchat.telemetry.logs import configure_logs
from taskchat.transports.dependencies import LiveDeps
from taskchat.turns.deps import TurnDeps

Held = TypeVar("Held")

MakeDatabase = Callable[[], AbstractAsyncContextManager[str]]

JWT_SECRET = "a secret of the tests, of more than 32 bytes"

# Or a test that fails tells of every request it made, and of little else.
logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: looking through it again takes a tenth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each process begins with its share of what takes long, or one would end alone with it.

    They get as many pieces as there are of them, equally long, in this order.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    others = iter([item for item in items if not item.get_closest_marker("long")])
    ordered: list[pytest.Item] = []
    for process in range(processes):
        length = (len(items) - len(ordered)) // (processes - process)
        # Neighbours stay together: they share what is made for them.
        share = slice(len(long) * process // processes, len(long) * (process + 1) // processes)
        piece = long[share]
        ordered += [*piece, *itertools.islice(others, max(length - len(piece), 0))]
    items[:] = [*ordered, *others]


@pytest.fixture(scope="session", autouse=True)
def _no_configuration() -> Iterator[None]:
    """What the developer has configured for themselves must not reach the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("TASKCHAT_", "OPENAI_", "OTEL_")) or name == "DATABASE_URL"
    }
    for name in kept:
        del os.environ[name]
    yield
    os.environ.update(kept)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """What a shell starts in the background ignores it, and so would all that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _logs(_no_configuration: None) -> None:
    """As in a service: events on stderr, no pictures of frames."""
    configure_logs(Settings(_env_file=None, log_format="json"))


@pytest.fixture(scope="session", autouse=True)
def _quick() -> None:
    hash_quickly()
    make_apps_quickly()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A Postgres server, as a login that sees every row."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = ephemeral_data_dir()
    url = start_postgres(folder)
    # It waits for no disk: nothing in it outlives its tests.
    with (folder / "postgres" / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("fsync = off\n")
    pid = (folder / "postgres" / "postmaster.pid").read_text(encoding="utf-8").split()[0]
    os.kill(int(pid), signal.SIGHUP)
    yield url


@contextlib.asynccontextmanager
async def _new_database(server_url: str, *, like: str = "template1") -> AsyncIterator[str]:
    name = f"test_{new_id().hex}"
    admin = open_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {like}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        async with admin.connect() as connection:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        await admin.dispose()


@pytest.fixture(scope="session")
def empty_database(server_url: str) -> MakeDatabase:
    """Makes databases without a schema; each is dropped when its block ends."""
    return functools.partial(_new_database, server_url)


@pytest.fixture(scope="session")
async def migrated_database(
    server_url: str, empty_database: MakeDatabase
) -> AsyncIterator[MakeDatabase]:
    """Makes databases with the schema: copies of one, a tenth of the time that migrations take."""
    async with empty_database() as url:
        await asyncio.to_thread(upgrade, url)
        yield functools.partial(_new_database, server_url, like=str(make_url(url).database))


@pytest.fixture(scope="session")
async def database_url(migrated_database: MakeDatabase) -> AsyncIterator[str]:
    """A migrated database; tests share it and keep apart by user."""
    async with migrated_database() as url:
        yield url


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    """The defaults, on the tests' database, with the offline model."""
    settings = Settings(
        _env_file=None,
        database_url=database_url,
        jwt_secret=JWT_SECRET,
        model=OFFLINE,
        accounts=True,
        **UNLIMITED,
    )
    # Nobody takes a turn up but who is told to: an app sweeps six times a lease, and those of the
    # session share a database with tests that let leases run out. Longer than a service may have.
    # Nor says anything that is due.
    return settings.model_copy(update={"lease_s": 1_000_000, "schedule_look_s": 1_000_000})


@pytest.fixture(scope="session")
async def database(settings: Settings, database_url: str) -> AsyncIterator[Database]:
    """The door to users' rows, bound by row-level security."""
    database = Database(database_url, settings)
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def superuser(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A login that sees every row, to look behind the service's back."""
    engine = open_engine(database_url, poolclass=NullPool)
    yield engine
    await engine.dispose()


class RunningApp:
    """An app within its lifespan, and a client for it."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        self.app = app
        self.client = client

    @property
    def turns(self) -> TurnDeps:
        """What its turns need."""
        return part_of(self.app, TurnDeps)

    @property
    def listener(self) -> Listener:
        """Where it hears of other processes."""
        return part_of(self.app, Listener)

    @property
    def live(self) -> LiveDeps:
        """What its streams and sockets need."""
        return part_of(self.app, LiveDeps)


AppMaker = Callable[..., AbstractAsyncContextManager[RunningApp]]


@pytest.fixture(scope="session")
def running_app(settings: Settings) -> AppMaker:
    """Makes apps: `async with running_app(chain=[…], lease_s=1) as running:`."""

    @contextlib.asynccontextmanager
    async def make(
        *, chain: Sequence[NamedModel] | None = None, **changes: object
    ) -> AsyncIterator[RunningApp]:
        app = create_app(settings.model_copy(update=changes), chain=chain)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://test", timeout=30
            ) as client:
                yield RunningApp(app, client)

    return make


@contextlib.asynccontextmanager
async def in_a_task_of_its_own(
    context: AbstractAsyncContextManager[Held],
) -> AsyncIterator[Held]:
    """Hold something for a fixture, which pytest may end in another task than it began in.

    What an app holds must be closed where it was opened.
    """
    started: asyncio.Future[Held] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()

    async def live() -> None:
        async with context as held:
            started.set_result(held)
            await stop.wait()

    life = asyncio.create_task(live())
    done, _ = await asyncio.wait((life, started), return_when=asyncio.FIRST_COMPLETED)
    if life in done:
        await life
    yield started.result()
    stop.set()
    await life


@pytest.fixture(scope="session")
async def offline_app(running_app: AppMaker) -> AsyncIterator[RunningApp]:
    """One app with the offline model, for all tests that need nothing else."""
    async with in_a_task_of_its_own(running_app()) as running:
        yield running


@pytest.fixture
def client(offline_app: RunningApp) -> httpx.AsyncClient:
    """A client of the app with the offline model."""
    return offline_app.client


@pytest.fixture(scope="session")
def project() -> Path:
    """The top of the checkout."""
    return Path(__file__).resolve().parent.parent
