"""The OpenAPI document: what FastAPI derives, with our errors in place of its own."""

from collections.abc import Iterable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from taskchat import errors
from taskchat.errors import ServiceError
from taskchat.http.headers import (
    IDEMPOTENCY_HEADER,
    LANGUAGE_HEADER,
    LAST_EVENT_HEADER,
    OFFLINE_HEADER,
    RATE_HEADERS,
    SCRIPT_HEADER,
    TIME_ZONE_HEADER,
)
from taskchat.transports.socket.frames import CLIENT_FRAME, SERVER_FRAME
from taskchat.transports.sse import EVENT_STREAM
from taskchat.turns.events import EVENT
from taskchat.turns.schemas import ErrorBody

EVERYWHERE: tuple[type[ServiceError], ...] = (
    errors.InvalidRequest,
    errors.InvalidAuth,
    errors.Forbidden,
    errors.NotFound,
    errors.NotAcceptable,
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

OF_CHAT: tuple[type[ServiceError], ...] = (
    errors.ConversationBusy,
    errors.ConversationEnded,
    errors.TooManyActive,
    errors.TurnInProgress,
    errors.TurnCancelled,
    errors.IdempotencyMismatch,
    errors.RateLimited,
    errors.ModelError,
    errors.ScriptError,
    errors.ShuttingDown,
    errors.RunTimeout,
)


OF_CONVERSATION_CHANGE: tuple[type[ServiceError], ...] = (
    errors.ConversationEnded,
    errors.TooManyActive,
)

VERSIONS: Final = ("/messages/{message_id}", "/messages/{message_id}/regenerate")
"""How the paths of routes end that make another version of a message."""

OF_LINK: tuple[type[ServiceError], ...] = tuple(
    error for error in EVERYWHERE if error not in (errors.InvalidAuth, errors.Forbidden)
)
"""Of the route that asks for no token of a user's."""

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
    "Event": EVENT,
    "ClientFrame": CLIENT_FRAME,
    "ServerFrame": SERVER_FRAME,
}
"""What streams and sockets carry; for sockets OpenAPI has no place but its schemas."""

STREAM_OF_EVENTS: dict[str, Any] = {
    "schema": {
        "type": "string",
        "description": "Server-sent events: `event` is the type, `id` the seq, `data` the JSON of "
        "an Event.",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": "#/components/schemas/Event"},
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
    components = schema.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            _hoist(operation, components.setdefault("schemas", {}))
            operation["responses"].pop("422", None)
            if path.startswith("/api/"):
                operation["security"] = [] if path in WITHOUT_TOKEN else [{"bearer": []}]
                _add_errors(path, operation)
            elif path.startswith("/share/"):
                _add_responses(operation, OF_LINK)
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["schemas"]["ErrorBody"] = ErrorBody.model_json_schema()
    for name, adapter in UNIONS.items():
        union = adapter.json_schema(ref_template="#/components/schemas/{model}")
        components["schemas"].update(union.pop("$defs"))
        components["schemas"][name] = union
    return schema


def _hoist(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Move a body's inline schema to the components, where clients' generators look for it."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content and "title" in content["schema"]:
        name = content["schema"]["title"]
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

EVENTS_HEADERS: Final = [
    _header(
        LAST_EVENT_HEADER,
        "The last event that the client has; what followed is sent.",
        type="integer",
        minimum=0,
    )
]


def _add_errors(path: str, operation: dict[str, Any]) -> None:
    possible = list(EVERYWHERE)
    if "requestBody" in operation:
        possible += WITH_BODY
    if path.endswith(VERSIONS):
        possible.append(errors.TooManyVersions)
    if path.endswith(("/chat", *VERSIONS)):
        possible += OF_CHAT
        done = operation["responses"]["200"]
        done["headers"] = {
            name: {"description": meaning, "schema": {"type": "integer"}}
            for name, meaning in RATE_HEADERS.items()
        }
        done["content"][EVENT_STREAM] = STREAM_OF_EVENTS
        operation["parameters"] += MESSAGE_HEADERS
    if path.endswith("/events"):
        operation["responses"]["200"]["content"] = {EVENT_STREAM: STREAM_OF_EVENTS}
        operation["parameters"] += EVENTS_HEADERS
    if path.endswith("/{conversation_id}") and "requestBody" in operation:
        possible += OF_CONVERSATION_CHANGE
    if path.startswith("/api/auth/") and "requestBody" in operation:
        possible += OF_ACCOUNTS.get(path.removeprefix("/api/auth"), ())
    if path.endswith("/cancel"):
        possible.append(errors.TurnNotCancellable)
    if path.endswith("/shares") and "requestBody" in operation:
        possible.append(errors.TooManyShares)
    if path.endswith("/webhooks") and "requestBody" in operation:
        possible.append(errors.TooManyWebhooks)
    _add_responses(operation, possible)


def _add_responses(operation: dict[str, Any], possible: Iterable[type[ServiceError]]) -> None:
    codes: dict[int, list[str]] = {}
    for error in possible:
        codes.setdefault(error.status, []).append(error.code)
    for status, names in sorted(codes.items()):
        operation["responses"][str(status)] = {
            "description": ", ".join(f"`{name}`" for name in names),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
        }
