"""Answers as OpenAI's Responses API puts them: one JSON object, or a stream of events."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.assistant.vendor.steps import Answer, Call, Part, Refusal, Text

Item = dict[str, Any]


def response(
    *output: Item, tokens: tuple[int, int] = (10, 5), model: str = "gpt-test", id_: str = "resp_1"
) -> dict[str, Any]:
    """A completed answer of these items."""
    return {
        "id": id_,
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "model": model,
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {
            "input_tokens": tokens[0],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": tokens[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(tokens),
        },
    }


def message(text: str, *, id_: str = "msg_1") -> Item:
    return _message({"type": "output_text", "text": text, "annotations": [], "logprobs": []}, id_)


def call(name: str, call_id: str, **arguments: Any) -> Item:
    return _call(name, json.dumps(arguments), call_id)


def _message(part: Item, id_: str) -> Item:
    return {
        "id": id_,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }


def _call(name: str, arguments: str, call_id: str) -> Item:
    return {
        "id": f"fc_{call_id}",
        "type": "function_call",
        "status": "completed",
        "name": name,
        "call_id": call_id,
        "arguments": arguments,
    }


def body_of(answer: Answer, model: str, mark: str) -> dict[str, Any]:
    """The whole answer as JSON; the mark keeps its ids apart from those of others."""
    items = [_item(part, f"{mark}_{place}") for place, part in enumerate(answer.parts)]
    body = response(*items, tokens=answer.tokens, model=model, id_=f"resp_{mark}")
    body["usage"]["input_tokens_details"]["cached_tokens"] = answer.cached
    if answer.cut:
        body |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        for item in items:
            item["status"] = "incomplete"
    if answer.ending == "fails":
        body |= {"status": "failed", "output": [], "usage": None}
        body["error"] = {"code": "server_error", "message": "told to fail"}
    return body


def _item(part: Part, mark: str) -> Item:
    if isinstance(part, Text):
        return message(part.text, id_=f"msg_{mark}")
    if isinstance(part, Refusal):
        return _message({"type": "refusal", "refusal": part.text}, f"msg_{mark}")
    if isinstance(part, Call):
        return _call(part.name, part.arguments, f"call_{mark}" if part.id is None else part.id)
    return {
        "id": f"rs_{mark}",
        "type": "reasoning",
        "summary": [],
        "encrypted_content": part.sealed,
    }


def events_of(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events in which the API streams an answer."""
    begun = {
        **body,
        "status": "in_progress",
        "output": [],
        "usage": None,
        "error": None,
        "incomplete_details": None,
    }
    numbers = itertools.count()
    for type_, fields in (
        ("created", {"response": begun}),
        ("in_progress", {"response": begun}),
        *(
            event
            for index, item in enumerate(body["output"])
            for event in _item_events(item, index)
        ),
        (body["status"], {"response": body}),
    ):
        yield {"type": f"response.{type_}", "sequence_number": next(numbers), **fields}


def _item_events(item: Item, index: int) -> Iterator[tuple[str, dict[str, Any]]]:
    place = {"item_id": item["id"], "output_index": index}
    begun = {**item, "status": "in_progress"}
    if item["type"] == "message":
        yield "output_item.added", {"output_index": index, "item": {**begun, "content": []}}
        [part] = item["content"]
        kind = part["type"]
        field = "text" if kind == "output_text" else "refusal"
        # Only of texts does the API tell how likely each token was.
        more: Item = {"logprobs": []} if kind == "output_text" else {}
        told = {**place, "content_index": 0}
        yield "content_part.added", {**told, "part": {**part, field: ""}}
        for piece in pieces_of(part[field]):
            yield f"{kind}.delta", {**told, "delta": piece, **more}
        yield f"{kind}.done", {**told, field: part[field], **more}
        yield "content_part.done", {**told, "part": part}
    elif item["type"] == "function_call":
        yield "output_item.added", {"output_index": index, "item": {**begun, "arguments": ""}}
        for piece in pieces_of(item["arguments"]):
            yield "function_call_arguments.delta", {**place, "delta": piece}
        told = {**place, "name": item["name"], "arguments": item["arguments"]}
        yield "function_call_arguments.done", told
    else:
        yield "output_item.added", {"output_index": index, "item": {**item, "summary": []}}
        for place_of, part in enumerate(item["summary"]):
            told = {**place, "summary_index": place_of}
            yield "reasoning_summary_part.added", {**told, "part": {**part, "text": ""}}
            yield "reasoning_summary_text.delta", {**told, "delta": part["text"]}
            yield "reasoning_summary_text.done", {**told, "text": part["text"]}
            yield "reasoning_summary_part.done", {**told, "part": part}
    yield "output_item.done", {"output_index": index, "item": item}


ERROR_EVENT: dict[str, Any] = {
    "type": "error",
    "code": "server_error",
    "message": "told to fail",
    "param": None,
    "sequence_number": 99,
}
"""What a stream tells in place of the rest when the vendor fails in the middle."""


def is_piece(event: dict[str, Any]) -> bool:
    """Whether an event is a piece of what the model says or calls, and so a place to stop at."""
    return event["type"] in {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
    }


def pieces_of(text: str) -> list[str]:
    """Its words, each with the space behind it: what a stream tells one by one."""
    return re.findall(r"\S+\s*|\s+", text)


def unsound(items: list[Item]) -> str | None:
    """What the API refuses in an input; None when it is sound."""
    calls: set[str] = set()
    outputs: set[str] = set()
    for item in items:
        if item.get("type") == "function_call":
            calls.add(item["call_id"])
        elif item.get("type") == "function_call_output":
            if item["call_id"] not in calls:
                return (
                    f"No tool call found for function call output with call_id {item['call_id']}."
                )
            outputs.add(item["call_id"])
    for orphan in calls - outputs:
        return f"No tool output found for function call {orphan}."
    return None
