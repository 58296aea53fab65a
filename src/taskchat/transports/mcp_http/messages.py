"""JSON-RPC as it comes in, read strictly; and what is refused before the protocol sees it."""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from taskchat.errors import (
    Detail,
    InvalidRequest,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    ServiceError,
    UnsupportedMediaType,
)
from taskchat.http.problems import render
from taskchat.http.requests import (
    JSON,
    body_chunks,
    has_unique_keys,
    request_id_of,
    require_json,
)
from taskchat.texts import is_storable

PARSE_ERROR: Final = -32700
"""JSON-RPC: what came is no JSON, or none that can be kept."""

INVALID_MESSAGE: Final = -32600
"""JSON-RPC: it is JSON, but no message."""

NO_METHOD: Final = -32601
"""JSON-RPC: nothing is called by this name."""

SERVER_ERROR: Final = -32000
"""JSON-RPC: an error of the server's own; `data` says which."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What a client posted.

    Attributes:
        raw: Its bytes, as they came.
        id: The request's id; None if it expects no answer.
        method: What is called.
    """

    raw: bytes
    id: str | int | None
    method: str


class NoMessage(InvalidRequest):
    """The body is JSON, but no message of the protocol."""

    default = "The body must be one JSON-RPC 2.0 request or notification; nothing was asked of you."


async def read_posted(request: Request) -> Posted:
    """Read one message within the body's limits.

    Raises:
        NoMessage: it is none.
        ServiceError: it is no JSON, or too much of it.
    """
    require_json(request)
    raw = b"".join([chunk async for chunk in body_chunks(request)])
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise _refusal("is not valid JSON") from None
    if not has_unique_keys(raw):
        raise _refusal("has a key more than once")
    if not _can_be_kept(value):
        raise _refusal("has a NUL, an unpaired surrogate or a number that is none in it")
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise NoMessage
    id_, method = value.get("id"), value.get("method")
    if not isinstance(method, str) or isinstance(id_, bool) or not _is_id(value, id_):
        raise NoMessage
    return Posted(raw, id_, method)


def _refusal(problem: str) -> InvalidRequest:
    return InvalidRequest(details=[Detail("body", problem)])


def _is_id(message: dict[str, Any], id_: object) -> bool:
    return "id" not in message or isinstance(id_, str | int)


def _can_be_kept(value: object) -> bool:
    """Whether no text and no number in it is one that JSON can't hold or Postgres can't keep."""
    left: list[object] = [value]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            left += part
        elif not _is_kept(part):
            return False
    return True


def _is_kept(part: object) -> bool:
    if isinstance(part, str):
        return is_storable(part)
    return not isinstance(part, float) or math.isfinite(part)


def _code(error: ServiceError) -> int:
    if isinstance(error, NoMessage):
        return INVALID_MESSAGE
    return PARSE_ERROR if isinstance(error, InvalidRequest) else SERVER_ERROR


def refused(error: ServiceError, request: Request, id_: str | int | None = None) -> Response:
    """An error as JSON-RPC tells it: with our status and headers, and our own form as its data."""
    ours = render(error, request_id=request_id_of(request.scope))
    body = _told(_code(error), error.message, id_, data=json.loads(bytes(ours.body)))
    headers = {
        name: value for name, value in ours.headers.items() if not name.startswith("content-")
    }
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        error.status,
        headers,
        media_type="application/json",
    )


def _told(code: int, message: str, id_: str | int | None, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message, **more}}


MESSAGE: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "description": "One JSON-RPC 2.0 message of the Model Context Protocol.",
                    "properties": {
                        "jsonrpc": {"const": "2.0"},
                        "id": {"type": ["string", "integer"]},
                        "method": {"type": "string"},
                        "params": {"type": "object"},
                    },
                    "required": ["jsonrpc", "method"],
                },
                "example": {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "tools/call",
                    "params": {"name": "add_task", "arguments": {"title": "Buy groceries"}},
                },
            }
        },
    }
}
"""What OpenAPI says of a message; the protocol's own schema says the rest."""

ANSWER: Final[dict[str, Any]] = {
    "schema": {
        "type": "object",
        "description": "The JSON-RPC 2.0 answer: `result`, or `error` with our own form as `data`.",
    },
    "example": {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {
            "content": [
                {
                    "type": "text",
                    "text": '{"task_id":1,"status":"created","title":"Buy groceries"}',
                }
            ],
            "structuredContent": {"task_id": 1, "status": "created", "title": "Buy groceries"},
            "isError": False,
        },
    },
}
"""What it says of an answer."""

_PROTOCOLS: Final = {
    400: ("No message of the protocol, or one that its version does not allow.", INVALID_MESSAGE),
    404: ("Method not found", NO_METHOD),
    406: ("Not Acceptable: Client must accept application/json", INVALID_MESSAGE),
}
"""What the protocol itself refuses, by status: in which words, and its code."""

_OURS: Final = (RequestTimeout, PayloadTooLarge, UnsupportedMediaType, RateLimited)

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": message,
        "content": {JSON: {"schema": ANSWER["schema"], "example": _told(code, message, None)}},
    }
    for status, (message, code) in {
        **_PROTOCOLS,
        **{error.status: (error.default, SERVER_ERROR) for error in _OURS},
    }.items()
}
"""What it says of a message that is not taken, which is told as JSON-RPC, too."""
