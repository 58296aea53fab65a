"""The transaction before the run: after it, the user's message outlives any failure."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from taskchat.assistant.circumstances import Circumstances
from taskchat.assistant.run import Needs
from taskchat.conversations.schemas import MessageOut
from taskchat.errors import (
    ConversationBusy,
    ConversationEnded,
    IdempotencyMismatch,
    NotFound,
    ServiceError,
    ShuttingDown,
    TooManyActive,
    TooManyConversations,
    TooManyVersions,
    TurnInProgress,
)
from taskchat.external_ids.ids import ChosenIds
from taskchat.limits.buckets import RateLevel, RateLimits, limiter_failed, refusal, spent
from taskchat.moments import new_id, utc_now
from taskchat.postgres.database import Database
from taskchat.principal import Channel, Principal
from taskchat.telemetry.traces import traceparent
from taskchat.turns import store
from taskchat.turns.background import Background
from taskchat.turns.events import (
    AgentState,
    AgentStatus,
    StoredEvent,
    TurnStarted,
    around,
    stored,
)
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
        shows_conversation: Whether the answer is to show the conversation.
        version_of: The turn with the first version of the message, if this is another one.
        chosen: What its client calls the message and its conversation, if it chooses ids. Then a
            conversation that is not there is begun.
    """

    content: str
    conversation_id: UUID | None
    channel: Channel
    idempotency_key: str | None
    request_id: str
    circumstances: Circumstances = NOTHING_KNOWN
    conversation_held: bool = False
    shows_conversation: bool = False
    version_of: UUID | None = None
    chosen: ChosenIds | None = None

    @property
    def fingerprint(self) -> bytes | None:
        """Identifies what has to come again with the same key."""
        if self.idempotency_key is None:
            return None
        body = [self.content, str(self.conversation_id) if self.conversation_id else None]
        if self.version_of is not None:
            body.append(str(self.version_of))
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


async def begin(
    database: Database,
    principal: Principal,
    message: NewMessage,
    *,
    limits: RateLimits,
    process: UUID,
    lease_s: float,
    queue_max: int,
    active_max: int | None,
    conversations_max: int,
    versions_max: int,
    needs: Needs,
    draining: Callable[[], bool],
) -> Begun | TurnState:
    """Accept a message, in one transaction.

    Args:
        database: Where everything is stored.
        principal: The sender.
        message: What the sender said.
        limits: What the turn counts against.
        process: This process, which becomes the owner of a turn that may start at once.
        lease_s: How long it stays the owner without a sign of life.
        queue_max: The most turns of one conversation that may wait.
        active_max: The most conversations of one user that may be active; None means any number.
        conversations_max: The most conversations of one user.
        versions_max: The most versions of one message.
        needs: What a run has to be given besides the message.
        draining: Whether this process no longer takes new turns; asked once a connection is
            free for the message.

    Returns:
        The turn; or, if the key has been used before, how far that turn is.

    Raises:
        NotFound: the principal has no such conversation.
        ConversationEnded: it takes no more turns.
        ConversationBusy: too many turns wait in it already; nothing was stored.
        TooManyConversations: the principal has as many as they may; nothing was stored.
        TooManyActive: too many other conversations are active; nothing was stored.
        TooManyVersions: the message has as many as it may; nothing was stored.
        IdempotencyMismatch: the key came with another body before.
        RateLimited: one of the user's limits is used up; nothing was stored.
        ShuttingDown: the turn is a new one, and this process takes no more.
        DatabaseError: nothing was stored, or the outcome is unknown; a repeat with the key tells.
    """
    # Whoever runs the turn, its spans belong to the trace of the request that brought it.
    circumstances = replace(message.circumstances, trace=traceparent())
    conversation_id = message.conversation_id or new_id()
    turn = TurnRef(principal, new_id(), conversation_id, UNNUMBERED)
    said = MessageOut(
        id=_message_id(message, principal, conversation_id) or new_id(),
        turn_id=turn.id,
        role="user",
        content=message.content,
        created_at=utc_now(),
        tool_calls=[],
    )
    started, at_once, in_line = _first_events(turn, message, said)
    head, tail = around(started, "number", str(UNNUMBERED))
    counts, costs = limits.to_spend(conversation_id, message.channel)
    beginning = await store.begin.begin(
        database,
        principal,
        key=message.idempotency_key,
        fingerprint=message.fingerprint,
        draining=draining,
        conversation_id=conversation_id,
        is_new=message.conversation_id is None,
        title=title_of(message.content),
        limits=counts,
        costs=costs,
        queue_max=queue_max,
        active_max=active_max,
        conversations_max=conversations_max,
        process=process,
        lease_s=lease_s,
        turn_id=turn.id,
        channel=message.channel,
        circumstances=circumstances.stored(),
        message_id=said.id,
        content=said.content,
        said_at=said.created_at,
        started=(head, tail),
        at_once=at_once.data,
        in_line=in_line.data,
        history_turns_max=needs.history_turns_max,
        with_summary=needs.summary,
        with_open_tasks=needs.open_tasks,
        version_of=message.version_of,
        versions_max=versions_max,
        chosen=message.chosen,
    )
    if beginning.known is not None:
        return _same_body(beginning.known, message)
    if beginning.outcome == "taken":
        return await _taken(database, principal, message)
    if beginning.outcome == "said":
        return await _said(database, principal, message, said.id)
    if beginning.outcome == "limited":
        raise refusal(beginning.levels, counts, costs)
    if beginning.outcome != "begun":
        raise _refused(beginning.outcome, message, queue_max)
    if beginning.limits_failed:
        limiter_failed("turns")
    turn = replace(turn, number=beginning.number)
    starts = not beginning.waiting
    events = [
        replace(started, number=turn.number, data=f"{head}{turn.number}{tail}"),
        replace(at_once if starts else in_line, number=turn.number),
    ]
    return Begun(
        turn,
        said,
        spent(beginning.levels, counts, costs),
        events,
        Claim(turn, attempt=1, deaths=0, channel=message.channel) if starts else None,
        circumstances,
        Background(beginning.history, beginning.summary, beginning.open_tasks, beginning.version),
    )


