"""OpenAI's client, for whoever speaks its APIs, with two readings of the SDK's mended."""

from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any, Final

from agents.exceptions import ModelBehaviorError
from openai import AsyncOpenAI, AsyncStream
from openai.resources.chat import AsyncChat, AsyncCompletions
from openai.resources.responses import AsyncResponses
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import Response

from taskchat.settings import Settings

NO_KEY: Final = "none"
"""Sent where OPENAI_BASE_URL is set and no key is: servers on one's own machine ask for none."""


class _Responses(AsyncResponses):
    """The Responses API, where an answer that was cut at its longest is short, not wrong.

    The SDK takes it for a failure when it doesn't come as a stream, and only then.
    """

    async def create(self, **kwargs: Any) -> Any:
        answer = await super().create(**kwargs)
        if isinstance(answer, Response) and answer.status == "incomplete":
            answer.status = "completed"
        return answer


class _ToItsEnd:
    """A stream of chunks that fails where it ends without having come to its end.

    The SDK knows such an end from OpenAI's own address only, and takes half an answer of any other
    for a whole one. What cuts it may well end it in good order: a proxy that gives up does.
    """

    def __init__(self, stream: AsyncStream[ChatCompletionChunk]) -> None:
        self.response = stream.response
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        finished = False
        async for chunk in self._stream:
            finished = finished or any(choice.finish_reason for choice in chunk.choices)
            yield chunk
        if not finished:
            raise ModelBehaviorError("The answer broke off.")

    async def close(self) -> None:
        await self._stream.close()


class _Completions(AsyncCompletions):
    async def create(self, **kwargs: Any) -> Any:
        answer = await super().create(**kwargs)
        return _ToItsEnd(answer) if isinstance(answer, AsyncStream) else answer


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class _VendorClient(AsyncOpenAI):
    @cached_property
    def responses(self) -> AsyncResponses:
        return _Responses(self)

    @cached_property
    def chat(self) -> AsyncChat:
        return _Chat(self)


def vendor_client(settings: Settings, **options: Any) -> AsyncOpenAI:
    """A client of the vendor's; the caller closes it. It repeats nothing: the chain does."""
    key = settings.openai_api_key
    return _VendorClient(
        api_key=key.get_secret_value() if key else NO_KEY,
        base_url=settings.openai_base_url,
        **{"timeout": settings.model_timeout_s, "max_retries": 0, **options},
    )
