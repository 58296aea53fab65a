"""OpenAI's client, for any vendor of its APIs: it sends what the SDK asks, and reads the answers.

The client's own parsing trusts what it gets, and fails at, or passes on, what other vendors send.
Its own encoding walks every request by its type hints, which costs more than the rest of the call.
"""

from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any, Final, cast

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, NotGiven, Omit, RequestOptions
from openai.resources.chat import AsyncChat, AsyncCompletions
from openai.resources.responses import AsyncResponses

from taskchat.assistant.models.reading_chat import chat_chunks, whole_chat
from taskchat.assistant.models.reading_responses import response_events, whole_response
from taskchat.assistant.models.wire import JsonStream, Told, ToTheLastLine
from taskchat.http.outgoing import outgoing
from taskchat.settings import Settings

NO_KEY: Final = "none"
"""Sent if OPENAI_BASE_URL is set and no key is: servers on one's own machine ask for none."""


CONNECTIONS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
"""As many turns may wait for their models as there are; the client's own limit is 1,000."""

OPTIONS: Final = {"extra_headers": "headers", "extra_query": "params", "extra_body": "extra_json"}
"""The SDK's options of a request besides its body, and the client's names for them."""


class _Responses(AsyncResponses):
    with_streaming_response = None  # type: ignore[assignment] # The SDK takes `create` then.

    async def create(self, **asked: Any) -> Any:
        """Ask over the Responses API: returns a `Response`, or its events."""
        told = await _posted(self._client, "/responses", asked)
        return whole_response(told) if isinstance(told, str) else response_events(told)


class _Completions(AsyncCompletions):
    async def create(self, **asked: Any) -> Any:
        """Ask over the Chat Completions API: returns a `ChatCompletion`, or its chunks."""
        told = await _posted(self._client, "/chat/completions", asked)
        return whole_chat(told) if isinstance(told, str) else chat_chunks(told)


async def _posted(
    client: AsyncOpenAI, path: str, asked: dict[str, Any]
) -> str | AsyncIterator[Told]:
    given = {name: value for name, value in asked.items() if not isinstance(value, Omit | NotGiven)}
    options = {
        theirs: value for ours, theirs in OPTIONS.items() if (value := given.pop(ours, None))
    }
    request = cast("RequestOptions", {**options, "security": {"bearer_auth": True}})
    if given.get("stream"):
        return await client.post(
            path, body=given, options=request, cast_to=Told, stream=True, stream_cls=JsonStream
        )
    return await client.post(path, body=given, options=request, cast_to=str)


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class _VendorClient(AsyncOpenAI):
    def _make_sse_decoder(self) -> ToTheLastLine:
        return ToTheLastLine(super()._make_sse_decoder())

    @cached_property
    def responses(self) -> AsyncResponses:
        return _Responses(self)

    @cached_property
    def chat(self) -> AsyncChat:
        return _Chat(self)


def vendor_client(settings: Settings, **options: Any) -> AsyncOpenAI:
    """A client for the vendor; the caller closes it. It never retries: the chain does.

    Raises:
        BadConfiguration: the environment's proxies or certificates don't allow one.
    """
    key = settings.openai_api_key
    # Built separately: OpenAI's own client would try to close one that could only be half built.
    http_client = outgoing(lambda: DefaultAsyncHttpxClient(limits=CONNECTIONS))
    return _VendorClient(
        api_key=key.get_secret_value() if key else NO_KEY,
        base_url=settings.openai_base_url,
        http_client=http_client,
        **{"timeout": settings.model_timeout_s, "max_retries": 0, **options},
    )
