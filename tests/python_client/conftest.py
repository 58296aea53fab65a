"""A service on a real socket, a client of it, and a network that fails as it is told to."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
import pytest
from tests.conftest import AppMaker, in_a_task_of_its_own
from tests.factories import Person
from tests.live.served import PATIENCE_S, served

from taskchat_client import Client, patience

WHOLE = None
"""A connection that does not break."""

ClientMaker = Callable[..., AbstractAsyncContextManager[Client]]


class Breaking(httpx2.AsyncByteStream):
    """A body of which so many bytes come; then the connection breaks, or just ends."""

    def __init__(self, body: httpx2.AsyncByteStream, left: int, *, cleanly: bool) -> None:
        self._body, self._left, self._cleanly = body, left, cleanly

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece[: self._left]
            self._left -= len(piece)
            if self._left < 0:
                break
        if not self._cleanly:
            raise httpx2.ReadError("the connection was reset")

    async def aclose(self) -> None:
        await self._body.aclose()


Fault = int | httpx2.Response | Exception | None
"""What becomes of a request: an answer of which so many bytes come, another answer, no connection,
or nothing unusual. A fault of the class `AnswerLost` happens after the service has answered."""


class AnswerLost(httpx2.ReadError):
    """The service has done it, and nobody hears of it."""


class Network(httpx2.AsyncBaseTransport):
    """The network, with a fault for each of the first requests.

    Attributes:
        requests: All that were made.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._inner = httpx2.AsyncHTTPTransport()
        self._faults: Iterator[Fault] = iter(faults)
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        fault = next(self._faults, WHOLE)
        if isinstance(fault, httpx2.Response):
            return fault
        if isinstance(fault, Exception) and not isinstance(fault, AnswerLost):
            raise fault
        response = await self._inner.handle_async_request(request)
        if isinstance(fault, AnswerLost):
            await response.aread()
            await response.aclose()
            raise fault
        if fault is not None:
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = Breaking(response.stream, fault, cleanly=fault % 2 == 0)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture(scope="session")
async def service(running_app: AppMaker) -> AsyncIterator[str]:
    """Where a service is that takes scripts."""

    @contextlib.asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        async with running_app(script_allowed=True) as running, served(running) as url:
            yield url

    async with in_a_task_of_its_own(serving()) as url:
        yield url


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between attempts; nobody really waits."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(patience, "sleep", sleep)
    return waited


@pytest.fixture
def client_of(service: str) -> ClientMaker:
    """Makes clients: `async with client_of(faults) as client:`."""

    @contextlib.asynccontextmanager
    async def make(
        *faults: Fault, person: Person | None = None, script: list[Any] | None = None, **more: Any
    ) -> AsyncIterator[Client]:
        token = (person or Person()).headers["Authorization"].removeprefix("Bearer ")
        headers = {} if script is None else {"X-Taskchat-Script": json.dumps(script)}
        async with Client(
            *(service, token),
            headers=headers,
            transport=Network(faults),
            patience_s=more.pop("patience_s", PATIENCE_S),
            **more,
        ) as client:
            yield client

    return make


def requests_of(client: Client) -> list[httpx2.Request]:
    """What a client has asked for so far."""
    transport = client._connection._http._transport
    assert isinstance(transport, Network)
    return transport.requests
