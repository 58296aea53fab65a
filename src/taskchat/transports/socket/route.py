"""`/ws/chat/{conversation_id}`: who may come in, and how long a socket stays.

Refused sockets are accepted first and then closed: a browser that is refused earlier sees 1006 and
nothing else.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import Iterator
from typing import Final
from uuid import UUID

import structlog
from fastapi import APIRouter, WebSocket

from taskchat.auth.tokens import VerifiedToken
from taskchat.errors import DatabaseError, InvalidAuth, InvalidRequest, NotFound
from taskchat.http.dependencies import part_of
from taskchat.live.rows import Place
from taskchat.moments import new_id
from taskchat.presence.repository import Joined
from taskchat.principal import Principal
from taskchat.texts import uuid_of
from taskchat.transports.dependencies import LiveDeps
from taskchat.transports.hints import read_circumstances
from taskchat.transports.origins import origin_is_allowed
from taskchat.transports.socket.connections import Connection, shutdown_notice
from taskchat.transports.socket.following import Following
from taskchat.transports.socket.frames import Connected
from taskchat.transports.socket.ghosts import PEER_KEY
from taskchat.transports.socket.session import Session, error_frame

router = APIRouter()

SUBPROTOCOL: Final = "taskchat"
"""A subprotocol that a client may offer besides its token; it is then selected."""

BEARER_PREFIX: Final = "taskchat.bearer."
"""Prefix of the subprotocol that carries a token, because browsers can't set headers."""

NEW: Final = "new"
"""Stands in the address for a conversation that does not exist yet."""

TIMER_MAX_S: Final = 7 * 86_400.0
"""The longest timer that is set."""

NO_CONVERSATION: Final = "No such conversation; connect to “new” to start one."


class Closed(Exception):
    """The socket is to be closed.

    Attributes:
        code: The close code.
        reason: The reason, for whoever debugs the client.
    """

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


@router.websocket("/ws/chat/{conversation_id}")
async def chat_socket(websocket: WebSocket, conversation_id: str) -> None:
    """A conversation, live."""
    live = part_of(websocket.app, LiveDeps)
    tokens, subprotocol = offered(websocket)
    await websocket.accept(subprotocol=subprotocol)
    connection = Connection(websocket.send, queue_max=live.settings.websocket_queue_max)
    with (
        structlog.contextvars.bound_contextvars(request_id=str(new_id())),
        live.connections.holding(connection),
    ):
        try:
            if not origin_is_allowed(websocket, live.settings.origins):
                raise Closed(4003, "This page's origin is not allowed to connect.")
            verified = await _verified(live, tokens)
            if live.connections.stopping:
                connection.send(shutdown_notice())
                raise Closed(1012, "This server restarts; connect again.")
            connection.user_id = verified.principal.user_id
            principal = await _known(live, verified)
            await _attend(websocket, connection, live, verified, principal, conversation_id)
        except Closed as closed:
            connection.close(closed.code, closed.reason)
        except DatabaseError as error:
            connection.send(error_frame(error))
            connection.close(1013, "The database is away or too busy; connect again soon.")
        await connection.finished()


@router.websocket("/{path:path}")
async def no_socket(websocket: WebSocket) -> None:
    """Any other address: a browser is told nothing of a handshake that was refused."""
    # A browser that offered subprotocols takes an answer without one for a failure.
    await websocket.accept(subprotocol=offered(websocket)[1])
    await websocket.close(4004, "There is no socket here; connect to /ws/chat/new.")


async def _attend(
    websocket: WebSocket,
    connection: Connection,
    live: LiveDeps,
    verified: VerifiedToken,
    principal: Principal,
    address: str,
) -> None:
    """Everything between the admission of a socket and its end."""
    try:
        circumstances = read_circumstances(
            websocket.headers,
            websocket.query_params,
            manner_allowed=live.settings.offline_header,
            script_allowed=live.settings.script_allowed,
        )
    except InvalidRequest as error:
        connection.send(error_frame(error))
        raise Closed(1008, error.message) from None
    conversation_id = _conversation(address)
    following = Following(connection, principal, live.database, live.feed)
    if conversation_id is not None:
        # Before it is known where the conversation stands, so that nothing in between is lost.
        following.collect(conversation_id)
    joined = await _joined(connection, live, principal, conversation_id, following)
    session = Session(connection, principal, joined.id, following, circumstances, live)
    expiry = asyncio.get_running_loop().call_later(
        min(max(0.0, verified.expires_at - time.time()), TIMER_MAX_S),
        functools.partial(connection.close, 4001, "The token has expired; connect with a new one."),
    )
    try:
        if conversation_id is not None:
            following.begin(Place.of(joined.last_turn, joined.numbers, joined.seqs))
        connection.send(
            Connected(
                user_id=principal.user_id,
                conversation_id=conversation_id,
                unfinished_turns=list(joined.unfinished),
            )
        )
        connection.greeted = True
        if live.connections.stopping:
            # The shutdown was announced while this socket was being admitted.
            connection.send(shutdown_notice())
        following.tell()
        peer = websocket.scope.get("state", {}).get(PEER_KEY)
        with live.ghosts.watching(principal, joined.id, connection, peer):
            await _listen(websocket, session, live.settings.websocket_idle_timeout_s)
    finally:
        expiry.cancel()
        await following.close()
        await live.presence.leave(principal, joined.id)


