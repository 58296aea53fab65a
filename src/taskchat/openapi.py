"""The OpenAPI document: what FastAPI derives, with our errors in place of its own."""

from collections.abc import Iterable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from taskchat import errors
from taskchat.errors import ServiceError
from taskchat.http.headers import (
    CONVERSATION_HEADER,
    IDEMPOTENCY_HEADER,
    LANGUAGE_HEADER,
    LAST_EVENT_HEADER,
    NONE_MATCH_HEADER,
    OFFLINE_HEADER,
    RATE_HEADERS,
    SCRIPT_HEADER,
    STREAM_HEADERS,
    TIME_ZONE_HEADER,
)
from taskchat.http.problems import OPENAI_PATHS
from taskchat.http.requests import JSON
from taskchat.reference.about import ERRORS, tags
from taskchat.reference.examples.placing import illustrate
from taskchat.transports.mcp_http.metadata import MCP_PATH
from taskchat.transports.openai_http.shapes import OpenAIError
from taskchat.transports.socket.frames import CLIENT_FRAME, SERVER_FRAME
from taskchat.transports.sse import EVENT_STREAM
from taskchat.turns.events import EVENT
from taskchat.turns.schemas import AwaitingAnswer, ErrorBody

EVERYWHERE: tuple[type[ServiceError], ...] = (
    errors.InvalidRequest,
    errors.InvalidAuth,
    errors.Forbidden,
    errors.NotFound,
    errors.NotAcceptable,
    errors.HeadersTooLarge,
    errors.InternalError,
    errors.DatabaseError,
    errors.Overloaded,
)
"""The errors that every route under /api may answer with."""

WITH_BODY: tuple[type[ServiceError], ...] = (
    errors.RequestTimeout,
    errors.PayloadTooLarge,
    errors.UnsupportedMediaType,
)

OF_MESSAGE: tuple[type[ServiceError], ...] = (
    errors.ConversationBusy,
    errors.ConversationEnded,
    errors.TooManyActive,
    errors.AwaitingFeedback,
    errors.IdempotencyMismatch,
    errors.RateLimited,
    errors.ShuttingDown,
)
"""Of a message that is not taken."""

OF_CHAT: tuple[type[ServiceError], ...] = (
    *OF_MESSAGE,
    errors.TurnInProgress,
    errors.TurnCancelled,
    errors.ModelError,
    errors.ScriptError,
    errors.RunTimeout,
)
"""Of one whose answer is waited for."""

OF_ROUTES: dict[tuple[str, str], tuple[type[ServiceError], ...]] = {
    ("post", "/turns/{turn_id}/messages"): (errors.TooManySteering, *OF_MESSAGE),
    ("post", "/turns/{turn_id}/cancel"): (errors.TurnNotCancellable,),
    ("post", "/feedback/{feedback_id}/respond"): (errors.FeedbackClosed, errors.ShuttingDown),
    ("post", "/ui/chat"): (errors.TooManyVersions, errors.FeedbackClosed, *OF_MESSAGE),
    ("post", "/shares"): (errors.TooManyShares,),
    ("post", "/webhooks"): (errors.TooManyWebhooks,),
    ("post", "/tasks"): (errors.TooManyTasks,),
    ("post", "/import"): (errors.TooManyConversations, errors.TooManyTasks),
    ("post", "/schedules"): (errors.TooManySchedules, errors.ConversationEnded),
    ("patch", "/schedules/{schedule_id}"): (errors.TooManySchedules,),
    ("patch", "/conversations/{conversation_id}"): (
        errors.ConversationEnded,
        errors.TooManyActive,
    ),
}
"""Of single routes, by method and by how their address ends."""
VERSIONS: Final = ("/messages/{message_id}", "/messages/{message_id}/regenerate")
"""How the paths of routes end that make another version of a message."""

BEGIN: Final = ("/chat", "/ag-ui")
"""How the paths of routes end whose message may begin a conversation."""

OF_LINK: tuple[type[ServiceError], ...] = tuple(
    error for error in EVERYWHERE if error not in (errors.InvalidAuth, errors.Forbidden)
)
"""Of the route that asks for no token of a user's."""

OF_MCP: tuple[type[ServiceError], ...] = (
    errors.InvalidAuth,
    errors.Forbidden,
    errors.TooManyAtOnce,
    errors.HeadersTooLarge,
    errors.InternalError,
    errors.DatabaseError,
    errors.Overloaded,
)
"""Of the route of MCP clients, before their message is read; after that, JSON-RPC has its own."""