UNNUMBERED: Final = 0
"""A turn's number until the database has given it one."""


def _first_events(
    turn: TurnRef, message: NewMessage, said: MessageOut
) -> tuple[StoredEvent, StoredEvent, StoredEvent]:
    """The first event; and the second one, if the turn may start and if it has to wait."""
    started = stored(
        TurnStarted,
        turn,
        1,
        said.created_at,
        number=turn.number,
        channel=message.channel,
        message_id=said.id,
        content=said.content,
        version_of=message.version_of,
    )
    at_once, in_line = (
        stored(AgentStatus, turn, 2, said.created_at, status=status)
        for status in (AT_ONCE, IN_LINE)
    )
    return started, at_once, in_line


def title_of(content: str) -> str:
    """The title that a text makes: its beginning, on one line."""
    return " ".join(content.split())[:TITLE_CHARS]


def _refused(outcome: str, message: NewMessage, queue_max: int) -> ServiceError:
    conversation_id = message.conversation_id
    match outcome:
        case "draining":
            return ShuttingDown(retry_after_s=1)
        case "ended":
            return ConversationEnded(conversation_id=conversation_id)
        case "full":
            return TooManyConversations(conversation_id=conversation_id)
        case "crowded":
            return TooManyActive(conversation_id=conversation_id)
        case "versions":
            return TooManyVersions(conversation_id=conversation_id)
        case "busy":
            return ConversationBusy(
                f"{queue_max} messages of this conversation are waiting already; this one "
                "was not stored. Send it again later.",
                conversation_id=conversation_id,
                retry_after_s=5,
            )
    return NotFound(
        f"No conversation {conversation_id}. Leave conversation_id out to start one.",
        conversation_id=conversation_id,
    )


async def _taken(database: Database, principal: Principal, message: NewMessage) -> TurnState:
    assert message.idempotency_key is not None  # noqa: S101 - only a key can be taken
    async with database.transaction(principal) as connection:
        known = await store.find.by_key(connection, principal, message.idempotency_key)
    if known is None:
        # It was there a moment ago; its conversation has been deleted since.
        raise TurnInProgress(retry_after_s=1)
    return _same_body(known, message)


def _message_id(message: NewMessage, principal: Principal, conversation_id: UUID) -> UUID | None:
    chosen = message.chosen
    return None if chosen is None else chosen.message_id(principal, conversation_id)


async def _said(
    database: Database, principal: Principal, message: NewMessage, message_id: UUID
) -> TurnState:
    """The turn of a message that came before, under another key or one that is forgotten."""
    async with database.transaction(principal) as connection:
        known = await store.find.by_message(connection, principal, message_id)
    if known is None:
        # It was there a moment ago; its conversation has been deleted since.
        raise TurnInProgress(retry_after_s=1)
    state, content = known
    if content != message.content:
        raise IdempotencyMismatch("A message of this id says something else; use a new id.")
    return state


def _same_body(known: TurnState, message: NewMessage) -> TurnState:
    said = [message]
    if message.conversation_held and message.conversation_id == known.turn.conversation_id:
        said.append(replace(message, conversation_id=None))
    if known.fingerprint not in [one.fingerprint for one in said]:
        raise IdempotencyMismatch
    return known
