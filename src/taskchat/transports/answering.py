"""A message that came over HTTP: taken, and answered with JSON or with a stream of events."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, cast, get_args
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from starlette.datastructures import QueryParams

from taskchat.assistant.circumstances import Circumstances
from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import (
    AwaitingFeedback,
    ConversationBusy,
    ConversationEnded,
    Detail,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    ServiceError,
    TooManyActive,
    TooManyConversations,
    TooManyVersions,
)
from taskchat.feedback import repository as feedback
from taskchat.feedback.schemas import feedback_out
from taskchat.http.headers import REPLAYED_HEADER
from taskchat.http.requests import RequestId, accept_of, require_json_accepted
from taskchat.limits.buckets import headers_of, tightest
from taskchat.principal import Channel, Principal
from taskchat.transports.dependencies import CurrentLive, LiveDeps
from taskchat.transports.hints import read_circumstances
from taskchat.transports.intake import new_message
from taskchat.transports.sse import prefers_stream, stream
from taskchat.turns.begin import NewMessage
from taskchat.turns.outcome import answer_of
from taskchat.turns.schemas import AwaitingAnswer, MessageScope
from taskchat.turns.states import TurnRef
from taskchat.turns.turn import AcceptedTurn, accept_turn, ended_turn

UNSPENT: Final = (
    NotFound,
    ConversationBusy,
    ConversationEnded,
    TooManyActive,
    TooManyConversations,
    TooManyVersions,
    IdempotencyMismatch,
    AwaitingFeedback,
)
"""Refusals that spend nothing of the rate limits, and tell what is left of them."""

_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
"""Printable ASCII, as the contract has it."""


async def wanted_channel(request: Request) -> Channel:
    """Whether to answer with a stream of events or with JSON.

    Raises:
        NotAcceptable: neither is accepted.
    """
    if prefers_stream(accept_of(request.scope)):
        return Channel.SSE
    await require_json_accepted(request)
    return Channel.REST


WantedChannel = Annotated[Channel, Depends(wanted_channel)]


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key header.

    Raises:
        InvalidRequest: several, empty, too long, or not printable ASCII.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        problem = "must be one value of 1 to 255 printable ASCII characters"
        raise InvalidRequest(
            f"The Idempotency-Key header {problem}.",
            details=[Detail("header.Idempotency-Key", problem)],
        )
    return keys[0]


async def message_scope(
    messages: Annotated[
        str,
        Query(
            description="Whether `messages` holds the conversation or this turn.",
            json_schema_extra={"enum": list(get_args(MessageScope))},
        ),
    ] = "all",
) -> MessageScope:
    """Which messages an answer shows. Checked before a message is taken: later would be too late.

    Raises:
        InvalidRequest: any other value.
    """
    if messages not in get_args(MessageScope):
        raise InvalidRequest(details=[Detail("messages", "must be all or turn")])
    return cast(MessageScope, messages)


Scope = Annotated[MessageScope, Depends(message_scope)]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that says something: who says it, and how it is to be answered.

    Attributes:
        live: What streams and turns need.
        principal: Who asks.
        channel: Whether to answer with JSON or with a stream.
        scope: Which messages a JSON answer shows.
        key: The request's Idempotency-Key, if there is one.
        circumstances: What is known about the sender.
        request_id: The request's id.
    """

    live: LiveDeps
    principal: Principal
    channel: Channel
    scope: MessageScope
    key: str | None
    circumstances: Circumstances
    request_id: str

    async def answer(
        self, content: str, conversation_id: UUID | None, *, version_of: UUID | None = None
    ) -> Response:
        """Take a message, and answer it.

        Args:
            content: What was said.
            conversation_id: The conversation to go on with; None starts one.
            version_of: The turn with the first version of the message, if this is another one.

        Raises:
            ServiceError: it can't be taken, and nothing was stored; or its turn ended otherwise.
        """
        message = new_message(
            content,
            self.channel,
            settings=self.live.settings,
            conversation_id=conversation_id,
            idempotency_key=self.key,
            request_id=self.request_id,
            circumstances=self.circumstances,
            shows_conversation=self.scope == "all" and not self.channel.streams,
            version_of=version_of,
        )
        # Before anything of the answer is sent.
        accepted, headers = await take(message, live=self.live, principal=self.principal)
        if self.channel.streams:
            return stream(
                self.live,
                accepted.turn,
                after=0,
                is_over=accepted.state is not None and accepted.state.is_over,
                request_id=self.request_id,
                headers=headers,
            )
        try:
            ended = await ended_turn(accepted, self.live.turns)
            if ended.status == "awaiting_feedback":
                return await self._awaiting(ended.turn, headers)
            answer = await answer_of(self.live.database, ended, self.scope)
        except ServiceError as error:
            # The message is stored: whatever else is wrong, its sender can ask for it later.
            turn = accepted.turn
            error.conversation_id, error.turn_id = turn.conversation_id, turn.id
            error.headers, error.replayed = headers, accepted.replayed
            raise
        return Response(answer, headers=headers, media_type="application/json")

    async def _awaiting(self, turn: TurnRef, headers: dict[str, str]) -> Response:
        """What the turn asks, which its sender may have answered on another way by now."""
        async with self.live.database.transaction(self.principal) as connection:
            asked = await feedback.of_turn(connection, self.principal, turn.id)
        body = AwaitingAnswer(
            conversation_id=turn.conversation_id,
            turn_id=turn.id,
            feedback=feedback_out(asked[-1]),
        )
        return Response(
            body.model_dump_json(), status_code=202, headers=headers, media_type="application/json"
        )


