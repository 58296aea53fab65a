"""The one renderer: an error becomes an HTTP answer here and nowhere else.

An answer never holds what the caller sent, a traceback, SQL, a secret or a path.
"""

import json
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from taskchat import errors
from taskchat.errors import Detail, ServiceError
from taskchat.http.headers import REPLAYED_HEADER, REQUEST_ID_HEADER, SHOULD_RETRY_HEADER
from taskchat.http.requests import PROBLEM, accept_of, prefers_problem, request_id_of, route_of

log = structlog.get_logger()


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
"""The errors that the framework raises on its own, in our words."""


OPENAI_PATHS: Final = "/v1/"
"""What the addresses begin with that speak as OpenAI does, errors included."""


def render(error: ServiceError, *, request_id: str, accept: str = "", path: str = "") -> Response:
    """Render an error as an answer.

    Args:
        error: What happened.
        request_id: Of the current request; an error that is repeated keeps its first one.
        accept: The request's Accept header.
        path: Where it was asked for.
    """
    request_id = error.request_id or request_id
    facts: dict[str, Any] = {
        "error_code": error.code,
        "error": error.message,
        "conversation_id": str(error.conversation_id) if error.conversation_id else None,
        "turn_id": str(error.turn_id) if error.turn_id else None,
        "request_id": request_id,
        "details": [detail.shown() for detail in error.details],
    }
    if path.startswith(OPENAI_PATHS):
        media_type = "application/json"
        body = openai_body(error)
    elif prefers_problem(accept):
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
    headers = {**error.headers, REQUEST_ID_HEADER: request_id}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.replayed:
        headers[REPLAYED_HEADER] = "true"
    if path.startswith(OPENAI_PATHS) and error.status == 409 and error.retry_after_s is None:
        # Their clients repeat a 409 unasked; what time does not mend they need not.
        headers.setdefault(SHOULD_RETRY_HEADER, "false")
    if isinstance(error, errors.InvalidAuth):
        headers.setdefault("WWW-Authenticate", 'Bearer realm="taskchat"')
    if isinstance(error, errors.RequestTimeout | errors.HeadersTooLarge):
        # The rest of such a request is not waited for.
        headers["Connection"] = "close"
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(
        content.encode("utf-8", "replace"), error.status, headers, media_type=media_type
    )


def openai_body(error: ServiceError) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    type_ = "server_error" if error.status >= 500 else "invalid_request_error"
    if isinstance(error, errors.RateLimited):
        type_ = "rate_limit_error"
    param = error.details[0].field if error.details and error.status < 500 else None
    return {"error": {"message": error.message, "type": type_, "param": param, "code": error.code}}


def install(app: FastAPI) -> None:
    """Render everything that routes and framework raise."""

    async def service_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ServiceError)  # noqa: S101 - as it is registered
        if error.status >= 500:
            log.warning("request.failed", error_code=error.code, path=route_of(request.scope))
        return _render(request, error)

    async def framework_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as it is registered
        ours = _OF_STATUS.get(error.status_code, errors.InternalError)()
        if isinstance(ours, errors.NotFound) and app.openapi_url:
            listed = f"There is nothing at this address; {app.openapi_url} lists what there is."
            ours = errors.NotFound(listed)
        response = _render(request, ours)
        if isinstance(ours, errors.MethodNotAllowed):
            response.headers["Allow"] = ", ".join(_methods_at(app, request))
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
        accept=accept_of(request.scope),
        path=request.scope["path"],
    )


def _methods_at(app: FastAPI, request: Request) -> list[str]:
    """All methods of an address; the framework names those of the first route that it tries."""
    methods = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in app.routes
        )
    ]
    return [*methods, "HEAD"] if "GET" in methods else methods
