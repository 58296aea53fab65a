"""The OpenAPI document: what FastAPI derives, with our errors in place of its own."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from taskchat import errors
from taskchat.errors import ServiceError
from taskchat.turns.schemas import ErrorBody

EVERYWHERE: tuple[type[ServiceError], ...] = (
    errors.InvalidRequest,
    errors.InvalidAuth,
    errors.Forbidden,
    errors.NotFound,
    errors.NotAcceptable,
    errors.InternalError,
    errors.DatabaseError,
)
"""What every route under /api may answer."""

WITH_BODY: tuple[type[ServiceError], ...] = (
    errors.RequestTimeout,
    errors.PayloadTooLarge,
    errors.UnsupportedMediaType,
)

OF_CHAT: tuple[type[ServiceError], ...] = (
    errors.ConversationBusy,
    errors.ConversationEnded,
    errors.TurnInProgress,
    errors.TurnCancelled,
    errors.IdempotencyMismatch,
    errors.ModelError,
    errors.ShuttingDown,
    errors.RunTimeout,
)


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
                operation["security"] = [{"bearer": []}]
                _add_errors(path, operation)
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["schemas"]["ErrorBody"] = ErrorBody.model_json_schema()
    return schema


def _hoist(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Move a body's inline schema to the components, where clients' generators look for it."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content and "title" in content["schema"]:
        name = content["schema"]["title"]
        schemas[name] = content["schema"]
        content["schema"] = {"$ref": f"#/components/schemas/{name}"}


def _add_errors(path: str, operation: dict[str, Any]) -> None:
    possible = list(EVERYWHERE)
    if "requestBody" in operation:
        possible += WITH_BODY
    if path.endswith("/chat"):
        possible += OF_CHAT
        operation["parameters"].append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key is the same turn: its answer is given again.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    if path.endswith("/cancel"):
        possible.append(errors.TurnNotCancellable)
    codes: dict[int, list[str]] = {}
    for error in possible:
        codes.setdefault(error.status, []).append(error.code)
    for status, names in sorted(codes.items()):
        operation["responses"][str(status)] = {
            "description": ", ".join(f"`{name}`" for name in names),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
        }
