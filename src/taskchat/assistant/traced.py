"""What spans of agents, models and tools say, by the semantic conventions for GenAI.

Source: OpenTelemetry, semantic-conventions-genai, of autumn 2026; all of it is in development.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from agents import ModelResponse

from taskchat.settings import BUILT_IN
from taskchat.telemetry.traces import Attributes


def of_agent(name: str) -> Attributes:
    """The facts of a run."""
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "taskchat",
        "gen_ai.agent.name": name,
        "gen_ai.conversation.id": _conversation(),
    }


def of_call(model: str) -> Attributes:
    """The facts of a call of a model, before its answer."""
    return {
        "gen_ai.operation.name": "chat",
        # Whose form of requests is spoken; who is behind the address is not ours to know.
        "gen_ai.provider.name": "taskchat" if model in BUILT_IN else "openai",
        "gen_ai.request.model": model,
        "gen_ai.conversation.id": _conversation(),
    }


def of_answer(response: ModelResponse) -> Attributes:
    """The facts of an answer."""
    used = response.usage
    return {
        "gen_ai.response.id": response.response_id,
        "gen_ai.usage.input_tokens": used.input_tokens,
        "gen_ai.usage.output_tokens": used.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": getattr(
            used.input_tokens_details, "cached_tokens", None
        ),
    }


def of_embeddings(model: str) -> Attributes:
    """The facts of a call of a model that makes vectors."""
    return {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
    }


def of_tool(name: str, call_id: str | None = None) -> Attributes:
    """The facts of a tool call."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.type": "function",
    }


def asked_in(instructions: str | None, items: Iterable[Any]) -> dict[str, Any]:
    """What a model is told."""
    return {
        "gen_ai.system_instructions": [_text(instructions or "")],
        "gen_ai.input.messages": [_message(item) for item in items],
    }


def answered_in(response: ModelResponse) -> dict[str, Any]:
    """What a model answers."""
    reason = "stop"
    messages = []
    for item in response.to_input_items():
        messages.append(_message(item))
        if messages[-1]["parts"][0]["type"] == "tool_call":
            reason = "tool_call"
    return {
        "gen_ai.output.messages": [
            {**message, "role": "assistant", "finish_reason": reason} for message in messages
        ]
    }


def _conversation() -> str | None:
    """The one that log lines name: a run knows nothing of whose turn it is."""
    return structlog.contextvars.get_contextvars().get("conversation_id")


def _text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a conversation as the conventions have messages."""
    kind = item.get("type", "message")
    if kind == "function_call":
        part = {
            "type": "tool_call",
            "id": item.get("call_id"),
            "name": item.get("name"),
            "arguments": _read(str(item.get("arguments"))),
        }
        return {"role": "assistant", "parts": [part]}
    if kind == "function_call_output":
        part = {
            "type": "tool_call_response",
            "id": item.get("call_id"),
            "response": _read(str(item.get("output"))),
        }
        return {"role": "tool", "parts": [part]}
    if kind != "message":
        return {"role": "assistant", "parts": [{"type": str(kind)}]}
    content = item.get("content") or ""
    parts = [content] if isinstance(content, str) else [one.get("text", "") for one in content]
    return {"role": item.get("role", "assistant"), "parts": [_text(part) for part in parts]}


def _read(text: str) -> Any:
    """JSON as it is meant; a text that is none as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text
