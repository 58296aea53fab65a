"""`POST /mcp`: one JSON-RPC message in, one answer out; nothing is kept between two of them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from taskchat.auth.dependencies import token_principal
from taskchat.errors import Forbidden, InvalidAuth, ServiceError
from taskchat.http.dependencies import given
from taskchat.http.requests import JSON
from taskchat.principal import Principal
from taskchat.tasks.calling import ToolCaller, calling_as
from taskchat.transports.dependencies import CurrentLive, LiveDeps
from taskchat.transports.mcp_http.messages import (
    ANSWER,
    MESSAGE,
    REFUSALS,
    Posted,
    read_posted,
    refused,
)
from taskchat.transports.mcp_http.metadata import MCP_PATH, challenge
from taskchat.transports.mcp_http.server import OutsideCaller, OutsideTaskServer
from taskchat.transports.origins import origin_is_allowed

CALL: Final = "tools/call"
"""What counts against the rate limit: everything else is answered from memory."""

router = APIRouter(tags=["mcp"])


@dataclass(frozen=True, slots=True)
class McpDeps:
    """What `/mcp` needs besides: the server, with the protocol's own part running."""

    server: OutsideTaskServer


@contextlib.asynccontextmanager
async def mcp_deps(live: LiveDeps) -> AsyncIterator[McpDeps]:
    """The server for outside clients, for as long as the app lives."""
    settings, assistant = live.settings, live.turns.assistant
    server = OutsideTaskServer(settings, lambda: assistant.allowed_tools)
    server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=settings.body_bytes_max,
        # Origins are checked as everywhere here; another host's page has no token to send.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    # Only its manager is used; an app that is mounted has a lifespan that nobody runs.
    async with server.session_manager.run():
        yield McpDeps(server)


class _Answered(Response):
    """Whatever the SDK answers to one message, for one caller."""

    def __init__(self, deps: McpDeps, caller: ToolCaller, raw: bytes) -> None:
        super().__init__()
        self._deps, self._caller, self._raw = deps, caller, raw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = False

        async def replayed() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": self._raw, "more_body": False}

        with calling_as(self._caller):
            await self._deps.server.session_manager.handle_request(scope, replayed, send)


@router.post(
    MCP_PATH,
    response_class=Response,
    openapi_extra=MESSAGE,
    responses={
        200: {"description": "The answer.", "content": {JSON: ANSWER}},
        202: {"description": "The message expects no answer."},
        **REFUSALS,
    },
)
async def mcp(
    request: Request, live: CurrentLive, deps: Annotated[McpDeps, Depends(given(McpDeps))]
) -> Response:
    """The task tools for MCP clients: streamable HTTP, without sessions, one message at a time."""
    if not origin_is_allowed(request, live.settings.origins):
        raise Forbidden("This page's origin is not allowed; see TASKCHAT_ALLOWED_ORIGINS.")
    principal = await _principal(request)
    posted: Posted | None = None
    try:
        posted = await read_posted(request)
        if posted.method == CALL:
            async with live.database.transaction(principal) as connection:
                await live.limits.spend_call(connection, principal)
    except ServiceError as error:
        return refused(error, request, posted.id if posted else None)
    caller = OutsideCaller(
        live.database,
        principal,
        live.turns.assistant.question_about,
        timeout_s=live.settings.tool_timeout_s,
    )
    return _Answered(deps, caller, posted.raw)


async def _principal(request: Request) -> Principal:
    """Who calls, as their token says; there is no user id in the path to compare it with."""
    try:
        return await token_principal(request)
    except InvalidAuth as error:
        has_token = "authorization" in request.headers
        error.headers["WWW-Authenticate"] = challenge(request, has_token=has_token)
        raise
