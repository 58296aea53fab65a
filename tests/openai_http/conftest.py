"""The service on a socket, and OpenAI's own clients for it."""

from collections.abc import AsyncIterator, Callable

import pytest
from openai import AsyncOpenAI, OpenAI
from tests.conftest import RunningApp, in_a_task_of_its_own
from tests.factories import Person
from tests.live.served import served


@pytest.fixture(scope="session")
async def url(offline_app: RunningApp) -> AsyncIterator[str]:
    """Where the service with the offline model is."""
    async with in_a_task_of_its_own(served(offline_app)) as address:
        yield address


def key_of(person: Person) -> str:
    """What a person sets as their key: their token."""
    return person.headers["Authorization"].removeprefix("Bearer ")


def client_of(url: str, person: Person, *, max_retries: int = 0) -> AsyncOpenAI:
    """OpenAI's client, as somebody has configured it."""
    return AsyncOpenAI(base_url=f"{url}/v1", api_key=key_of(person), max_retries=max_retries)


Clients = Callable[[Person], AsyncOpenAI]


@pytest.fixture
def clients(url: str) -> Clients:
    """Makes clients of the service with the offline model."""
    return lambda person: client_of(url, person)


@pytest.fixture
def blocking(url: str) -> Callable[[Person], OpenAI]:
    """Makes clients that block."""
    return lambda person: OpenAI(base_url=f"{url}/v1", api_key=key_of(person), max_retries=0)
