"""Answers as OpenAI's Chat Completions API puts them: one JSON object, or a stream of chunks."""

from collections.abc import Iterator
from typing import Any

from tests.assistant.vendor.responses_api import pieces_of
from tests.assistant.vendor.steps import Answer, Call, Refusal, Text

Item = dict[str, Any]

ERROR_CHUNK: dict[str, Any] = {
    "error": {"message": "told to fail", "type": "server_error", "param": None, "code": None}
}
"""What a stream tells in place of the rest when the vendor fails in the middle."""


def body_of(answer: Answer, model: str, mark: str) -> dict[str, Any]:
    """The whole answer as JSON; the mark keeps its ids apart from those of others."""
    texts = [part.text for part in answer.parts if isinstance(part, Text)]
    refusals = [part.text for part in answer.parts if isinstance(part, Refusal)]
    calls = [
        {
            "id": f"call_{mark}_{place}" if part.id is None else part.id,
            "type": "function",
            "function": {"name": part.name, "arguments": part.arguments},
            **(
                {"extra_content": {"google": {"thought_signature": part.sealed}}}
                if part.sealed is not None
                else {}
            ),
        }
        for place, part in enumerate(answer.parts)
        if isinstance(part, Call)
    ]
    message: Item = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": "".join(refusals) if refusals else None,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = calls
    return {
        "id": f"chatcmpl-{mark}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "length" if answer.cut else "tool_calls" if calls else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": answer.tokens[0],
            "completion_tokens": answer.tokens[1],
            "total_tokens": sum(answer.tokens),
            "prompt_tokens_details": {"cached_tokens": answer.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }


def chunks_of(body: dict[str, Any], *, with_usage: bool) -> Iterator[dict[str, Any]]:
    """The chunks in which the API streams an answer; the tokens only where they are asked for."""
    [choice] = body["choices"]
    head = {name: body[name] for name in ("id", "created", "model", "service_tier")}
    head |= {"object": "chat.completion.chunk", "system_fingerprint": body["system_fingerprint"]}
    if with_usage:
        head["usage"] = None
    for delta in _deltas(choice["message"]):
        told = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        yield {**head, "choices": [told]}
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
    yield {**head, "choices": [last]}
    if with_usage:
        yield {**head, "choices": [], "usage": body["usage"]}


def _deltas(message: Item) -> Iterator[Item]:
    calls = message.get("tool_calls", [])
    content = None if calls and message["content"] is None else ""
    yield {"role": "assistant", "content": content, "refusal": None}
    for piece in pieces_of(message["content"] or ""):
        yield {"content": piece}
    for piece in pieces_of(message["refusal"] or ""):
        yield {"refusal": piece}
    for index, call in enumerate(calls):
        begun = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        yield {"tool_calls": [begun]}
        for piece in pieces_of(call["function"]["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def is_piece(chunk: dict[str, Any]) -> bool:
    """Whether a chunk is a piece of what the model says or calls, and so a place to stop at."""
    for choice in chunk.get("choices", ()):
        delta = choice["delta"]
        if "role" not in delta and (delta.get("content") or delta.get("refusal")):
            return True
        for call in delta.get("tool_calls", ()):
            return bool(call["function"]["arguments"])
    return False


def unsound(messages: list[Item]) -> str | None:
    """What the API refuses in an input; None when it is sound."""
    awaited: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in awaited:
                return "messages with role 'tool' must follow a message with 'tool_calls'."
            awaited.discard(message["tool_call_id"])
        elif awaited:
            return "'tool_calls' must be followed by tool messages responding to each of them."
        else:
            awaited = {call["id"] for call in message.get("tool_calls") or ()}
    return "'tool_calls' must be followed by tool messages." if awaited else None
