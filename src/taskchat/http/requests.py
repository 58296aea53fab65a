"""What a request carries besides parameters: an id, a body within limits, accepted formats."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from taskchat.errors import (
    Detail,
    InvalidRequest,
    NotAcceptable,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from taskchat.moments import new_id
from taskchat.settings import Settings
from taskchat.texts import DuplicateName, unique_names

REQUEST_ID_KEY: Final = "taskchat.request_id"
"""The key of the id in a request's scope."""

BODY_KEY: Final = "taskchat.body_bytes_max"
"""The key of the body's limit in a request's scope."""

HELD_KEY: Final = "taskchat.held"
"""The key of what a request holds in its scope; the gate lets go of it when the answer is over."""

HEAD_KEY: Final = "taskchat.only_head"
"""The key of whether a request came as HEAD; routes see GET."""

JSON: Final = "application/json"
"""The media type that every answer under /api can have."""

PROBLEM: Final = "application/problem+json"
"""The error format of RFC 9457, for those who ask for it."""

_QUALITY: Final = re.compile(r"q\s*=\s*([01]?(?:\.\d{0,3})?)")

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be, and how long it may take to arrive."""

    bytes_max: int
    timeout_s: float


def body_limits(scope: Mapping[str, object], settings: Settings) -> BodyLimits:
    """The limits of a request's body, by its address: imports are large, and chats that grow."""
    if scope["method"] == "POST" and str(scope["path"]).endswith(("/ui/chat", "/ag-ui")):
        return BodyLimits(settings.ui_body_bytes_max, settings.body_timeout_s)
    if scope["method"] == "POST" and str(scope["path"]).endswith("/import"):
        return BodyLimits(settings.import_bytes_max, settings.import_timeout_s)
    return BodyLimits(settings.body_bytes_max, settings.body_timeout_s)


def request_id_of(scope: Scope) -> str:
    """The id of a request: made once, returned with every error, written in every log line."""
    if REQUEST_ID_KEY not in scope:
        scope[REQUEST_ID_KEY] = str(new_id())
    return str(scope[REQUEST_ID_KEY])


def route_of(scope: Scope) -> str:
    """The template of a request's route, once that is found; the path itself holds a user's id."""
    return getattr(scope.get("route"), "path", "unknown")


async def current_request_id(request: Request) -> str:
    """The id of this request."""
    return request_id_of(request.scope)


RequestId = Annotated[str, Depends(current_request_id)]


