"""OpenAI's client, for any vendor of its APIs: it sends what the SDK asks, and reads the answers.

The client's own parsing trusts what it gets, and fails at, or passes on, what other vendors send.
Its own encoding walks every request by its type hints, and its own sending makes every request
anew, which costs more than the rest of the call. What leaves here is byte by byte what it sends.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from typing import Any, Final

import anyio
import httpx2
from openai import (
    APIConnectionError,
    APITimeoutError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    NotGiven,
    Omit,
)
from openai.resources.chat import AsyncChat, AsyncCompletions
from openai.resources.responses import AsyncResponses

from taskchat.assistant.models.reading_chat import chat_chunks, whole_chat
from taskchat.assistant.models.reading_responses import response_events, whole_response
from taskchat.assistant.models.wire import JsonStream, Told, ToTheLastLine
from taskchat.assistant.models.writing import HISTORY, request_body
from taskchat.http.outgoing import outgoing
from taskchat.settings import Settings

NO_KEY: Final = "none"
"""Sent if OPENAI_BASE_URL is set and no key is: servers on one's own machine ask for none."""

CONNECTIONS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
"""As many turns may wait for their models as there are; the client's own limit is 1,000."""

OPTIONS: Final = ("extra_headers", "extra_query", "extra_body")
"""What the SDK asks that is no member of a request's body."""

NO_CONNECTION: Final = (httpx2.RequestError, ssl.SSLError, anyio.EndOfStream)
"""How a connection fails. The last two come from below httpx2, which lets them through."""


RESPONSES: Final = "responses"
COMPLETIONS: Final = "chat/completions"
"""Paths of the two APIs, below the base URL."""


class _Responses(AsyncResponses):
    with_streaming_response = None  # type: ignore[assignment] # The SDK takes `create` then.
    _client: "VendorClient"

    async def create(self, **asked: Any) -> Any:
        """Ask over the Responses API: returns a `Response`, or its events."""
        told = await self._client.ask(RESPONSES, "input", asked)
        return whole_response(told) if isinstance(told, str) else response_events(told)


class _Completions(AsyncCompletions):
    _client: "VendorClient"

    async def create(self, **asked: Any) -> Any:
        """Ask over the Chat Completions API: returns a `ChatCompletion`, or its chunks."""
        told = await self._client.ask(COMPLETIONS, "messages", asked)
        return whole_chat(told) if isinstance(told, str) else chat_chunks(told)


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class VendorClient(AsyncOpenAI):
    """The client itself, but for the way in which models are asked.

    Args:
        http_client: What it sends with.
        options: The client's own.
    """

    def __init__(self, *, http_client: httpx2.AsyncClient, **options: Any) -> None:
        super().__init__(http_client=http_client, **options)
        self._http = http_client
        base = self.base_url
        self._addresses = {
            path: base.copy_with(raw_path=base.raw_path + path.encode())
            for path in (RESPONSES, COMPLETIONS)
        }
        self._headers = httpx2.Headers(
            _given(
                {
                    **self.auth_headers,
                    **self.default_headers,
                    "x-stainless-retry-count": "0",
                    "x-stainless-read-timeout": str(self.timeout),
                }
            )
        )

    @cached_property
    def responses(self) -> AsyncResponses:
        """The Responses API."""
        return _Responses(self)

    @cached_property
    def chat(self) -> AsyncChat:
        """The Chat Completions API."""
        return _Chat(self)

    async def ask(
        self, path: str, items: str, asked: Mapping[str, Any]
    ) -> str | AsyncIterator[Told]:
        """Ask a model.

        Args:
            path: Of the API, below the base URL.
            items: Which of the arguments lists what the model reads.
            asked: The arguments of the client's own `create`, and what `HISTORY` names.

        Returns:
            The answer's body, or the events that it streams.

        Raises:
            APIStatusError: the vendor answers that something is wrong.
            APIConnectionError: it does not answer, or not in time.
        """
        given = _given(asked)
        more, query, extra = (given.pop(name, None) or {} for name in OPTIONS)
        history, streams = given.pop(HISTORY, b""), bool(given.get("stream"))
        headers = httpx2.Headers(self._headers)
        for name, value in _given(more).items():
            headers[name] = value
        request = self._http.build_request(
            "POST",
            self._addresses[path],
            headers=headers,
            params=self.qs.stringify(query) if query else None,
            content=request_body(given, items, history, extra),
            timeout=self.timeout,
        )
        response = await self._sent(request, streams=streams)
        if streams:
            return JsonStream(cast_to=Told, response=response, client=self)
        return response.text

    async def _sent(self, request: httpx2.Request, *, streams: bool) -> httpx2.Response:
        try:
            response = await self._http.send(request, stream=streams)
            if not response.is_success:
                await response.aread()
        except httpx2.TimeoutException as error:
            raise APITimeoutError(request=request) from error
        except NO_CONNECTION as error:
            raise APIConnectionError(request=request) from error
        if response.is_success:
            return response
        raise self._make_status_error_from_response(response)

    def _make_sse_decoder(self) -> ToTheLastLine:
        return ToTheLastLine(super()._make_sse_decoder())


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if not isinstance(value, Omit | NotGiven)}


def vendor_client(settings: Settings, **options: Any) -> AsyncOpenAI:
    """A client for the vendor; the caller closes it. It never retries: the chain does.

    Raises:
        BadConfiguration: the environment's proxies or certificates don't allow one.
    """
    key = settings.openai_api_key
    usual = {
        "api_key": key.get_secret_value() if key else NO_KEY,
        "base_url": settings.openai_base_url,
        "timeout": settings.model_timeout_s,
        "max_retries": 0,
    }
    # Built separately: OpenAI's own client would try to close one that could only be half built.
    http_client = outgoing(lambda: DefaultAsyncHttpxClient(limits=CONNECTIONS))
    return VendorClient(http_client=http_client, **{**usual, **options})
