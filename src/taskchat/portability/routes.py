"""Taking one's data along, bringing it in, deleting it."""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import StreamingResponse

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.conversations.routes import ConversationId
from taskchat.errors import Forbidden, NotAcceptable, ServiceError, UnsupportedMediaType
from taskchat.http.crowds import Crowds
from taskchat.http.dependencies import CurrentDatabase, part_of
from taskchat.http.gate import BrokenAnswer
from taskchat.http.requests import (
    JSON,
    AcceptsJson,
    RequestId,
    accept_of,
    body_chunks,
    media_type_of,
    quality,
)
from taskchat.moments import utc_now
from taskchat.portability.bringing import Bringing
from taskchat.portability.documents import ENDINGS, JSON_LINES, MEDIA_TYPES, Format, writer
from taskchat.portability.exporting import Pages, conversation, everything
from taskchat.portability.forgetting import forget
from taskchat.portability.importing import Import
from taskchat.portability.schemas import ImportOut
from taskchat.portability.splitting import lines_in
from taskchat.principal import is_account
from taskchat.transports.dependencies import CurrentLive

log = structlog.get_logger()

router = APIRouter(prefix="/api/{user_id}", tags=["data"], dependencies=[Authenticated])

IMPORTED: Final = (JSON_LINES, "application/jsonl")
"""Both names under which JSON lines go."""

EXPORT_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The document, streamed; one that breaks off is not whole.",
        "headers": {
            "Content-Disposition": {
                "description": "A name for the file.",
                "schema": {"type": "string"},
            }
        },
        "content": {
            name: {"schema": {"type": "object" if name == JSON else "string"}}
            for name in MEDIA_TYPES.values()
        },
    }
}


async def wanted_format(
    request: Request,
    format_: Annotated[
        Format, Query(alias="format", description="Only jsonl can be imported.")
    ] = "json",
) -> Format:
    """The format of an export.

    Raises:
        NotAcceptable: the request does not accept it.
    """
    media_type = MEDIA_TYPES[format_]
    if not quality(accept_of(request.scope), media_type):
        raise NotAcceptable(f"This format is {media_type}; accept that, or ask for another one.")
    return format_


WantedFormat = Annotated[Format, Depends(wanted_format)]


async def one_at_a_time(request: Request, principal: CurrentPrincipal) -> None:
    """Let a user have only so many of these under way.

    Raises:
        TooManyAtOnce: they have as many.
    """
    part_of(request.app, Crowds).exports.hold(request.scope, principal.user_id)


FewAtOnce = Depends(one_at_a_time)


@router.get("/export", responses=EXPORT_ANSWER, response_class=Response, dependencies=[FewAtOnce])
async def export_all(
    principal: CurrentPrincipal, database: CurrentDatabase, format_: WantedFormat
) -> Response:
    """All that the user has: conversations, turns, tool calls, tasks, usage."""
    return await _document(everything(database, principal), format_, "taskchat")


@router.get(
    "/conversations/{conversation_id}/export",
    responses=EXPORT_ANSWER,
    response_class=Response,
    dependencies=[FewAtOnce],
)
async def export_conversation(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    format_: WantedFormat,
    conversation_id: ConversationId,
) -> Response:
    """One conversation, whole."""
    pages = conversation(database, principal, conversation_id)
    return await _document(pages, format_, f"conversation-{conversation_id}")


async def _document(pages: Pages, form: Format, name: str) -> Response:
    """Stream a document, once its first page is read: until then, errors are ordinary answers."""
    write = writer(form)

    async def chunks() -> AsyncIterator[bytes]:
        async with contextlib.aclosing(pages):
            async for page in pages:
                yield "".join(map(write, page)).encode(errors="replace")

    rest = chunks()
    first = await anext(rest)
    file = f"{name}-{utc_now():%Y-%m-%d}.{ENDINGS[form]}"
    return StreamingResponse(
        _unbroken(first, rest),
        media_type=MEDIA_TYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="{file}"',
            # Keeps nginx from collecting the whole before it sends any.
            "X-Accel-Buffering": "no",
        },
    )


async def _unbroken(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Both, to the end.

    Raises:
        BrokenAnswer: the rest can't be read. The connection is closed in the middle of the body.
    """
    yield first
    try:
        async for chunk in rest:
            yield chunk
    except ServiceError as error:
        log.warning("export.broken", error_code=error.code)
        raise BrokenAnswer from error


@router.post(
    "/import",
    dependencies=[AcceptsJson, FewAtOnce],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                name: {"schema": {"type": "string", "description": "An export as JSON lines."}}
                for name in IMPORTED
            },
        }
    },
)
async def import_lines(
    request: Request, principal: CurrentPrincipal, live: CurrentLive
) -> ImportOut:
    """Bring in the JSON lines of an export, under new ids. A repeat doubles nothing."""
    if media_type_of(request) not in IMPORTED:
        raise UnsupportedMediaType(
            f"Send the JSON lines of an export as “Content-Type: {JSON_LINES}”, without a "
            "Content-Encoding."
        )
    lines = lines_in(body_chunks(request), line_bytes_max=live.settings.import_line_bytes_max)
    bringing = Bringing(
        live.database,
        principal,
        active_max=live.settings.active_max,
        conversations_max=live.settings.conversations_max,
        tasks_max=live.settings.tasks_max,
    )
    imported = await Import(bringing).take(lines)
    log.info(
        "import.done",
        lines=imported.lines,
        conversations=imported.conversations.added,
        turns=imported.turns.added,
        tasks=imported.tasks.added,
    )
    return imported


@router.delete("", status_code=204, dependencies=[AcceptsJson])
async def delete_user(
    principal: CurrentPrincipal, live: CurrentLive, request_id: RequestId
) -> Response:
    """Delete all that the user has, for good."""
    if is_account(principal.user_id):
        raise Forbidden(
            "An account is deleted by DELETE /api/auth/me, which asks for its password."
        )
    await forget(live, principal, request_id=request_id)
    return Response(status_code=204)
