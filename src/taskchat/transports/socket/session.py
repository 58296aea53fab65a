"""What a client says on its socket, and how it is acted on.

A message is acknowledged once it is committed; from then on it outlives the socket.
"""

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import structlog

from taskchat.assistant.circumstances import Circumstances
from taskchat.conversations import service as conversations
from taskchat.conversations.schemas import ConversationStatus
from taskchat.errors import InvalidRequest, NotFound, RateLimited, ServiceError
from taskchat.limits.schemas import shown
from taskchat.moments import new_id
from taskchat.principal import Channel, Principal
from taskchat.telemetry import metrics
from taskchat.telemetry.traces import span
from taskchat.transports.dependencies import LiveDeps
from taskchat.transports.intake import new_message
from taskchat.transports.socket.connections import Connection
from taskchat.transports.socket.following import Following
from taskchat.transports.socket.frames import (
    Acknowledgment,
    AnyClientFrame,
    Cancel,
    ClientFrame,
    EndSession,
    FrameError,
    GetRateLimitStatus,
    GiveFeedback,
    Ping,
    Pong,
    RateLimitExceeded,
    RateLimitStatus,
    RefusedFrame,
    Resume,
    SayMessage,
    SessionEnded,
    SessionStarted,
    StartSession,
    Steer,
    Steered,
    id_in,
    read_frame,
)
from taskchat.turns import store
from taskchat.turns.feedback import answer_feedback
from taskchat.turns.steering import conversation_of, steer_turn
from taskchat.turns.turn import AcceptedTurn, accept_turn, cancel_turn

log = structlog.get_logger()


