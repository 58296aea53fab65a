"""The transaction before the run: after it, the user's message outlives any failure."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from taskchat.assistant.circumstances import Circumstances
from taskchat.assistant.run import Needs
from taskchat.conversations import repository as conversations
from taskchat.conversations.schemas import MessageOut
from taskchat.errors import (
    ConversationBusy,
    ConversationEnded,
    IdempotencyMismatch,
    NotFound,
    ShuttingDown,
    TurnInProgress,
)
from taskchat.limits.buckets import RateLevel, RateLimits
from taskchat.moments import new_id, utc_now
from taskchat.postgres.database import Connection, Database
from taskchat.principal import Channel, Principal
from taskchat.turns import store
from taskchat.turns.background import Background, read_past
from taskchat.turns.events import AgentState, AgentStatus, StoredEvent, TurnStarted, stored
from taskchat.turns.states import Claim, TurnRef, TurnState

TITLE_CHARS: Final = 80
"""A conversation is named after the beginning of its first message until somebody renames it."""

NOTHING_KNOWN: Final = Circumstances()

AT_ONCE: Final[AgentState] = "thinking"
IN_LINE: Final[AgentState] = "queued"
"""The agent status that is reported once a turn is accepted."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What a user said, and how it came in.

    Attributes:
        content: Trimmed and checked.
        conversation_id: The conversation to go on with; None starts one.
        channel: How the message came in.
        idempotency_key: The caller's key, if there is one.
        request_id: The request's id, for the error if the turn fails.
        circumstances: What is known about the sender.
        conversation_held: Whether the sender is bound to its conversation, rather than naming it in
            each message: then the message that began it comes back with the id that it was given.
    """

    content: str
    conversation_id: UUID | None
    channel: Channel
    idempotency_key: str | None
    request_id: str
    circumstances: Circumstances = NOTHING_KNOWN
    conversation_held: bool = False

    @property
    def fingerprint(self) -> bytes | None:
        """Identifies what has to come again with the same key."""
        if self.idempotency_key is None:
            return None
        body = [self.content, str(self.conversation_id) if self.conversation_id else None]
        return hashlib.sha256(json.dumps(body).encode()).digest()


@dataclass(frozen=True, slots=True)
class Begun:
    """A turn that is accepted: its message is committed.

    Attributes:
        turn: The turn by its ids.
        message: The user's message, as stored.
        rate: The tightest of the user's rate limits; None if nothing is limited.
        events: The turn's events so far.
        claim: This process's hold on it; None while earlier turns are unfinished.
        circumstances: What is known about the sender.
        background: What its run is given besides the message, if it may start now.
    """

    turn: TurnRef
    message: MessageOut
    rate: RateLevel | None
    events: Sequence[StoredEvent]
    claim: Claim | None
    circumstances: Circumstances
    background: Background


class _KeyTaken(Exception):
    """Another request with the same key committed since we looked."""


async def begin(
    database: Database,
    principal: Principal,
    message: NewMessage,
    *,
    limits: RateLimits | None,
    process: UUID,
    lease_s: float,
    queue_max: int,
    needs: Needs,
    draining: Callable[[], bool],
) -> Begun | TurnState:
    """Accept a message, in one transaction.

    Args:
        database: Where everything is stored.
        principal: The sender.
        message: What the sender said.
        limits: What the turn counts against; None lets it in uncounted.
        process: This process, which becomes the owner of a turn that may start at once.
        lease_s: How long it stays the owner without a sign of life.
        queue_max: The most turns of one conversation that may wait.
        needs: What a run has to be given besides the message.
        draining: Whether this process no longer takes new turns; asked once a connection is
            free for the message.

    Returns:
        The turn; or, if the key has been used before, how far that turn is.

    Raises:
        NotFound: the principal has no such conversation.
        ConversationEnded: it takes no more turns.
        ConversationBusy: too many turns wait in it already; nothing was stored.
        IdempotencyMismatch: the key came with another body before.
        RateLimited: one of the user's limits is used up; nothing was stored.
        LimiterFailed: the limits could not be checked; nothing was stored.
        ShuttingDown: the turn is a new one, and this process takes no more.
        DatabaseError: nothing was stored, or the outcome is unknown; a repeat with the key tells.
    """
    try:
        async with database.transaction(principal) as connection:
            if message.idempotency_key is not None:
                known = await store.find.by_key(connection, principal, message.idempotency_key)
                if known is not None:
                    return _same_body(known, message)
            if draining():
                raise ShuttingDown(retry_after_s=1)
            turn = await _numbered(connection, principal, message)
            rate = None
            if limits is not None:
                rate = await limits.spend(
                    connection, principal, turn.conversation_id, message.channel
                )
            waiting = 0
            if message.conversation_id is not None:
                waiting = await store.begin.count_waiting(
                    connection, principal, turn.conversation_id
                )
            if waiting > queue_max:
                raise ConversationBusy(
                    f"{queue_max} messages of this conversation are waiting already; this one "
                    "was not stored. Send it again later.",
                    conversation_id=turn.conversation_id,
                    retry_after_s=5,
                )
            said = MessageOut(
                id=new_id(),
                role="user",
                content=message.content,
                created_at=utc_now(),
                tool_calls=[],
            )
            events = _first_events(turn, message, said, starts=waiting == 0)
            inserted = await store.begin.insert_turn(
                connection,
                turn,
                channel=message.channel,
                starts=waiting == 0,
                process=process,
                lease_s=lease_s,
                key=message.idempotency_key,
                fingerprint=message.fingerprint,
                circumstances=message.circumstances.stored(),
                message_id=said.id,
                content=said.content,
                created_at=said.created_at,
                events=events,
                count_open=needs.open_tasks and not waiting,
            )
            if inserted is None:
                raise _KeyTaken
            claim, background = None, Background()
            if not waiting:
                claim = Claim(turn, attempt=1, deaths=0, channel=message.channel)
                background = Background(
                    *await read_past(connection, turn, needs), inserted.open_tasks
                )
            return Begun(turn, said, rate, events, claim, message.circumstances, background)
    except _KeyTaken:
        return await _taken(database, principal, message)


def _first_events(
    turn: TurnRef, message: NewMessage, said: MessageOut, *, starts: bool
) -> list[StoredEvent]:
    started = stored(
        TurnStarted,
        turn,
        1,
        said.created_at,
        number=turn.number,
        channel=message.channel,
        message_id=said.id,
        content=said.content,
    )
    status = AT_ONCE if starts else IN_LINE
    return [started, stored(AgentStatus, turn, 2, said.created_at, status=status)]


async def _numbered(connection: Connection, principal: Principal, message: NewMessage) -> TurnRef:
    """The next turn of the message's conversation, which is locked from here on."""
    if message.conversation_id is None:
        conversation_id = new_id()
        number = await conversations.insert_conversation(
            connection,
            principal,
            conversation_id,
            title=" ".join(message.content.split())[:TITLE_CHARS],
        )
        return TurnRef(principal, new_id(), conversation_id, number)
    conversation_id = message.conversation_id
    next_number = await conversations.next_number(connection, principal, conversation_id)
    if next_number is None:
        if await conversations.conversation_exists(connection, principal, conversation_id):
            raise ConversationEnded(conversation_id=conversation_id)
        raise NotFound(
            f"No conversation {conversation_id}. Leave conversation_id out to start one.",
            conversation_id=conversation_id,
        )
    return TurnRef(principal, new_id(), conversation_id, next_number)


async def _taken(database: Database, principal: Principal, message: NewMessage) -> TurnState:
    assert message.idempotency_key is not None  # noqa: S101 - only a key can be taken
    async with database.transaction(principal) as connection:
        known = await store.find.by_key(connection, principal, message.idempotency_key)
    if known is None:
        # It was there a moment ago; its conversation has been deleted since.
        raise TurnInProgress(retry_after_s=1)
    return _same_body(known, message)


def _same_body(known: TurnState, message: NewMessage) -> TurnState:
    said = [message]
    if message.conversation_held and message.conversation_id == known.turn.conversation_id:
        said.append(replace(message, conversation_id=None))
    if known.fingerprint not in [one.fingerprint for one in said]:
        raise IdempotencyMismatch
    return known