async def take(
    message: NewMessage, *, live: LiveDeps, principal: Principal
) -> tuple[AcceptedTurn, dict[str, str]]:
    """The turn that a message becomes, and what its answer's headers say of rate limits.

    Raises:
        ServiceError: it can't be taken, and nothing was stored.
    """
    try:
        accepted = await accept_turn(message, principal=principal, deps=live.turns)
    except UNSPENT as error:
        error.headers = await unspent_headers(live, principal, message)
        raise
    if not accepted.replayed:
        return accepted, headers_of(accepted.rate)
    headers = await unspent_headers(live, principal, message, accepted.turn.conversation_id)
    return accepted, {**headers, REPLAYED_HEADER: "true"}


async def unspent_headers(
    live: LiveDeps,
    principal: Principal,
    message: NewMessage,
    conversation_id: UUID | None = None,
) -> dict[str, str]:
    """What is left of the limits, for an answer that spends nothing.

    Args:
        live: What streams and turns need.
        principal: Who asked.
        message: What was not counted.
        conversation_id: Its conversation, if the message doesn't name it.
    """
    async with live.database.transaction(principal) as connection:
        levels = await live.limits.levels(
            connection,
            principal,
            conversation_id or message.conversation_id,
            channels=(message.channel,),
        )
    return headers_of(tightest(levels))


async def circumstances(request: Request, live: CurrentLive) -> Circumstances:
    """What a request's headers say about its sender."""
    return read_circumstances(
        request.headers,
        QueryParams(),
        manner_allowed=live.settings.offline_header,
        script_allowed=live.settings.script_allowed,
    )


CurrentCircumstances = Annotated[Circumstances, Depends(circumstances)]
CurrentKey = Annotated[str | None, Depends(idempotency_key)]


async def exchange(
    principal: CurrentPrincipal,
    live: CurrentLive,
    channel: WantedChannel,
    request_id: RequestId,
    messages: Scope,
    circumstances: CurrentCircumstances,
    key: CurrentKey,
) -> Exchange:
    """What a request says of itself, checked before its body is read."""
    return Exchange(live, principal, channel, messages, key, circumstances, request_id)


CurrentExchange = Annotated[Exchange, Depends(exchange)]

SPEAKING: Final = [Authenticated, Depends(wanted_channel)]
"""Dependencies of routes that say something."""