OF_OPENAI: tuple[type[ServiceError], ...] = tuple(
    error for error in EVERYWHERE if error not in (errors.Forbidden, errors.NotAcceptable)
)
"""Of all routes for OpenAI's clients; their paths name nobody."""

OF_ACCOUNTS: dict[str, tuple[type[ServiceError], ...]] = {
    "/register": (errors.AlreadyRegistered, errors.RateLimited, errors.SignInsBusy),
    "/login": (errors.RateLimited, errors.SignInsBusy),
    "/password": (errors.RateLimited, errors.SignInsBusy),
    "/me": (errors.RateLimited, errors.SignInsBusy),
}
"""By the end of their address: where a password is asked for."""

WITHOUT_TOKEN: Final = frozenset({"/api/auth/register", "/api/auth/login", "/api/auth/refresh"})
"""What is asked for before there is a token."""

UNIONS: dict[str, TypeAdapter[Any]] = {
    "AwaitingAnswer": TypeAdapter(AwaitingAnswer),
    "Event": EVENT,
    "OpenAIError": TypeAdapter(OpenAIError),
    "ClientFrame": CLIENT_FRAME,
    "ServerFrame": SERVER_FRAME,
}
"""What FastAPI does not see. For what sockets carry, OpenAPI has no place but its schemas."""

REF: Final = "#/components/schemas/{model}"

STREAM_OF_EVENTS: dict[str, Any] = {
    "schema": {
        "type": "string",
        "description": "Server-sent events: `event` is the type, `id` the seq, `data` the JSON of "
        "an Event.",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": REF.format(model="Event")},
    }
}


