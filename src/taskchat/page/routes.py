"""The page, its files, and signing in without being asked where `taskchat dev` allows it."""

from functools import cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from taskchat.auth.issuing import issue_token
from taskchat.errors import Forbidden, NotAcceptable
from taskchat.http.dependencies import CurrentSettings
from taskchat.http.files import KEPT, PASSING, SCRIPT, ShippedFile, ShippedFiles
from taskchat.http.requests import AcceptsJson, accept_of, quality
from taskchat.page.schemas import PageSession
from taskchat.page.visitors import is_own_browser
from taskchat.settings import Settings

ASSETS: Final = Path(__file__).parent / "assets"

TOKEN_TTL_S: Final = 3600
"""The page asks again before it is over; a token that got away is soon worth nothing."""

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text becomes markup but by these two: templates of the page's own, and the sanitizer.
        "require-trusted-types-for 'script'",
        "trusted-types lit-html dompurify",
    )
)
"""The Content-Security-Policy: nothing inline, nothing of another host."""

DOCUMENT_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
    # Asked for anew each time; it says which files to take.
    "Cache-Control": "no-cache",
}


def page_router(settings: Settings) -> APIRouter:
    """The routes of the page, by what it can do here."""
    files = page_files()
    page = page_document(
        files,
        {
            "accounts": str(settings.accounts).lower(),
            "signs_in": str(settings.page_user is not None).lower(),
            "message_chars_max": str(settings.message_chars_max),
        },
    )
    # Not in the contract: a page is for people, and may change with every release.
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def document(request: Request) -> Response:
        """The page."""
        if not quality(accept_of(request.scope), "text/html"):
            raise NotAcceptable("This address is a page; accept text/html. The API is under /api.")
        return page.answer(request, DOCUMENT_HEADERS)

    @router.get("/page/{version}/{name:path}")
    async def file(request: Request, version: str, name: str) -> Response:
        """One of its files."""
        return files.get(name).answer(request, KEPT if version == files.version else PASSING)

    if settings.page_user is not None:
        router.add_api_route(
            "/page/session", begin_session, methods=["POST"], dependencies=[AcceptsJson]
        )
    return router


@cache
def page_files() -> ShippedFiles:
    """The scripts and styles of the page."""
    return ShippedFiles(ASSETS)


def page_document(files: ShippedFiles, told: dict[str, str]) -> ShippedFile:
    """What `/` shows.

    Args:
        files: What it names.
        told: What it says of this service.
    """
    # Else the browser learns of a module only when it has read the one that imports it.
    preloads = "\n".join(
        f'<link rel="modulepreload" href="/page/{files.version}/{name}">'
        for name, file in files
        if file.media_type == SCRIPT
    )
    return files.document("index.html", {**told, "modules": preloads})


async def own_browser(request: Request) -> None:
    """Refuse whoever is not in front of this machine.

    Raises:
        Forbidden: they may be anybody.
    """
    client = (request.client.host, request.client.port) if request.client else None
    if not is_own_browser(client, request.headers):
        raise Forbidden("Only a page that is opened on this machine is signed in without a token.")


async def begin_session(
    settings: CurrentSettings, _allowed: Annotated[None, Depends(own_browser)]
) -> PageSession:
    """A token for the page that `taskchat dev` serves."""
    user_id, secret = settings.page_user, settings.jwt_secret
    assert user_id is not None  # noqa: S101 - else there is no such route
    assert secret is not None  # noqa: S101 - the settings are checked against each other
    token = issue_token(
        user_id,
        secret=secret.get_secret_value(),
        ttl_s=TOKEN_TTL_S,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )
    return PageSession(user_id=user_id, access_token=token, expires_in=TOKEN_TTL_S)