async def _joined(
    connection: Connection,
    live: LiveDeps,
    principal: Principal,
    conversation_id: UUID | None,
    following: Following,
) -> Joined:
    """Note the socket, so that other processes know of it.

    Raises:
        Closed: there is no such conversation, or no place for one more socket.
        DatabaseError: it could not be noted.
    """
    joined = None
    try:
        joined = await live.ghosts.join(principal, conversation_id)
    except NotFound:
        raise Closed(4004, NO_CONVERSATION) from None
    finally:
        if joined is None:
            await following.close()
    if joined is None:
        most = live.settings.websocket_connections_max
        sentence = f"{most} sockets of one user may be open; close another one first."
        connection.send(error_frame(code="MAX_CONNECTIONS", sentence=sentence))
        raise Closed(4029, sentence)
    return joined


async def _listen(websocket: WebSocket, session: Session, idle_timeout_s: float) -> None:
    """Read the client's frames one after another, until it leaves or has nothing more to say."""
    idleness = Idleness(session, idle_timeout_s)
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                session.connection.lost()
                return
            text = message.get("text")
            if text is None:
                raise Closed(1003, "Send JSON as text frames.")
            with idleness.hearing():
                await session.hear(text)
    finally:
        idleness.stop()


class Idleness:
    """Closes a socket that has been silent for too long while no turn is under way.

    One timer per socket, set again when it fires and not at every frame.

    Args:
        session: The socket's session.
        timeout_s: How long is too long.
    """

    def __init__(self, session: Session, timeout_s: float) -> None:
        self._session = session
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(timeout_s, self._look)
        self._heard_at = self._loop.time()
        self._hearing = False

    @contextlib.contextmanager
    def hearing(self) -> Iterator[None]:
        """Note that the client has said something, which is handled inside the block."""
        self._hearing = True
        try:
            yield
        finally:
            self._hearing, self._heard_at = False, self._loop.time()

    def stop(self) -> None:
        """Stop watching: the socket is closed."""
        self._timer.cancel()

    def _look(self) -> None:
        last = max(self._heard_at, self._session.told_at)
        left_s = last + self._timeout_s - self._loop.time()
        if left_s <= 0 and not (self._hearing or self._session.under_way):
            self._session.connection.close(4008, "Nothing was said for too long; connect again.")
        else:
            again_s = left_s if left_s > 0 else self._timeout_s
            self._timer = self._loop.call_later(again_s, self._look)


def offered(websocket: WebSocket) -> tuple[list[str], str | None]:
    """The tokens that a client offers, and the subprotocol to answer with."""
    tokens = []
    for value in websocket.headers.getlist("authorization"):
        scheme, _, token = value.partition(" ")
        tokens.append(token.strip() if scheme.lower() == "bearer" else "")
    protocols: list[str] = websocket.scope.get("subprotocols") or []
    bearers = [name for name in protocols if name.startswith(BEARER_PREFIX)]
    tokens += [name.removeprefix(BEARER_PREFIX) for name in bearers]
    tokens += websocket.query_params.getlist("token")
    chosen = SUBPROTOCOL if SUBPROTOCOL in protocols else next(iter(bearers), None)
    return tokens, chosen


async def _verified(live: LiveDeps, tokens: list[str]) -> VerifiedToken:
    if len(tokens) != 1:
        raise Closed(4001, "Bring one token: by header, by subprotocol or by ?token=.")
    try:
        return await live.authenticator.verified(tokens[0])
    except InvalidAuth as error:
        raise Closed(4001, "The token is not valid; get a new one.") from error


async def _known(live: LiveDeps, verified: VerifiedToken) -> Principal:
    try:
        return await live.authenticator.known(verified.principal)
    except InvalidAuth as error:
        raise Closed(4001, "The account of this token was deleted.") from error


def _conversation(address: str) -> UUID | None:
    """The conversation that an address names; None if it is still to begin."""
    if address == NEW:
        return None
    conversation_id = uuid_of(address)
    if conversation_id is None:
        raise Closed(4004, NO_CONVERSATION)
    return conversation_id