def json_body(model: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """A dependency that reads the body as strict JSON.

    FastAPI's own reading answers 500 to NaN, to lone surrogates and to deep nesting, because its
    error echoes the input; and nothing in it refuses duplicate keys.
    """

    async def read(request: Request) -> Body:
        return await read_body(model, request)

    return read


async def read_body(model: type[Body], request: Request) -> Body:
    """Read a request's body as strict JSON.

    Raises:
        ServiceError: it is no JSON of this shape, or too much of it.
    """
    require_json(request)
    return parse(model, await _read(request))


def require_json(request: Request) -> None:
    """Refuse what is not plain JSON.

    Raises:
        UnsupportedMediaType: another media type, several, or an encoding.
    """
    if media_type_of(request) != JSON:
        raise UnsupportedMediaType


def media_type_of(request: Request) -> str:
    """The media type of a body in plain UTF-8; empty if it is anything else."""
    content_types = request.headers.getlist("content-type")
    encodings = request.headers.getlist("content-encoding")
    if len(content_types) != 1 or any(name.lower() != "identity" for name in encodings):
        return ""
    media_type, _, parameters = content_types[0].partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    return media_type.strip().lower() if charset in {"", "charset=utf-8"} else ""


async def _read(request: Request) -> bytes:
    return b"".join([chunk async for chunk in body_chunks(request)])


async def body_chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes, within its limit.

    Raises:
        PayloadTooLarge: there is more of it.
        InvalidRequest: the client left.
    """
    limit = int(request.scope[BODY_KEY])
    declared = request.headers.get("content-length", "").lstrip("0")
    if declared.isascii() and declared.isdigit() and (len(declared) > 12 or int(declared) > limit):
        raise _too_large(limit)
    read = 0
    try:
        async for chunk in request.stream():
            read += len(chunk)
            if read > limit:
                raise _too_large(limit)
            yield chunk
    except ClientDisconnect:
        # Nobody reads this answer; it keeps a client that left from looking like our crash.
        raise InvalidRequest("The body ended early; send all of it.") from None


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body may have {limit} bytes at most; send less.")


def parse(model: type[Body], raw: bytes) -> Body:
    """Parse JSON text as a model; every error names its field and none holds a value.

    Raises:
        InvalidRequest: not JSON, not the model, or a key twice.
    """
    if not raw:
        raise InvalidRequest(
            "The body is empty; send a JSON object.",
            details=[Detail("body", "is empty")],
        )
    try:
        value = model.model_validate_json(raw)
    except ValidationError as error:
        raise InvalidRequest(details=_details(error)) from None
    # Only what the strict parser took, including nesting and numbers, is parsed once more.
    if not has_unique_keys(raw):
        raise InvalidRequest(details=[Detail("body", "has a key more than once")])
    return value


def _details(error: ValidationError) -> list[Detail]:
    details = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        # An unknown key is the caller's text, and is not repeated.
        known = problem["type"] != "extra_forbidden"
        where = [str(part) for part in problem["loc"]] if known else []
        if problem["type"] == "json_invalid":
            details.append(Detail("body", "is not valid JSON"))
        elif not known:
            details.append(Detail("body", "has a key that is not part of the contract"))
        else:
            message = problem["msg"].removeprefix("Value error, ")
            details.append(Detail(".".join(where) or "body", message[:1].lower() + message[1:]))
    return details


def has_unique_keys(raw: bytes | str) -> bool:
    """Whether no object of a JSON text, which a strict parser accepted, has a key twice."""
    try:
        json.loads(raw, object_pairs_hook=unique_names)
    except DuplicateName:
        return False
    return True


def accept_of(scope: Scope) -> str:
    """What a request accepts; empty if it doesn't say."""
    return ", ".join(Headers(scope=scope).getlist("accept"))


def weights(header: str) -> Iterator[tuple[str, float | None]]:
    """What a header like Accept names, and how much each is wanted.

    Yields:
        A name, and its weight from 0 to 1; None if the weight can't be read.

    Source: RFC 9110, section 12.4.2.
    """
    for part in header.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight: float | None = 1.0
        for parameter in parameters:
            if parameter.lower().startswith("q"):
                found = _QUALITY.fullmatch(parameter.lower())
                is_number = found and found[1] not in {"", "."}
                weight = min(1.0, float(found[1])) if found and is_number else None
        yield name, weight


def quality(accept: str, media_type: str) -> float:
    """How much a media type is wanted, from 0 to 1; the most specific range decides.

    Args:
        accept: As `accept_of` gives it; empty accepts everything.
        media_type: Such as `application/json`.

    Source: RFC 9110, section 12.5.1.
    """
    if not accept:
        return 1.0
    ranges = {
        media_range.lower(): 1.0 if weight is None else weight
        for media_range, weight in weights(accept)
    }
    everything = ranges.get("*/*", ranges.get("*", 0.0))
    kind = media_type.partition("/")[0]
    return ranges.get(media_type, ranges.get(f"{kind}/*", everything))


def prefers_problem(accept: str) -> bool:
    """Whether errors are wanted in the form of RFC 9457: named, and no less than our own form."""
    if PROBLEM not in accept.lower():
        return False
    wanted = quality(accept, PROBLEM)
    return wanted > 0 and wanted >= quality(accept, JSON)


async def require_json_accepted(request: Request) -> None:
    """Refuse a request that takes nothing this service can give.

    Raises:
        NotAcceptable: neither our JSON nor, in case of an error, RFC 9457's is accepted.
    """
    accept = accept_of(request.scope)
    if not quality(accept, JSON) and not prefers_problem(accept):
        raise NotAcceptable


AcceptsJson = Depends(require_json_accepted)


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI part for a body that `json_body` reads."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": schema}},
        }
    }