class Session:
    """An admitted socket: reads frames, acts on them, answers.

    Args:
        connection: Where answers go.
        principal: The user.
        presence_id: The socket's id, by which other processes know it.
        following: What it is told about its conversation.
        circumstances: What is known about the user.
        live: What it needs from the app.
    """

    def __init__(
        self,
        connection: Connection,
        principal: Principal,
        presence_id: UUID,
        following: Following,
        circumstances: Circumstances,
        live: LiveDeps,
    ) -> None:
        self.connection = connection
        self._principal = principal
        self._presence_id = presence_id
        self._following = following
        self._circumstances = circumstances
        self._live = live
        self._bucket = FrameBucket(live.settings.websocket_frames_per_minute)
        self._came_back = False

    @property
    def under_way(self) -> bool:
        """Whether a turn of its conversation is unfinished."""
        return self._following.under_way

    @property
    def told_at(self) -> float:
        """When something last happened in its conversation, by the loop's clock."""
        return self._following.told_at

    async def hear(self, text: str) -> None:
        """Act on one frame; whatever goes wrong, the socket stays."""
        if not self._bucket.take():
            most = self._live.settings.websocket_frames_per_minute
            sentence = f"{most} frames a minute are allowed; slow down."
            self.connection.send(
                error_frame(code="RATE_LIMITED", sentence=sentence, reply_to=id_in(text))
            )
            return
        try:
            frame = read_frame(text)
        except RefusedFrame as refused:
            self.connection.send(
                error_frame(code=refused.code, sentence=str(refused), reply_to=refused.reply_to)
            )
            return
        metrics.WEBSOCKET_FRAMES.labels(frame.type).inc()
        with span(f"websocket {frame.type}", kind="server"):
            await self._act_on(frame)
        # Not earlier: a returning client goes back first.
        self._following.settle()

    async def _act_on(self, frame: AnyClientFrame) -> None:
        try:
            await self._HANDLERS[type(frame)](self, frame)
        except RateLimited as error:
            metrics.WEBSOCKET_ERRORS.labels("RATE_LIMITED").inc()
            self.connection.send(
                RateLimitExceeded(
                    error=error.message, retry_after=error.retry_after_s or 1, reply_to=frame.id
                )
            )
        except ServiceError as error:
            self.connection.send(error_frame(error, reply_to=frame.id))
        except Exception:
            log.exception("websocket.crashed", frame=frame.type)
            sentence = "Something failed on our side; try again."
            self.connection.send(
                error_frame(code="PROCESSING_ERROR", sentence=sentence, reply_to=frame.id)
            )

    async def _say(self, frame: SayMessage) -> None:
        has_none = self.connection.conversation_id is None
        self._following.hold_new_turns()
        try:
            accepted = await accept_turn(
                new_message(
                    frame.content,
                    Channel.WEBSOCKET,
                    settings=self._live.settings,
                    conversation_id=self.connection.conversation_id,
                    idempotency_key=frame.idempotency_key,
                    request_id=str(new_id()),
                    circumstances=self._circumstances,
                    conversation_held=True,
                ),
                principal=self._principal,
                deps=self._live.turns,
                acknowledge=functools.partial(self._acknowledge, frame, starts=has_none),
            )
        finally:
            self._following.let_new_turns()
        turn = accepted.turn
        if has_none:
            await self._bind(turn.conversation_id, turn.number)
        elif accepted.replayed:
            # As for a repeated request that asks for a stream.
            await self._go_back(turn.id, 0)

    def _acknowledge(self, frame: SayMessage, accepted: AcceptedTurn, *, starts: bool) -> None:
        turn = accepted.turn
        if starts:
            self.connection.send(SessionStarted(conversation_id=turn.conversation_id))
        self.connection.send(
            Acknowledgment(
                turn_id=turn.id,
                conversation_id=turn.conversation_id,
                replayed=accepted.replayed,
                reply_to=frame.id,
            )
        )
        self._following.let_new_turns()

    async def _bind(self, conversation_id: UUID, turn_number: int) -> None:
        """Follow this conversation from now on."""
        await self._following.begin_at(conversation_id, turn_number)
        await self._live.presence.move(self._principal, self._presence_id, conversation_id)

    async def _start_session(self, frame: StartSession) -> None:
        conversation_id = self.connection.conversation_id
        if conversation_id is None:
            conversation_id = new_id()
            async with self._live.database.transaction(self._principal) as transaction:
                await conversations.start_conversation(
                    transaction,
                    self._principal,
                    conversation_id,
                    active_max=self._live.settings.active_max,
                    conversations_max=self._live.settings.conversations_max,
                )
            await self._bind(conversation_id, 1)
        else:
            await self._change_status(conversation_id, "active")
        self.connection.send(SessionStarted(conversation_id=conversation_id, reply_to=frame.id))

    async def _end_session(self, frame: EndSession) -> None:
        conversation_id = self.connection.conversation_id
        if conversation_id is None:
            raise NotFound("This socket has no conversation yet; send a message to start one.")
        await self._change_status(conversation_id, "ended")
        self.connection.send(SessionEnded(conversation_id=conversation_id, reply_to=frame.id))
        self._live.connections.session_ended(conversation_id, but=self.connection)

    async def _change_status(self, conversation_id: UUID, status: ConversationStatus) -> None:
        async with self._live.database.transaction(self._principal) as transaction:
            await conversations.change_conversation(
                transaction,
                self._principal,
                conversation_id,
                status=status,
                active_max=self._live.settings.active_max,
                process=self._live.turns.process,
            )

    async def _ping(self, frame: Ping) -> None:
        self.connection.send(Pong(reply_to=frame.id))

    async def _tell_limits(self, frame: GetRateLimitStatus) -> None:
        async with self._live.database.transaction(self._principal) as transaction:
            levels = await self._live.limits.levels(
                transaction, self._principal, self.connection.conversation_id
            )
        self.connection.send(
            RateLimitStatus(limits=[shown(level) for level in levels], reply_to=frame.id)
        )

    async def _resume(self, frame: Resume) -> None:
        await self._go_back(frame.turn_id, frame.after_seq)
        if not self._came_back:
            self._came_back = True
            metrics.WEBSOCKET_RECONNECTIONS.inc()

    async def _go_back(self, turn_id: UUID, seq: int) -> None:
        only_end = None
        async with self._live.database.transaction(self._principal) as transaction:
            found = await store.events.find_turn(transaction, self._principal, turn_id)
            if found is None or found[0].conversation_id != self.connection.conversation_id:
                raise NotFound(
                    "No such turn in this conversation; read the conversation's messages instead.",
                    turn_id=turn_id,
                )
            turn, row = found
            if row.finished_at is not None:
                kept, _ = await store.events.last_event(transaction, turn)
                end = store.events.last_of(turn, row)
                # Nothing of it is left to read but its end, which the client may already have.
                only_end = end if kept == 0 or seq >= end.seq else None
        await self._following.go_back(turn.number, seq, only_end)

    async def _cancel(self, frame: Cancel) -> None:
        await cancel_turn(
            frame.turn_id,
            principal=self._principal,
            deps=self._live.turns,
            request_id=str(new_id()),
        )

    async def _steer(self, frame: Steer) -> None:
        turns = self._live.turns
        message = new_message(
            frame.content,
            Channel.WEBSOCKET,
            settings=self._live.settings,
            conversation_id=await conversation_of(frame.turn_id, self._principal, turns),
            idempotency_key=frame.idempotency_key,
            request_id=str(new_id()),
            circumstances=self._circumstances,
        )
        done = await steer_turn(frame.turn_id, message, principal=self._principal, deps=turns)
        self.connection.send(
            Steered(
                steered=done.steered,
                turn_id=done.turn_id,
                message_id=done.message_id,
                conversation_id=done.conversation_id,
                reply_to=frame.id,
            )
        )

    async def _give_feedback(self, frame: GiveFeedback) -> None:
        request = await answer_feedback(
            frame.feedback_id,
            frame,
            principal=self._principal,
            channel=Channel.WEBSOCKET,
            deps=self._live.turns,
            request_id=str(new_id()),
        )
        self.connection.send(
            Acknowledgment(
                turn_id=request.turn_id,
                conversation_id=request.conversation_id,
                replayed=False,
                reply_to=frame.id,
            )
        )

    _HANDLERS: Final[dict[type[ClientFrame], Callable[[Any, Any], Awaitable[None]]]] = {
        SayMessage: _say,
        StartSession: _start_session,
        EndSession: _end_session,
        Ping: _ping,
        GetRateLimitStatus: _tell_limits,
        Resume: _resume,
        Cancel: _cancel,
        Steer: _steer,
        GiveFeedback: _give_feedback,
    }


