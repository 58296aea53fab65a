"""The one renderer: an error becomes an HTTP answer here and nowhere else.

It never holds what the caller sent, a traceback, SQL, a secret or a path.
"""

import json
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from taskchat import errors
from taskchat.errors import Detail, ServiceError
from taskchat.requests import request_id_of

log = structlog.get_logger()

PROBLEM: Final = "application/problem+json"
"""The form of RFC 9457, for those who ask for it."""

REPLAYED_HEADER: Final = "Idempotent-Replayed"
"""Says that an answer was given before, to the same Idempotency-Key."""

_OF_STATUS: Final[dict[int, type[ServiceError]]] = {
    400: errors.InvalidRequest,
    401: errors.InvalidAuth,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    406: errors.NotAcceptable,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
    422: errors.InvalidRequest,
}
"""What the framework raises on its own, in our words."""


def render(error: ServiceError, *, request_id: str, accept: str = "") -> Response:
    """The answer that an error is.

    Args:
        error: What happened.
        request_id: Of the request at hand; an error that is told again keeps its first one.
        accept: The request's Accept header.
    """
    request_id = error.request_id or request_id
    facts: dict[str, Any] = {
        "error_code": error.code,
        "error": error.message,
        "conversation_id": str(error.conversation_id) if error.conversation_id else None,
        "turn_id": str(error.turn_id) if error.turn_id else None,
        "request_id": request_id,
        "details": [{"field": detail.field, "problem": detail.problem} for detail in error.details],
    }
    if PROBLEM in accept:
        media_type = PROBLEM
        body = {
            "type": f"urn:taskchat:error:{error.code}",
            "title": error.code.replace("_", " ").capitalize(),
            "status": error.status,
            "detail": facts.pop("error"),
            **facts,
        }
    else:
        media_type = "application/json"
        body = {"status": "error", **facts}
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.replayed:
        headers[REPLAYED_HEADER] = "true"
    if isinstance(error, errors.InvalidAuth):
        headers["WWW-Authenticate"] = 'Bearer realm="taskchat"'
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(
        content.encode("utf-8", "replace"), error.status, headers, media_type=media_type
    )


def install(app: FastAPI) -> None:
    """Answer everything that routes and framework raise."""

    async def service_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ServiceError)  # noqa: S101 - as it is registered
        if error.status >= 500:
            log.warning("request.failed", error_code=error.code, path=_route(request))
        return _render(request, error)

    async def framework_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as it is registered
        ours = _OF_STATUS.get(error.status_code, errors.InternalError)()
        response = _render(request, ours)
        if error.headers and "allow" in {name.lower() for name in error.headers}:
            response.headers["Allow"] = dict(error.headers).get("Allow", "")
        return response

    async def invalid_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as it is registered
        details = [
            Detail(
                field=".".join(str(part) for part in problem["loc"][1:]) or "request",
                problem=problem["msg"],
            )
            for problem in error.errors()
        ]
        return _render(request, errors.InvalidRequest(details=details))

    app.add_exception_handler(ServiceError, service_error)
    app.add_exception_handler(HTTPException, framework_error)
    app.add_exception_handler(RequestValidationError, invalid_parameters)


def _render(request: Request, error: ServiceError) -> Response:
    return render(
        error,
        request_id=request_id_of(request.scope),
        accept=request.headers.get("accept", ""),
    )


def _route(request: Request) -> str:
    """The route's template; the path itself holds a user's id."""
    return getattr(request.scope.get("route"), "path", "unknown")
