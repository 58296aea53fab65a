"""The client: every message is taken once and told whole, whatever becomes of the connection."""

import base64
import json
import re
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import ValidationError

from taskchat_client.errors import (
    AwaitingFeedback,
    Conflict,
    ConnectionLost,
    Refused,
    TaskchatError,
    TurnFailed,
    UnexpectedAnswer,
)
from taskchat_client.events import ErrorEvent, Event, FeedbackRequest, TurnCompleted, event_of
from taskchat_client.models import (
    Answer,
    Conversation,
    Feedback,
    ListedTurn,
    Message,
    Model,
    Steered,
    Task,
    Turn,
)
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
class _Call:
    """One request, as often as it has to be made."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    params: dict[str, str | int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Client:
    """A user of a service.

    Args:
        url: Where it is, such as `http://127.0.0.1:8000`.
        token: Proves who the user is.
        user_id: Who; the token's subject if it is left out.
        headers: Sent with every request, such as `Time-Zone`.
        patience_s: How long a call goes on without getting anywhere while the service is away,
            limits it or is being started anew. 0 makes one attempt.
        silence_s: How long a stream may be silent before it is taken for broken. The service sends
            a sign of life every 15 seconds.
        on_retry: Is told of each wait: what went wrong, and for how many seconds.
        transport: What carries requests, in place of the network.

    Raises:
        ValueError: that is no address, or no token.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        user_id: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        patience_s: float = 60,
        silence_s: float = 60,
        on_retry: OnRetry | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError("the address of a service begins with http:// or https://")
        self._token = token
        current = self._current_token()
        self.user_id = _subject(current) if user_id is None else user_id
        self._patience_s, self._on_retry = patience_s, on_retry
        self._http = httpx2.AsyncClient(
            base_url=f"{url.rstrip('/')}/api/{quote(self.user_id, safe='')}/",
            headers=dict(headers or {}),
            timeout=httpx2.Timeout(silence_s, connect=min(CONNECT_S, silence_s)),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give all connections back."""
        await self._http.aclose()

    # --- turns ---

    def stream(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Say something, and follow what comes of it: each event once, in order, to the end.

        Args:
            message: What to say.
            conversation_id: The conversation to go on with; None starts one.
            idempotency_key: The same key is the same turn, on whatever day and from whatever
                process; one is made up if it is left out.

        Raises:
            TurnFailed: the turn ended without a reply.
            TaskchatError: it was not taken; or can't be followed any longer, and goes on.
        """
        key = idempotency_key or str(uuid.uuid4())
        body = {"message": message, "conversation_id": conversation_id}
        return self._events(_Call("POST", "chat", body, headers={"Idempotency-Key": key}))

    def follow(self, turn_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """What happens in a turn, whoever began it, from its beginning or from behind an event.

        Raises:
            TurnFailed: the turn ended without a reply.
            TaskchatError: there is no such turn, or it can't be followed any longer.
        """
        return self._events(None, turn_id, after)

    async def send(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Say something, and wait for the answer.

        Raises:
            AwaitingFeedback: the agent asks something first.
            TaskchatError: as of `stream`.
        """
        events = self.stream(
            message, conversation_id=conversation_id, idempotency_key=idempotency_key
        )
        return await self._reply(events)

    async def wait(self, turn_id: str, *, after: int = 0) -> Answer:
        """Wait for the answer of a turn, from behind an event of it.

        Raises:
            AwaitingFeedback: the agent asks something first.
            TaskchatError: as of `follow`.
        """
        return await self._reply(self.follow(turn_id, after=after))

    async def steer(
        self, turn_id: str, message: str, *, idempotency_key: str | None = None
    ) -> Steered:
        """Say something to a turn that is unfinished: its next model call knows it."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        path = f"turns/{_segment(turn_id)}/messages"
        return await self._one(Steered, _Call("POST", path, {"message": message}, headers=headers))

    async def cancel(self, turn_id: str) -> Turn:
        """Stop a turn; what it did stays. One that is stopped already is as good.

        Raises:
            Conflict: it has ended otherwise.
        """
        try:
            return await self._one(Turn, _Call("POST", f"turns/{_segment(turn_id)}/cancel"))
        except Conflict:
            # It may be this call that stopped it, in an attempt whose answer was lost.
            turn = await self.turn(turn_id)
            if turn.status != "cancelled":
                raise
            return turn

    async def turn(self, turn_id: str) -> Turn:
        """One turn and how far it is."""
        return await self._one(Turn, _Call("GET", f"turns/{_segment(turn_id)}"))

    async def answer(
        self,
        feedback_id: str,
        answer: str,
        *,
        comment: str | None = None,
        calls: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Feedback:
        """Answer what the agent asks.

        Args:
            feedback_id: What it asks.
            answer: `approve` or `reject`, or any text to a question.
            comment: What the model is told besides.
            calls: What differs for some of the calls, by `tool_call_id`.

        Raises:
            Conflict: somebody has answered otherwise, or it is over.
        """
        path = f"feedback/{_segment(feedback_id)}"
        body = {"answer": answer, "comment": comment, "calls": calls}
        said = {name: value for name, value in body.items() if value is not None}
        try:
            return await self._one(Feedback, _Call("POST", f"{path}/respond", said))
        except Conflict:
            # As of a turn that is cancelled twice.
            given = await self._one(Feedback, _Call("GET", path))
            if (given.answer, given.comment) != (answer, comment):
                raise
            return given

    # --- what there is ---

    async def conversations(self, *, newest: int | None = 50) -> list[Conversation]:
        """The user's conversations, the one with the newest message first; None gives all."""
        return await self._listed(Conversation, "conversations", newest)

    async def conversation(self, conversation_id: str) -> Conversation:
        """One conversation."""
        path = f"conversations/{_segment(conversation_id)}"
        return await self._one(Conversation, _Call("GET", path))

    async def messages(self, conversation_id: str, *, newest: int | None = 100) -> list[Message]:
        """The newest messages of a conversation, in the order in which they were said."""
        path = f"conversations/{_segment(conversation_id)}/messages"
        return await self._listed(Message, path, newest, backwards=True)

    async def turns(
        self, conversation_id: str, *, status: str | None = None, first: int | None = 100
    ) -> list[ListedTurn]:
        """The turns of a conversation by number, all or those of a status."""
        path = f"conversations/{_segment(conversation_id)}/turns"
        return await self._listed(ListedTurn, path, first, _given(status=status))

    async def tasks(self, *, status: str = "all") -> list[Task]:
        """The user's tasks by number; `status` may be `pending` or `completed`."""
        return await self._listed(Task, "tasks", None, {"status": status})

    async def feedback(
        self, *, status: str | None = None, conversation_id: str | None = None
    ) -> list[Feedback]:
        """What the agent asks and has asked, the newest first."""
        narrowed = _given(status=status, conversation_id=conversation_id)
        return await self._listed(Feedback, "feedback", None, narrowed)

    # --- how it is asked ---

    async def _events(
        self, opening: _Call | None, turn_id: str | None = None, seq: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Events of a turn from a place on, over as many connections as it takes."""
        patience = self._patience()
        while True:
            call = opening
            if call is None or turn_id is not None:
                path = f"turns/{_segment(turn_id or '')}/events"
                call = _Call("GET", path, headers={"Last-Event-ID": str(seq)})
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

    async def _reply(self, events: AsyncGenerator[Event, None]) -> Answer:
        try:
            async for event in events:
                if isinstance(event, FeedbackRequest):
                    raise AwaitingFeedback(event)
                if isinstance(event, TurnCompleted):
                    return event.result
        finally:
            await events.aclose()
        raise AssertionError("a stream ends with its turn")

    async def _asked(self, call: _Call) -> dict[str, Any]:
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

    async def _one(self, kind: type[Read], call: _Call) -> Read:
        return _read(kind, await self._asked(call))

    async def _listed(
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
            at = _given(**{way: cursor})
            page = await self._asked(
                _Call("GET", path, params={"limit": limit, **(params or {}), **at})
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

    def _request(self, call: _Call, *, streams: bool = False) -> dict[str, Any]:
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


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _segment(value: str) -> str:
    return quote(value, safe="")