def document(app: FastAPI) -> None:
    """Give the app its document, made at the first request for it."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _openapi(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to replace it


def _openapi(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schema["info"]["description"] += f"\n\n{ERRORS}"
    schema["tags"] = tags()
    components = schema.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _hoist(operation, components.setdefault("schemas", {}))
            operation["responses"].pop("422", None)
            if path.startswith("/api/"):
                operation["security"] = [] if path in WITHOUT_TOKEN else [{"bearer": []}]
                _add_errors(method, path, operation)
            elif path == MCP_PATH:
                operation["security"] = [{"bearer": []}]
                _add_responses(operation, OF_MCP)
            elif path.startswith(OPENAI_PATHS):
                operation["security"] = [{"bearer": []}]
                _add_openai(method, path, operation)
            elif path.startswith("/share/"):
                _add_responses(operation, OF_LINK)
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["schemas"]["ErrorBody"] = ErrorBody.model_json_schema()
    for name, adapter in UNIONS.items():
        union = adapter.json_schema(ref_template=REF)
        components["schemas"].update(union.pop("$defs"))
        components["schemas"][name] = union
    illustrate(schema)
    return schema


def _hoist(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Move a body's inline schema to the components, where clients' generators look for it."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content and "title" in content["schema"]:
        name = content["schema"]["title"]
        schemas.update(content["schema"].pop("$defs", {}))
        schemas[name] = content["schema"]
        content["schema"] = {"$ref": f"#/components/schemas/{name}"}


def _header(name: str, meaning: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": meaning,
        "schema": schema,
    }


MESSAGE_HEADERS: Final = [
    _header(
        IDEMPOTENCY_HEADER,
        "The same key is the same turn: its answer is given again.",
        type="string",
        minLength=1,
        maxLength=255,
    ),
    _header(TIME_ZONE_HEADER, "The person's, by its IANA name; another is as none.", type="string"),
    _header(LANGUAGE_HEADER, "What they prefer to read.", type="string"),
    _header(
        OFFLINE_HEADER,
        "How the offline model behaves, where that may be said: delay=2, pace=0.05, fail=error.",
        type="string",
    ),
    _header(
        SCRIPT_HEADER,
        "What the model answers, as JSON, where that may be said.",
        type="string",
    ),
]

RATE_LEFT: Final = {
    name: {"description": meaning, "schema": {"type": "integer"}}
    for name, meaning in RATE_HEADERS.items()
}

EVENTS_HEADERS: Final = [
    _header(
        LAST_EVENT_HEADER,
        "The last event that the client has; what followed is sent.",
        type="integer",
        minimum=0,
    )
]

STREAM_REQUEST_HEADERS: Final = [
    _header(NONE_MATCH_HEADER, "The ETag of the answer that the client has.", type="string")
]


def _add_stream(operation: dict[str, Any]) -> None:
    """What Durable Streams clients are answered, in either form."""
    done = operation["responses"]["200"]
    events = {"type": "array", "items": {"$ref": REF.format(model="Event")}}
    lines = {
        "type": "string",
        "description": "Server-sent events: `data`, an array of Events as JSON, each time followed "
        "by `control`, which says where that is.",
    }
    done["content"] = {JSON: {"schema": events}, EVENT_STREAM: {"schema": lines}}
    for status in ("200", "204", "304"):
        operation["responses"][status]["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}}
            for name, meaning in STREAM_HEADERS.items()
        }
    operation["parameters"] += STREAM_REQUEST_HEADERS


def _add_errors(method: str, path: str, operation: dict[str, Any]) -> None:
    possible = list(EVERYWHERE)
    if not path.startswith("/api/auth/"):
        possible.append(errors.TooManyAtOnce)
    if "requestBody" in operation:
        possible += WITH_BODY
    if path.endswith(VERSIONS):
        possible.append(errors.TooManyVersions)
    if path.endswith(BEGIN):
        possible.append(errors.TooManyConversations)
    if path.endswith("/ui/chat"):
        operation["responses"]["200"]["headers"] = dict(RATE_LEFT)
        operation["parameters"] += MESSAGE_HEADERS
    elif path.endswith(("/chat", *VERSIONS)):
        possible += OF_CHAT
        done = operation["responses"]["200"]
        done["headers"] = dict(RATE_LEFT)
        done["content"][EVENT_STREAM] = dict(STREAM_OF_EVENTS)
        operation["responses"]["202"] = {
            "description": "The turn waits for its user, who is asked something; it goes on once "
            "that is answered.",
            "headers": done["headers"],
            "content": {JSON: {"schema": {"$ref": REF.format(model="AwaitingAnswer")}}},
        }
        operation["parameters"] += MESSAGE_HEADERS
    if path.endswith("/events"):
        operation["responses"]["200"]["content"] = {EVENT_STREAM: dict(STREAM_OF_EVENTS)}
        operation["parameters"] += EVENTS_HEADERS
    if path.endswith("/ag-ui"):
        possible += (*OF_MESSAGE, errors.FeedbackClosed, errors.TurnNotCancellable)
        operation["parameters"] += MESSAGE_HEADERS
    if path.endswith("/turns/{turn_id}/stream"):
        _add_stream(operation)
        possible.append(errors.ShuttingDown)
    if path.startswith("/api/auth/") and "requestBody" in operation:
        possible += OF_ACCOUNTS.get(path.removeprefix("/api/auth"), ())
    for (of_method, ending), of_route in OF_ROUTES.items():
        if method == of_method and path.endswith(ending):
            possible += of_route
    _add_responses(operation, possible)


def _add_openai(method: str, path: str, operation: dict[str, Any]) -> None:
    possible = [*OF_OPENAI, errors.TooManyAtOnce]
    if "requestBody" in operation:
        possible += (*WITH_BODY, *OF_CHAT, errors.TooManyConversations)
        possible += (errors.TooManyVersions, errors.FeedbackClosed)
        operation.setdefault("parameters", []).extend(MESSAGE_HEADERS)
        if path.endswith("/completions"):
            meaning = "The conversation, where `metadata` does not name it."
            operation["parameters"].append(_header(CONVERSATION_HEADER, meaning, type="string"))
    if path.endswith("/cancel"):
        possible.append(errors.TurnNotCancellable)
    _add_responses(operation, possible, form="OpenAIError")


def _add_responses(
    operation: dict[str, Any], possible: Iterable[type[ServiceError]], *, form: str = "ErrorBody"
) -> None:
    codes: dict[int, list[str]] = {}
    for error in possible:
        codes.setdefault(error.status, []).append(error.code)
    for status, names in sorted(codes.items()):
        described: dict[str, Any] = {"schema": {"$ref": REF.format(model=form)}}
        if form == "ErrorBody":
            described["examples"] = {
                name: {"$ref": f"#/components/examples/{name}"} for name in names
            }
        operation["responses"][str(status)] = {
            "description": ", ".join(f"`{name}`" for name in names),
            "content": {JSON: described},
        }
