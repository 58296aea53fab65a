"""How a service is asked: as often as it takes, and streams over many connections."""

import base64
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import ValidationError

from taskchat_client.errors import (
    ConnectionLost,
    Refused,
    TaskchatError,
    TurnFailed,
    UnexpectedAnswer,
)
from taskchat_client.events import ErrorEvent, Event, event_of
from taskchat_client.models import Model
from taskchat_client.patience import OnRetry, Patience

PAGE_MAX: Final = 200
"""As many as the service gives at once."""

CONNECT_S: Final = 10.0
"""Longer than any network takes to connect."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")

Token = str | Callable[[], str]
"""A token, or what gives one that is still good; it is asked before each request."""

Read = TypeVar("Read", bound=Model)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as often as it has to be made."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    params: dict[str, str | int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Connection:
    """The way to a service, for one user: see `Client`."""

    def __init__(
        self,
        url: str,
        token: Token,
        user_id: str | None,
        *,
        headers: Mapping[str, str] | None,
        patience_s: float,
        silence_s: float,
        on_retry: OnRetry | None,
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError("the address of a service begins with http:// or https://")
        self._token = token
        current = self._current_token()
        self.user_id = _subject(current) if user_id is None else user_id
        self._patience_s, self._on_retry = patience_s, on_retry
        self._http = httpx2.AsyncClient(
            base_url=f"{url.rstrip('/')}/api/{segment(self.user_id)}/",
            headers=dict(headers or {}),
            timeout=httpx2.Timeout(silence_s, connect=min(CONNECT_S, silence_s)),
            transport=transport,
        )

    async def aclose(self) -> None:
        """Give all connections back."""
        await self._http.aclose()

    async def events(
        self, opening: Call | None, turn_id: str | None = None, seq: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Events of a turn from a place on, over as many connections as it takes."""
        patience = self._patience()
        while True:
            call = opening
            if call is None or turn_id is not None:
                path = f"turns/{segment(turn_id or '')}/events"
                call = Call("GET", path, headers={"Last-Event-ID": str(seq)})
            try:
                async with self._http.stream(**self._request(call, streams=True)) as response:
                    if response.status_code != httpx2.codes.OK:
                        await response.aread()
                        raise _problem(response)
                    async for told in httpx2.EventSource(response):
                        if not told.data:
                            # How soon to come back, which patience decides here.
                            continue
                        event = _event(told)
                        turn_id = event.turn_id
                        if event.seq <= seq:
                            continue
                        # Of a turn whose events are not kept any more, only the last one is told.
                        if event.seq > seq + 1 and not event.ends_turn:
                            raise ConnectionLost("The stream left out an event.")
                        seq = event.seq
                        patience.renew()
                        if isinstance(event, ErrorEvent):
                            raise TurnFailed.by(event)
                        yield event
                        if event.ends_turn:
                            return
                broken: TaskchatError = ConnectionLost("The stream ended before its turn did.")
            except httpx2.RequestError as error:
                broken = _lost(error)
            except (Refused, ConnectionLost) as error:
                broken = error
            await patience.wait(broken)

    async def _asked(self, call: Call) -> dict[str, Any]:
        patience = self._patience()
        while True:
            try:
                response = await self._http.request(**self._request(call))
                if response.status_code != httpx2.codes.OK:
                    raise _problem(response)
                return _body(response)
            except httpx2.RequestError as error:
                broken: TaskchatError = _lost(error)
            except Refused as error:
                broken = error
            await patience.wait(broken)

    async def one(self, kind: type[Read], call: Call) -> Read:
        """What a request is answered."""
        return _read(kind, await self._asked(call))

    async def listed(
        self,
        kind: type[Read],
        path: str,
        most: int | None,
        params: Mapping[str, str] | None = None,
        *,
        backwards: bool = False,
    ) -> list[Read]:
        """Rows of a list, page by page: from its beginning, or from its end."""
        found: list[Read] = []
        way, cursor = ("before", "end") if backwards else ("after", None)
        while most is None or len(found) < most:
            limit = PAGE_MAX if most is None else min(PAGE_MAX, most - len(found))
            at = given(**{way: cursor})
            page = await self._asked(
                Call("GET", path, params={"limit": limit, **(params or {}), **at})
            )
            rows = [_read(kind, row) for row in page.get("data", [])]
            found = rows + found if backwards else found + rows
            cursor = page.get("next_cursor")
            if not page.get("has_more") or cursor is None:
                break
        return found

    def _patience(self) -> Patience:
        return Patience(self._patience_s, self._on_retry)

    def _current_token(self) -> str:
        token = self._token() if callable(self._token) else self._token
        if not _TOKEN.fullmatch(token):
            raise ValueError("a token is one word of ASCII characters")
        return token

    def _request(self, call: Call, *, streams: bool = False) -> dict[str, Any]:
        accept = "text/event-stream" if streams else "application/json"
        authorization = f"Bearer {self._current_token()}"
        return {
            "method": call.method,
            "url": call.path,
            "params": call.params,
            "headers": {**call.headers, "Accept": accept, "Authorization": authorization},
            **({"json": call.body} if call.body is not None else {}),
        }


def _subject(token: str) -> str:
    """Whom a token is for. The service checks it; this only reads it."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        subject = claims["sub"]
    except (ValueError, LookupError, TypeError):
        subject = None
    if not isinstance(subject, str) or not subject:
        raise ValueError("the token does not say whose it is; give a user_id")
    return subject


def _event(told: httpx2.ServerSentEvent) -> Event:
    try:
        fields = json.loads(told.data)
        if isinstance(fields, dict) and fields.get("type") == "error" and "seq" not in fields:
            # The stream could not go on; its turn does.
            raise ConnectionLost(str(fields.get("error")))
        return event_of(fields)
    except (ValueError, AttributeError) as error:
        raise UnexpectedAnswer("The stream told something that is no event.") from error


def _problem(response: httpx2.Response) -> TaskchatError:
    if response.is_error:
        return Refused.by(response)
    return _unexpected(response)


def _body(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        raise _unexpected(response) from error
    if not isinstance(body, dict):
        raise _unexpected(response)
    return body


def _unexpected(response: httpx2.Response) -> UnexpectedAnswer:
    url = response.url.copy_with(query=None)
    return UnexpectedAnswer(
        f"{url} answers {response.status_code} with something else than a taskchat does.",
        request_id=response.headers.get("x-request-id"),
    )


def _lost(error: httpx2.RequestError) -> ConnectionLost:
    url = error.request.url
    said = str(error) or type(error).__name__
    lost = ConnectionLost(f"No connection to {url.scheme}://{url.netloc.decode()}: {said}")
    lost.__cause__ = error
    return lost


def _read(kind: type[Read], data: Any) -> Read:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise UnexpectedAnswer(
            f"The service answers another {kind.__name__} than is known."
        ) from error


def given(**values: str | None) -> dict[str, str]:
    """Those that there are."""
    return {name: value for name, value in values.items() if value is not None}


def segment(value: str) -> str:
    """A value as one part of a path."""
    return quote(value, safe="")
