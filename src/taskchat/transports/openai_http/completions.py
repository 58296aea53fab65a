"""`POST /v1/chat/completions`: turns as completions, which know nothing of tools that run here.

A stream can take nothing back. Where the assistant says something anew, an empty line comes before.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.sse import format_sse_event
from pydantic_core import to_json

from taskchat.auth.dependencies import AuthenticatedByToken
from taskchat.errors import ServiceError
from taskchat.http.headers import CONVERSATION_HEADER
from taskchat.http.problems import openai_body
from taskchat.http.requests import body_schema, read_body
from taskchat.principal import Channel
from taskchat.transports.openai_http.dialogue import CurrentDialogue, Dialogue, Place, Spoken
from taskchat.transports.openai_http.ids import ResponseId
from taskchat.transports.openai_http.narration import Narrator, Told
from taskchat.transports.openai_http.requests import (
    CompletionRequest,
    Input,
    check,
    read_input,
    read_name,
    refused,
)
from taskchat.transports.openai_http.shapes import (
    MODEL,
    ChatCompletion,
    CompletionChoice,
    CompletionMessage,
    CompletionUsage,
    McpApprovalRequest,
    OutputMessage,
    ResponseResource,
    Shown,
)
from taskchat.transports.openai_http.telling import STREAM, narrator_of, once_over, stream

router = APIRouter(prefix="/v1/chat", tags=["openai"], dependencies=[AuthenticatedByToken])

HOW_TO_ANSWER: Final = "Reply “approve” or “reject”."
"""Said behind a question about calls: a completion has no other place for it."""

BETWEEN: Final = "\n\n"
"""Between two things that the assistant says."""


@router.post(
    "/completions",
    response_model=ChatCompletion,
    openapi_extra=body_schema(CompletionRequest),
    responses=STREAM,
)
async def create_completion(request: Request, dialogue: CurrentDialogue) -> Response:
    """Say something, and get what the assistant says as a completion; a stream with `stream`."""
    body = await read_body(CompletionRequest, request)
    check(body)
    said = read_input(body.messages, "messages")
    place = await _place(dialogue, request, body, said)
    channel = Channel.SSE if body.stream else Channel.REST
    spoken = await dialogue.say(said, place, channel, answers_by_text=True)
    if not body.stream:
        narrator = await once_over(dialogue, spoken)
        assert narrator.response is not None  # noqa: S101 - it is over
        return Response(
            completion(narrator.response, spoken).model_dump_json(),
            headers=spoken.headers,
            media_type="application/json",
        )
    narrator = await narrator_of(dialogue.live, spoken.turn, spoken.part)
    options = body.stream_options
    chunks = Chunks(narrator, spoken, with_usage=bool(options and options.include_usage))
    return stream(
        dialogue.live,
        narrator,
        spoken.turn,
        encode=chunks.encode,
        encode_error=chunks.encode_error,
        headers=spoken.headers,
    )


async def _place(
    dialogue: Dialogue, request: Request, body: CompletionRequest, said: Input
) -> Place:
    name = (body.metadata or {}).get("conversation_id")
    param = "metadata.conversation_id"
    if name is None:
        name, param = request.headers.get(CONVERSATION_HEADER), f"header.{CONVERSATION_HEADER}"
    if name is not None:
        return await dialogue.named(read_name(name, param))
    if said.has_history:
        raise refused(
            "metadata.conversation_id",
            f"or the header {CONVERSATION_HEADER} must name the conversation that this goes on "
            "with: the history is kept here, and not read from the messages",
        )
    return Place()


def completion_id(spoken: Spoken) -> str:
    """What a completion is called."""
    return str(ResponseId(spoken.turn.id, spoken.part)).replace("resp_", "chatcmpl-")


def _usage(response: ResponseResource) -> CompletionUsage:
    usage = response.usage
    assert usage is not None  # noqa: S101 - it is over
    return CompletionUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
    )


def _asks(response: ResponseResource) -> bool:
    return any(isinstance(item, McpApprovalRequest) for item in response.output)


def completion(response: ResponseResource, spoken: Spoken) -> ChatCompletion:
    """A response that is over, as a completion."""
    texts = [
        part.text
        for item in response.output
        if isinstance(item, OutputMessage)
        for part in item.content
    ]
    if _asks(response):
        texts.append(HOW_TO_ANSWER)
    return ChatCompletion(
        id=completion_id(spoken),
        created=response.created_at,
        choices=[CompletionChoice(message=CompletionMessage(content=BETWEEN.join(texts)))],
        usage=_usage(response),
        metadata={"conversation_id": response.conversation.id},
    )


class Chunks:
    """A response that is told, in chunks of a completion.

    Args:
        narrator: Tells it.
        spoken: What it answers.
        with_usage: Whether a last chunk says what was used.
    """

    def __init__(self, narrator: Narrator, spoken: Spoken, *, with_usage: bool) -> None:
        self._narrator = narrator
        self._id = completion_id(spoken)
        self._with_usage = with_usage
        self._texts = 0

    def encode(self, batch: Sequence[Told]) -> Iterator[bytes]:
        """What is told, as it is sent."""
        for told in batch:
            for chunk in self._chunks(told):
                yield format_sse_event(data_str=to_json(chunk).decode())

    def encode_error(self, error: ServiceError) -> bytes:
        """An error in the middle, which OpenAI's clients raise."""
        return format_sse_event(data_str=to_json(openai_body(error)).decode())

    def _chunks(self, told: Told) -> Iterator[Shown]:
        match told.type:
            case "response.created":
                yield self._chunk({"role": "assistant", "content": ""})
            case "response.content_part.added" if told.fields["part"]["type"] == "output_text":
                self._texts += 1
                if self._texts > 1:
                    yield self._chunk({"content": BETWEEN})
            case "response.output_text.delta":
                yield self._chunk({"content": told.fields["delta"]})
            case "response.completed":
                yield from self._end()
            case "response.failed" | "response.incomplete":
                failed = self._narrator.failure
                assert failed is not None  # noqa: S101 - it did not end well
                yield {
                    "error": {
                        "message": failed.error,
                        "type": "server_error",
                        "param": None,
                        "code": failed.error_code,
                    }
                }
            case _:
                pass

    def _end(self) -> Iterator[Shown]:
        response = self._narrator.response
        assert response is not None  # noqa: S101 - it is over
        if _asks(response):
            yield self._chunk({"content": f"{BETWEEN}{HOW_TO_ANSWER}"})
        yield self._chunk({}, finish_reason="stop")
        if self._with_usage:
            yield {**self._head(), "choices": [], "usage": _usage(response).model_dump()}

    def _chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> Shown:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        chunk: Shown = {**self._head(), "choices": [choice]}
        # As OpenAI does: if it is asked for, it is null up to the last chunk.
        return chunk | {"usage": None} if self._with_usage else chunk

    def _head(self) -> Shown:
        response = self._narrator.response
        assert response is not None  # noqa: S101 - it has begun
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": response.created_at,
            "model": MODEL,
        }
