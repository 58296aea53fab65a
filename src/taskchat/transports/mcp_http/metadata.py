"""Where a client that has no token learns who gives one.

Source: RFC 9728, protected-resource metadata; MCP, authorization.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from taskchat.http.dependencies import CurrentSettings
from taskchat.settings import Settings

MCP_PATH: Final = "/mcp"

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")

router = APIRouter(tags=["mcp"])


class ProtectedResource(BaseModel):
    """What guards the tools, and who gives tokens for them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "resource": "https://chat.example.org/mcp",
                    "authorization_servers": ["https://id.example.org"],
                    "bearer_methods_supported": ["header"],
                    "resource_name": "taskchat",
                }
            ]
        }
    )

    resource: str = Field(description="The address of the tools, as the client reached us.")
    authorization_servers: list[str] | None = Field(
        None,
        description="The identity provider, where TASKCHAT_JWT_ISSUER is its address. Left out "
        "where tokens are given by hand.",
    )
    bearer_methods_supported: list[str] = ["header"]
    resource_name: str = "taskchat"


def base_of(request: Request) -> str | None:
    """This service's address as the client wrote it; None if no client could have."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        return None
    return f"{request.url.scheme}://{host}{request.scope.get('root_path', '')}"


def challenge(request: Request, *, has_token: bool) -> str:
    """The WWW-Authenticate of a refused request: why, and where to learn more."""
    parts = ['realm="taskchat"']
    if has_token:
        parts.append('error="invalid_token"')
    base = base_of(request)
    if base is not None:
        parts.append(f'resource_metadata="{base}{WELL_KNOWN}{MCP_PATH}"')
    return f"Bearer {', '.join(parts)}"


def servers_of(settings: Settings) -> list[str] | None:
    """Who gives tokens, as far as its address is known."""
    issuer = settings.jwt_issuer
    if issuer is None or urlsplit(issuer).scheme not in ("http", "https"):
        return None
    return [issuer]


@router.get(WELL_KNOWN + MCP_PATH, response_model_exclude_none=True)
async def read_mcp_metadata(request: Request, settings: CurrentSettings) -> ProtectedResource:
    """What a client of the tools needs to know to get a token."""
    base = base_of(request) or ""
    return ProtectedResource(
        resource=f"{base}{MCP_PATH}", authorization_servers=servers_of(settings)
    )


@router.get(WELL_KNOWN, response_model_exclude_none=True)
async def read_metadata(request: Request, settings: CurrentSettings) -> ProtectedResource:
    """The same, where clients look that know only the host."""
    return await read_mcp_metadata(request, settings)
