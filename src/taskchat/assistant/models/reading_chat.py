"""Answers of the Chat Completions API, as its many vendors send them, made into the API's own form.

Whole answers and streams are read by the same code: a message is a stream of one piece.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from agents.exceptions import ModelBehaviorError
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from taskchat.assistant.models.reading import (
    arguments_of,
    count_of,
    dict_of,
    list_of,
    new_call_id,
    text_of,
    thought_of,
    word_of,
)
from taskchat.assistant.models.soundness import arguments_in
from taskchat.assistant.models.wire import BrokeOff, Told, object_in, raise_if_failed

ENDS = frozenset({"stop", "length", "tool_calls", "content_filter"})
"""The API's reasons for an answer's end; a vendor's own counts as stop or tool_calls."""

REASONING = ("reasoning_content", "reasoning")
"""Fields in which vendors send what a model thinks; one is enough if both say the same."""


def whole_chat(text: str) -> ChatCompletion:
    """The answer in a response body.

    Raises:
        ModelBehaviorError: it holds no answer.
        VendorFailed: it reports an error.
    """
    reading = _Reading()
    pieces = reading.read(object_in(text))
    if not reading.began:
        raise ModelBehaviorError("The answer has no choice.")
    choice = {
        "index": 0,
        "finish_reason": reading.end,
        "message": {"role": "assistant", **pieces, "tool_calls": reading.calls_made or None},
    }
    head = {"id": "chat", "object": "chat.completion", "created": 0, "model": "model"}
    return ChatCompletion.model_validate({**head, "choices": [choice], "usage": reading.usage})


async def chat_chunks(stream: AsyncIterator[Told]) -> AsyncIterator[ChatCompletionChunk]:
    """The chunks of a stream: text as it comes, calls once they are whole.

    Raises:
        BrokeOff: the stream ends before the answer does.
        ModelBehaviorError: it holds no answer.
        VendorFailed: it reports an error.
    """
    reading = _Reading()
    over = False
    try:
        async for told in stream:
            over = over or told.event == "done"
            pieces = reading.read(told.data)
            if pieces:
                yield _chunk(pieces)
    except Exception:
        # What follows the end of an answer is no part of it.
        if reading.finished is None:
            raise
    if not reading.began:
        raise ModelBehaviorError("The answer has no choice.")
    if not over and reading.finished is None:
        raise BrokeOff("The answer broke off.")
    calls = [{"index": index, **call} for index, call in enumerate(reading.calls_made)]
    yield _chunk({"tool_calls": calls} if calls else {}, end=reading.end, usage=reading.usage)


def _chunk(delta: dict[str, Any], **end: Any) -> ChatCompletionChunk:
    choice = {"index": 0, "delta": delta, "finish_reason": end.get("end")}
    head = {"id": "chat", "object": "chat.completion.chunk", "created": 0, "model": "model"}
    return ChatCompletionChunk.model_validate(
        {**head, "choices": [choice], "usage": end.get("usage")}
    )


@dataclass(slots=True)
class _Call:
    """A call, as far as it has come."""

    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""
    more: dict[str, Any] = field(default_factory=dict)


class _Reading:
    """What an answer has said so far.

    Attributes:
        began: Whether any of it has come.
        finished: Why it ended, as its vendor says; None while it goes on.
        usage: The token counts in the API's form; None while there are none.
    """

    def __init__(self) -> None:
        self.began = False
        self.finished: object = None
        self.usage: dict[str, Any] | None = None
        self._calls: list[_Call] = []

    @property
    def end(self) -> str:
        """Why the answer ended, as the API says it."""
        if word_of(self.finished) in ENDS:
            return word_of(self.finished)
        return "tool_calls" if self.calls_made else "stop"

    @property
    def calls_made(self) -> list[dict[str, Any]]:
        """The calls, in the API's form."""
        return [
            {
                "id": call.id or new_call_id(),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
                **call.more,
            }
            for call in self._calls
            if call.name or call.arguments
        ]

    def read(self, told: dict[str, Any]) -> dict[str, Any]:
        """Read one more piece; returns the text in it, by field."""
        if used := dict_of(told.get("usage")):
            self.usage = _usage(used)
        choice = next(
            (
                one
                for one in map(dict_of, list_of(told.get("choices")))
                # If several answers were made, the first one counts.
                if one and count_of(one.get("index")) == 0
            ),
            None,
        )
        if choice is None:
            return {}
        raise_if_failed(choice, begun=True)
        delta = dict_of(choice.get("delta"))
        said = delta or dict_of(choice.get("message"))
        self.began = self.began or bool(said) or bool(choice.get("finish_reason"))
        self.finished = self.finished or choice.get("finish_reason") or None
        for call in list_of(said.get("tool_calls")):
            self._call(dict_of(call), whole=not delta)
        if legacy := dict_of(said.get("function_call")):
            self._call({"function": legacy}, whole=not delta)
        content = said.get("content")
        pieces = {"content": text_of(content), "refusal": text_of(said.get("refusal"))}
        name = next((name for name in REASONING if text_of(said.get(name))), REASONING[0])
        pieces[name] = text_of(said.get(name)) + thought_of(content)
        return {name: piece for name, piece in pieces.items() if piece}

    def _call(self, told: dict[str, Any], *, whole: bool) -> None:
        if told.get("type") not in (None, "", "function"):
            return
        function = dict_of(told.get("function")) or told
        index = told.get("index") if isinstance(told.get("index"), int) else None
        id_, name = word_of(told.get("id")), word_of(function.get("name"))
        arguments = arguments_of(function.get("arguments"))
        call = next((one for one in reversed(self._calls) if index in (None, one.index)), None)
        if call is None or whole or _begins(call, id_, name, arguments):
            call = _Call(index)
            self._calls.append(call)
        call.id, call.name = id_ or call.id, name or call.name
        call.arguments += arguments
        if extra := dict_of(told.get("extra_content")):
            call.more = {"extra_content": extra}


def _begins(call: _Call, id_: str, name: str, arguments: str) -> bool:
    """Whether a piece belongs to another call than the one before it at the same index.

    Some vendors give all calls of an answer the same index, or none.
    """
    if id_ and call.id and id_ != call.id:
        return True
    if not name or not call.name:
        return False
    return name != call.name or bool(
        arguments and call.arguments and arguments_in(call.arguments) is not None
    )


def _usage(used: dict[str, Any]) -> dict[str, Any]:
    read, wrote = count_of(used.get("prompt_tokens")), count_of(used.get("completion_tokens"))
    cached = count_of(dict_of(used.get("prompt_tokens_details")).get("cached_tokens"))
    return {
        "prompt_tokens": read,
        "completion_tokens": wrote,
        "total_tokens": read + wrote,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