def session_ended(live: LiveDeps, payload: str) -> None:
    """Another process has ended or deleted a conversation.

    See `conversations.repository.SESSIONS_CHANNEL`.
    """
    conversation_id, process, end = payload.split(" ")
    if process != str(live.turns.process):
        live.connections.session_ended(UUID(conversation_id), deleted=end == "deleted")


class FrameBucket:
    """How many frames a socket may send: a token bucket in memory, since a socket has one process.

    Args:
        per_minute: Frames a minute; 0 means no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._level = float(per_minute)
        self._at = time.monotonic()

    def take(self) -> bool:
        """Take one token; False if there is none."""
        if not self._per_minute:
            return True
        now = time.monotonic()
        refilled = self._level + (now - self._at) * self._per_minute / 60
        self._level, self._at = min(float(self._per_minute), refilled), now
        if self._level < 1:
            return False
        self._level -= 1
        return True


def error_frame(
    error: ServiceError | None = None,
    *,
    code: str = "",
    sentence: str = "",
    reply_to: str | None = None,
) -> FrameError:
    """An error frame for a refused frame or socket, from an error or from a code and a sentence."""
    if error is not None:
        invalid = isinstance(error, InvalidRequest)
        code, sentence = "INVALID_MESSAGE" if invalid else error.code.upper(), error.message
    metrics.WEBSOCKET_ERRORS.labels(code).inc()
    return FrameError(
        code=code,
        error=sentence,
        reply_to=reply_to,
        conversation_id=error.conversation_id if error else None,
        turn_id=error.turn_id if error else None,
        request_id=str(new_id()),
    )
