"""`/docs`, `/llms.txt` and the pages of the documentation. None of it takes a token."""

import asyncio
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from taskchat.errors import NotFound
from taskchat.http.dependencies import CurrentSettings
from taskchat.http.files import KEPT, PASSING, ShippedFiles
from taskchat.reference import llms
from taskchat.reference.pages import page_of

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Swagger UI draws the arrows of its lists from data: addresses; the page's icon is one.
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of `/docs`: nothing inline, nothing of another host."""

DOCUMENT_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    # Asked for anew each time; it says which files to take.
    "Cache-Control": "no-cache",
}

MARKDOWN: Final = "text/markdown"

# Not in the contract: they are for reading, and may change with every release.
router = APIRouter(include_in_schema=False)


@cache
def _files() -> ShippedFiles:
    files = ShippedFiles(Path(__file__).parent / "assets")
    for _, file in files:
        # While it is read, not while somebody waits for it.
        _ = file.packed
    return files


async def _shipped() -> ShippedFiles:
    """The page's files: two megabytes that most processes never need, read where nobody waits."""
    return await asyncio.to_thread(_files)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The API reference, for people."""
    files = await _shipped()
    return files.document("docs.html").answer(request, DOCUMENT_HEADERS)


@router.get("/docs/files/{version}/{name:path}")
async def file(request: Request, version: str, name: str) -> Response:
    """What that page consists of."""
    files = await _shipped()
    return files.get(name).answer(request, KEPT if version == files.version else PASSING)


@router.get("/docs/{name}")
async def page(name: str) -> Response:
    """A page of the documentation, as Markdown.

    Raises:
        NotFound: there is no such page.
    """
    found = page_of(name)
    if found is None:
        raise NotFound("There is no such page; /llms.txt lists them.")
    return PlainTextResponse(found.text, media_type=MARKDOWN)


@router.get("/llms.txt")
async def llms_txt(request: Request, settings: CurrentSettings) -> Response:
    """What the service is, for programs that read for people."""
    text = llms.short(request.app.openapi(), accounts=settings.accounts)
    return PlainTextResponse(text, media_type=MARKDOWN)


@router.get("/llms-full.txt")
async def llms_full_txt(request: Request, settings: CurrentSettings) -> Response:
    """The same, with the documentation behind it."""
    text = llms.whole(request.app.openapi(), accounts=settings.accounts)
    return PlainTextResponse(text, media_type=MARKDOWN)
